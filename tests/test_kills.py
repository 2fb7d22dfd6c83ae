"""Every method, on vectors and on letters, and the newer benchmarks, killed at random moments and continued."""

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from tests import tiny
from tests.interruptions import Laboratory, assert_left_alike, kill_and_continue
from tests.test_method_contract import CASES
from tests.test_stream_contract import STREAMS, made

KILLS = 6  # of each variant of a method that takes the inputs: more than 200 in all
TRAIN = {"steps": 20, "log_every": 6, "validate_every": 9, "keep_best": True}


@pytest.mark.slow
@pytest.mark.parametrize("ngrams", [False, True], ids=["vectors", "letters"])
@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_leaves_what_an_uninterrupted_one_does(name, ngrams, tmp_path):
    method, options = CASES[name]
    train = {**TRAIN, **options.get("train", {})}
    options = {key: value for key, value in options.items() if key != "train"}
    try:
        laboratory = Laboratory(tiny.experiment(method, train=train, **options), tiny.stream(3, ngrams=ngrams), every=4)
    except ConfigurationError as error:
        pytest.skip(str(error))
    assert laboratory.run(tmp_path / "straight")
    straight = laboratory.left(tmp_path / "straight")
    generator = np.random.default_rng([KILLS, len(name), ngrams])
    for _ in kill_and_continue(laboratory, tmp_path / "killed", generator, KILLS):
        assert_left_alike(laboratory.left(tmp_path / "killed"), straight)


BENCHMARKS = [name for name in STREAMS if not name.startswith(("copy", "tagging"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_killed_run_on_a_newer_benchmark_leaves_what_an_uninterrupted_one_does(name, tmp_path):
    train = {"steps": 6, "batch_size": 6, "log_every": 2, "validate_every": 4, "keep_best": True}
    experiment = tiny.experiment("hnet", train=train, network={"hidden_sizes": (4,)})
    laboratory = Laboratory(experiment, made(name), every=2)
    assert laboratory.run(tmp_path / "straight")
    straight = laboratory.left(tmp_path / "straight")
    generator = np.random.default_rng([3, len(name)])
    for _ in kill_and_continue(laboratory, tmp_path / "killed", generator, kills=3):
        assert_left_alike(laboratory.left(tmp_path / "killed"), straight)
