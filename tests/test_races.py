"""Two processes that want one run directory at the same time: one has it, the other one is told so."""

import json
import shutil
import sys

import numpy as np
import pytest
import yaml

from clrnn_tf.recording.run_directory import RunDirectory
from tests.forks import Forks
from tests.interruptions import assert_left_alike, left_at
from tests.test_run_directory import TINY
from trainers import copy_task
from trainers.run import main
from trainers.settings import parse

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="run directories are not locked there")
RACES = 50
NEW, RESUME, OVERWRITE = [], ["--resume"], ["--overwrite"]
PAIRS = ((NEW, NEW), (OVERWRITE, OVERWRITE), (RESUME, OVERWRITE), (RESUME, RESUME))


@pytest.fixture(scope="module")
def forks():
    with Forks() as forks:
        yield forks


def words(mode, path, seed):
    settings = [] if mode == RESUME else [*TINY, "--seed", seed]
    return ["tests.racing", *settings, "--out", path, *mode]


def race(forks, tmp_path, number, pair):
    """The directory, and how the two processes ended."""
    path, lost = tmp_path / str(number), tmp_path / f"{number}.lost"
    if NEW not in pair:
        experiment = parse(copy_task.BENCHMARK, [*TINY, "--seed", "7"]).experiment
        RunDirectory.create(path, experiment, {"data_source": "generated"})
    delays = np.random.default_rng(number).uniform(0, 0.02, 2)
    environment = [{"CLRNN_LOST": str(lost), "CLRNN_DELAY": str(delay)} for delay in delays]
    return path, forks.run_together([words(mode, path, seed) for seed, mode in enumerate(pair)], environment)


@pytest.mark.slow
def test_of_two_processes_that_race_one_writes_and_the_other_is_told_so(forks, tmp_path):
    winners = []
    for number in range(RACES):
        pair = PAIRS[number % len(PAIRS)]
        path, ends = race(forks, tmp_path, number, pair)
        assert sorted(end.code for end in ends) == [0, 2], (pair, ends)
        winner = next(index for index, end in enumerate(ends) if end.code == 0)
        refused = ends[1 - winner].err.strip().splitlines()
        assert len(refused) == 1, refused
        assert refused[0].startswith(f"error: {path} ")
        assert "is written by" in refused[0] or "holds a run already" in refused[0] or "no run of ours" in refused[0]
        seed = 7 if pair[winner] == RESUME else winner
        assert yaml.safe_load((path / "config.yaml").read_text())["seed"] == seed
        assert json.loads((path / "results.json").read_text())["seed"] == seed
        assert {entry.name for entry in path.iterdir()} == {".lock", "config.yaml", "results.json", "metrics.jsonl"}
        winners.append(winner)
        shutil.rmtree(path)
    assert set(winners) == {0, 1}  # neither of them always comes first


@pytest.mark.slow
def test_a_run_that_another_process_wanted_to_replace_leaves_what_it_would_alone(forks, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert main(copy_task.BENCHMARK, [*TINY, "--out", str(alone)]) == 0
    command = ["trainers.copy_task", *TINY, "--out", together, "--overwrite"]
    ends = forks.run_together([command, command])
    assert 0 in [end.code for end in ends], ends
    assert all("Traceback" not in end.err for end in ends)
    assert_left_alike(left_at(together), left_at(alone))
