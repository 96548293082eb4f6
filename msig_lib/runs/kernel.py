"""The environment in which notebooks are executed: the interpreter that runs now, offline, few threads.

The working directory of a notebook is `notebooks/`, as in JupyterLab.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from msig_lib import cachedir
from msig_lib import project as projects
from msig_lib.project import Project
from msig_lib.runs.results import ENV as RUN_DIR

NAME = "python3"
MIRROR = "MSIG_DATA_MIRROR"
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def default_threads() -> int:
    """Return how many threads a notebook gets: two, the size the tiers' limits are for, or fewer cores."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, usable)


def environment(project: Project, run_dir: Path, threads: int) -> dict[str, str]:
    """Return the variables that a kernel gets on top of the caller's."""
    mirror = os.environ.get(MIRROR)
    return {
        # A relative folder means the caller's, where the run's key was made, not the kernel's.
        **({MIRROR: str(Path(mirror).expanduser().resolve())} if mirror else {}),
        RUN_DIR: str(run_dir),
        cachedir.ENV: str(cachedir.cache_root()),
        projects.ENV: str(project.root),
        # The checkout whose sources made the key is the one that is imported.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(project.root), os.environ.get("PYTHONPATH", "")])),
        "PYTHONHASHSEED": "0",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        **{name: str(threads) for name in THREADS},
    }


@contextlib.contextmanager
def kernelspec(folder: Path, project: Project, run_dir: Path, threads: int) -> Iterator[dict[str, str]]:
    """Write a kernelspec `python3` of this interpreter below `folder` and put it first while inside.

    A user's own kernel of that name, which may be of another environment, is so never chosen. Yields the
    environment of this process with that done, for child processes that start kernels.
    """
    place = folder / "jupyter" / "kernels" / NAME
    place.mkdir(parents=True)
    # A user's start-up files and plot settings would change what a notebook gives.
    (folder / "matplotlibrc").touch()
    own = {"IPYTHONDIR": str(folder / "ipython"), "MATPLOTLIBRC": str(folder / "matplotlibrc")}
    # Changing the folder in the kernel itself gives papermill's and nbval's kernels the same one.
    start = (
        f"import os; os.chdir({str(project.notebooks)!r}); "
        "from ipykernel.kernelapp import IPKernelApp; IPKernelApp.launch_instance()"
    )
    spec = {
        # Its own log (transport notes, interrupts) would run into the progress lines.
        "argv": [sys.executable, "-c", start, "-f", "{connection_file}", "--log-level=CRITICAL"],
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "metadata": {"debugger": False},
        "env": {**environment(project, run_dir, threads), **own},
    }
    (place / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    before = os.environ.get("JUPYTER_PATH")
    path = os.pathsep.join(filter(None, [str(folder / "jupyter"), before]))
    os.environ["JUPYTER_PATH"] = path
    try:
        yield {**os.environ, "JUPYTER_PATH": path}
    finally:
        if before is None:
            del os.environ["JUPYTER_PATH"]
        else:
            os.environ["JUPYTER_PATH"] = before
