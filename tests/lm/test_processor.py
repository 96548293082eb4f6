"""bf16 is used where a trial in another process shows that it works, and nowhere else."""

import subprocess

import pytest
import torch

from msig_lib.lm import processor

CPU = torch.device("cpu")


@pytest.fixture
def names_amx(monkeypatch, tmp_path):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    processor._trial_passes.cache_clear()
    yield monkeypatch
    processor._trial_passes.cache_clear()


def trial(monkeypatch, status):
    ran = []

    def run(command, **_):
        ran.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(processor.subprocess, "run", run)
    return ran


def test_a_processor_that_dies_on_amx_gets_fp32(names_amx):
    ran = trial(names_amx, -4)  # SIGILL
    assert not processor.cpu_has_bf16() and not processor.use_bf16("auto", CPU)
    with pytest.raises(RuntimeError, match="AVX512_CORE_BF16"):
        processor.use_bf16("bf16", CPU)
    assert processor.use_bf16("auto", torch.device("cuda"))
    processor._trial_passes.cache_clear()
    assert not processor.cpu_has_bf16() and len(ran) == 1  # remembered on disk


def test_a_processor_that_multiplies_in_amx_gets_bf16(names_amx):
    trial(names_amx, 0)
    assert (
        processor.cpu_has_bf16() and processor.use_bf16("bf16", CPU) and not processor.use_bf16("fp32", CPU)
    )


def test_a_limit_below_amx_makes_bf16_safe_and_unused(names_amx):
    ran = trial(names_amx, -4)
    names_amx.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert processor.use_bf16("bf16", CPU) and not processor.use_bf16("auto", CPU) and not ran


def test_without_amx_nothing_is_tried(names_amx):
    ran = trial(names_amx, -4)
    names_amx.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert not processor.cpu_has_bf16() and processor.use_bf16("bf16", CPU) and not ran


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="'fp16'"):
        processor.use_bf16("fp16", CPU)


def test_the_real_trial_ends_with_an_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("MSIG_CACHE", str(tmp_path))
    processor._trial_passes.cache_clear()
    assert processor._trial_passes() in (True, False)
    processor._trial_passes.cache_clear()
