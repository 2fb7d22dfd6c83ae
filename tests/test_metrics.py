import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import Evaluation, ResultMatrix, weighted_f1

SCORES = [[80.0, 45.0, 30.0], [60.0, 90.0, 35.0], [70.0, 75.0, 95.0]]


def matrix_of(scores, initial=(50.0, 40.0, 30.0)):
    names = tuple(f"t{k}" for k in range(len(scores[0])))
    matrix = ResultMatrix(names, [Evaluation(1.0, score) for score in initial[: len(names)]])
    for row in scores:
        matrix.add([Evaluation(2.0, score) for score in row])
    return matrix


def test_definitions():
    matrix = matrix_of(SCORES)
    np.testing.assert_array_equal(matrix.during(), [80, 90, 95])
    np.testing.assert_array_equal(matrix.final(), [70, 75, 95])
    assert matrix.forgetting() == np.mean([80 - 70, 90 - 75])
    assert matrix.backward_transfer() == np.mean([70 - 80, 75 - 90])
    assert matrix.forward_transfer() == np.mean([45 - 40, 35 - 30])
    summary = matrix.summary()
    assert summary["mean_during_accuracy"] == pytest.approx(265 / 3)
    assert summary["mean_final_accuracy"] == 80
    assert summary["worst_final_accuracy"] == 70
    assert "mean_final_weighted_f1" not in summary


def test_forgetting_is_from_the_best_and_backward_transfer_from_the_first_score():
    matrix = matrix_of([[60.0, 0.0, 0.0], [90.0, 50.0, 0.0], [70.0, 50.0, 50.0]])
    assert matrix.forgetting() == np.mean([20, 0])
    assert matrix.backward_transfer() == np.mean([10, 0])


def test_before_the_end_the_last_row_stands_for_the_final_one():
    matrix = matrix_of(SCORES[:2])
    np.testing.assert_array_equal(matrix.final(), [60, 90])
    assert matrix.forgetting() == 20


def test_one_task_has_no_forgetting_or_transfer():
    summary = matrix_of([[80.0]]).summary()
    assert summary["mean_final_accuracy"] == 80
    assert all(math.isnan(summary[name]) for name in ("forgetting", "backward_transfer", "forward_transfer"))


def test_a_row_must_have_a_score_for_every_task():
    with pytest.raises(ConfigurationError, match="one evaluation for each of the 3 tasks. Received: 2"):
        matrix_of(SCORES).add([Evaluation(1.0, 1.0)] * 2)


@pytest.mark.parametrize("classes", [[0, 1, 2], [0, 2], [1]])
def test_weighted_f1_is_that_of_scikit_learn_also_with_absent_classes(classes):
    generator = np.random.default_rng(len(classes))
    true = generator.choice(classes, 200)
    predicted = generator.integers(0, 4, 200)
    confusion = np.zeros((5, 5), int)
    np.add.at(confusion, (true, predicted), 1)
    expected = 100 * f1_score(true, predicted, average="weighted", labels=range(5), zero_division=1)
    assert weighted_f1(confusion) == pytest.approx(expected, abs=1e-10)


def test_an_unknown_metric_is_answered_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="metric must be one of loss, accuracy. Received: f1."):
        matrix_of(SCORES).scores("f1")


def test_quality_is_accuracy_or_else_the_negative_loss():
    assert Evaluation(2.0, 80.0).quality == 80.0
    assert Evaluation(2.0, math.nan).quality == -2.0


def test_a_matrix_without_rows_has_no_final_scores_and_no_summary():
    matrix = ResultMatrix(("a", "b"))
    assert matrix.final().shape == (0,)
    with pytest.raises(ConfigurationError, match="at least one learned task. Received: none"):
        matrix.summary()


def test_a_finished_matrix_takes_no_further_row():
    matrix = ResultMatrix(("a",))
    matrix.add([Evaluation(1.0, 50.0)])
    with pytest.raises(ConfigurationError, match="no row after the last of 1"):
        matrix.add([Evaluation(1.0, 50.0)])
