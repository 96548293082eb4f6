"""Work in processes: in order, on one thread each, and here where there is nothing to share."""

import os

import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from msig_lib.lm.processes import in_processes
from msig_lib.lm.threads import torch_threads


@pytest.fixture(scope="module", autouse=True)
def nobody_stays():
    yield
    get_reusable_executor().shutdown(wait=True)  # idle processes would stay for minutes


def facts(number):
    return number, torch.get_num_threads(), os.getpid()


def test_work_alone_stays_in_this_process_on_one_thread():
    with torch_threads(2):
        assert in_processes(torch.get_num_threads, iter([()]), threads=2) == [1]
        assert in_processes(pow, [(2, 3), (3, 2)], threads=1) == [8, 9]
        assert torch.get_num_threads() == 2
    assert in_processes(pow, [], threads=2) == []


def test_results_come_in_order_from_other_processes_of_one_thread():
    numbers, threads, places = zip(*in_processes(facts, ((k,) for k in range(5)), threads=2))
    assert numbers == (0, 1, 2, 3, 4) and set(threads) == {1}
    assert os.getpid() not in places and len(set(places)) <= 2
    assert {place for _, _, place in in_processes(facts, [(0,), (1,)], threads=1)} == {os.getpid()}


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_the_work_is_raised_and_threads_are_restored(threads):
    with torch_threads(2):
        with pytest.raises(ZeroDivisionError):
            in_processes(divmod, [(1, 1), (1, 0)], threads=threads)
        assert torch.get_num_threads() == 2
