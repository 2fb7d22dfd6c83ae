"""What the loss is measured in: nats of classes and bits, squared errors of numbers."""

import dataclasses
import json

import numpy as np
import pytest

from clrnn_tf import TaskStream
from clrnn_tf.analysis.comparison import SeedGroup, compare
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.certificates import Certificate, OldTask
from clrnn_tf.recording.report.stored_run import read_run
from clrnn_tf.recording.report.tasks import curves_section
from clrnn_tf.recording.results import matrix_of
from clrnn_tf.streams.own import Preparation
from data_pipelines import student_teacher
from tests import tiny
from tests.test_recording import create, record
from tests.test_recording import matrix_of as accuracies

DRAWS = np.random.default_rng(0)
INPUTS = DRAWS.normal(size=(12, 5, 2)).astype(np.float32)
SCORES = accuracies([[80.0, 40.0], [70.0, 90.0]])
RAW = Preparation(standardize="none")


@pytest.mark.parametrize(
    ("labels", "preparation", "wanted"),
    [
        (np.arange(12) % 3, None, "nats"),
        (DRAWS.normal(size=(12, 2)) > 0, None, "nats"),
        (DRAWS.normal(size=(12, 1)), None, "mean squared error, standardised"),
        (DRAWS.normal(size=(12, 1)), RAW, "mean squared error"),
        (DRAWS.normal(size=(12, 5, 1)), RAW, "summed squared error"),
    ],
)
def test_a_stream_says_the_unit_of_its_loss(labels, preparation, wanted):
    assert TaskStream.from_arrays([(INPUTS, labels)], preparation=preparation).loss_unit == wanted


def test_units_of_generated_tasks():
    config = student_teacher.Config(num_tasks=1, num_train=4, num_validation=0, num_test=4)
    assert student_teacher.make_stream(config).loss_unit == "mean squared error"
    ring = dataclasses.replace(tiny.stream(1), outputs="ring")
    assert ring.loss_unit == "squared error of activities"


def numbers_matrix(unit="mean squared error"):
    scores = Evaluation(0.5, np.nan, None, {"explained_variance": 40.0})
    return ResultMatrix(("t0", "t1"), initial=[scores] * 2, rows=[[scores] * 2] * 2, loss_unit=unit)


def test_the_unit_is_recorded_and_read_back_and_guessed_of_older_results(tmp_path):
    run = create(tmp_path / "run")
    record(run, SCORES)
    results = json.loads(run.results.read_text(encoding="utf-8"))
    assert results.pop("loss_unit") == "nats" == matrix_of(results, {"row0": np.zeros([2, 2, 2])}).loss_unit
    assert matrix_of(results, {}).loss_unit == ""  # of bits or of a ring: older results do not say it
    further = {"further": {"explained_variance": [[1.0, 2.0]] * 2}, "initial_further": {}}
    assert matrix_of({**results, **further}, {}).loss_unit == ""  # of numbers, which may be standardised


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        ("nats", "loss, nats a sequence"),
        ("mean squared error, standardised", "loss, mean squared error, standardised"),
        ("", "loss"),
    ],
)
def test_the_curve_of_the_loss_has_the_unit(tmp_path, unit, wanted):
    run = create(tmp_path / "run")
    record(run, SCORES)
    stored = read_run(run.path)
    stored.matrix.loss_unit = unit
    assert f">{wanted}<" in curves_section(stored)


def test_a_comparison_of_losses_has_the_unit():
    groups = [SeedGroup("HNET", {0: numbers_matrix()})]
    assert compare(groups, "loss").unit == "mean squared error"
    assert compare(groups, "explained_variance").unit == "%"


def test_a_certificate_of_losses_speaks_of_no_nats():
    old = OldTask("t0", 0.0012, 0.0031, 0.0019, 0.0, 0.1, 0.1)
    fault = Certificate("t1", 0.01, "loss", (old,), 0.001, False).fault
    assert fault == "'t0' has a loss that is 0.0019 higher (0.0012 to 0.0031), and --max-drop allows 0.001"
