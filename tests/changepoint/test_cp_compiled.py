"""The compiled kernels give the same numbers whether they were just compiled or came from numba's cache."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import hashlib
import numpy as np
from msig_lib.changepoint import _gru_kernels as gru
from msig_lib.changepoint import _pair_kernels as pairs

rng = np.random.default_rng(0)
draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
states, gates = np.zeros((60, 12, 2, 4), np.float32), np.zeros((60, 12, 2, 4, 4), np.float32)
start, mix = draw(12, 2, 4), draw(2, 12, 4)
gru.forward(draw(60, 12, 2, 3, 4), np.ascontiguousarray(mix.swapaxes(1, 2)), draw(2, 12), start, states, gates)
ggiven, gmixed, gstart = np.zeros((60, 12, 2, 3, 4), np.float32), np.zeros_like(states), np.zeros_like(start)
gru.backward(draw(60, 12, 2, 4), gates, states, start, mix, ggiven, gmixed, gstart)
p, q, w, b, weight, g = draw(40, 8), draw(40, 8), draw(8, 8), draw(8), draw(40, 4), draw(40, 8)
out, gp, gq, gweight, gw, gb = (np.zeros_like(a) for a in (g, p, q, weight, w, b))
across, read = np.ascontiguousarray(w.T), draw(2, 8)
logits, g2, gread = np.zeros((40, 4, 2), np.float32), draw(40, 4, 2), np.zeros_like(read)
pairs.read_pairs(p, q, 5, read, across, b, pairs.ELU, pairs.ELU, logits)
pairs.read_pairs_back(g2, p, q, 5, read, w, across, b, pairs.ELU, pairs.ELU, gp, gq, gread, gw, gb)
pairs.sum_messages(p, q, 5, weight, across, b, pairs.ELU, pairs.ELU, out)
pairs.sum_messages_back(g, p, q, 5, weight, w, across, b, pairs.ELU, pairs.ELU, gp, gq, gweight, gw, gb)
for a in (logits, gread, out, gp, gq, gweight, gw, gb, states, gates, ggiven, gmixed, gstart):
    assert np.isfinite(a).all() and a.any()
    print(hashlib.sha256(a.tobytes()).hexdigest())
print(len(pairs.sum_messages_back.stats.cache_hits))
"""


def run(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    *numbers, hits = found.stdout.split()
    return numbers, int(hits)


def test_a_kernel_from_the_cache_rounds_as_the_one_just_compiled(tmp_path):
    compiled, cached = run(tmp_path), run(tmp_path)
    assert (compiled[1], cached[1]) == (0, 1)
    assert compiled[0] == cached[0]
