"""Every method, on vectors and on letters, killed at random moments and continued."""

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from tests import tiny
from tests.interruptions import Laboratory, assert_left_alike, kill_and_continue
from tests.test_method_contract import CASES

KILLS = 6
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
