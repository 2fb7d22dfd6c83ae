"""Equal commands leave equal numbers: twice, with more threads, and with several workers."""

import json

import numpy as np
import pytest

from tests.forks import Forks
from tests.interruptions import assert_left_alike, left_at
from tests.test_distribution import SETTINGS, free_ports, losses

pytestmark = pytest.mark.slow
METHODS = ("hnet", "online_ewc")
CLOSE = {"rtol": 1e-6, "atol": 1e-6}
SHORT = [*SETTINGS, "--train.steps", "10", "--train.log-every", "2", "--train.length-blocks", "1"]
WIDE = ["--network.hidden-sizes", "256", "--train.batch-size", "64"]  # so large that two threads share a product


@pytest.fixture(scope="module")
def forks():
    with Forks() as forks:
        yield forks


def threads(number):
    return {"TF_NUM_INTRAOP_THREADS": str(number), "TF_NUM_INTEROP_THREADS": str(number)}


def words(out, method="hnet"):
    return ["trainers.copy_task", *SHORT, "--method", method, "--out", str(out)]


def require_ended(ends):
    assert [end.code for end in ends] == [0] * len(ends), ends


@pytest.mark.parametrize("method", METHODS)
def test_the_same_command_leaves_the_same_bits(forks, tmp_path, method):
    paths = [tmp_path / name for name in ("once", "again")]
    for path in paths:
        require_ended([forks.run(words(path, method), threads(1))])
    assert_left_alike(left_at(paths[0]), left_at(paths[1]))


@pytest.mark.parametrize("method", METHODS)
def test_two_threads_leave_the_losses_of_one(forks, tmp_path, method):
    for number in (1, 2):
        require_ended([forks.run([*words(tmp_path / str(number), method), *WIDE], threads(number))])
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    print(f"{method}: largest difference {np.abs(one - two).max():.1e}")
    np.testing.assert_allclose(one, two, **CLOSE)


def workers(number, out):
    """The processes of so many workers on this machine: their commands and environments."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(number)]
    configs = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}} for rank in range(number)]
    environment = [{"TF_CONFIG": json.dumps(config), **threads(1)} for config in configs]
    return [[*words(out), "--distribute"]] * number, environment


def test_one_two_and_four_workers_leave_the_losses_of_one_process(forks, tmp_path):
    require_ended([forks.run(words(tmp_path / "alone"), threads(1))])
    alone = losses(tmp_path / "alone")
    assert len(alone) == 10
    for number in (1, 2, 4):
        require_ended(forks.run_together(*workers(number, tmp_path / str(number))))
        shared = losses(tmp_path / str(number))
        print(f"{number} workers: largest difference {np.abs(alone - shared).max():.1e}")
        np.testing.assert_allclose(shared, alone, **CLOSE)
