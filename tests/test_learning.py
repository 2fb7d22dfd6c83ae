import numpy as np
import pytest

from clrnn_tf.experiment import build_trainer
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer
from clrnn_tf.training.checkpoints import Checkpoints
from clrnn_tf.training.learning import learn
from tests import tiny


class Recorder(Observer):
    def __init__(self):
        self.events = []

    def run_began(self, stream, first_task, matrix):
        self.events.append(("began", first_task))

    def task_began(self, task):
        self.events.append(("task", task.task_id))

    def task_learned(self, result, matrix):
        self.events.append(("learned", result.task.task_id, len(matrix.rows), result.steps))

    def run_ended(self, matrix):
        self.events.append(("ended", len(matrix.rows)))

    def run_failed(self, error):
        self.events.append(("failed", str(error)))


def accuracies(matrix):
    return matrix.scores("loss"), matrix.scores("accuracy")


def test_every_task_is_tested_after_each_and_before_the_first():
    stream = tiny.stream(3)
    trainer = build_trainer(tiny.experiment(), stream, [Recorder()])
    matrix = learn(stream, trainer)
    assert matrix.scores().shape == (3, 3)
    assert len(matrix.initial) == 3
    for task in stream:
        again = trainer.evaluate(task, task.test)
        assert again.accuracy == matrix.rows[-1][task.task_id].accuracy
    assert trainer.observers[0].events == [
        ("began", 0),
        ("task", 0),
        ("learned", 0, 1, 40),
        ("task", 1),
        ("learned", 1, 2, 40),
        ("task", 2),
        ("learned", 2, 3, 40),
        ("ended", 3),
    ]


@pytest.mark.parametrize("ngrams", [False, True])
def test_a_run_continued_after_a_task_ends_like_one_that_went_through(tmp_path, ngrams):
    stream = tiny.stream(3, ngrams=ngrams)
    straight = learn(stream, build_trainer(tiny.experiment(), stream))

    trainer = build_trainer(tiny.experiment(), stream, [_StopAtTask(2)])
    matrix = ResultMatrix(tuple(task.name for task in stream))
    with pytest.raises(KeyboardInterrupt):
        learn(stream, trainer, matrix=matrix, checkpoints=Checkpoints(tmp_path, trainer))
    assert len(matrix.rows) == 2

    fresh = build_trainer(tiny.experiment(), stream, [Recorder()])
    resumed = learn(stream, fresh, matrix=matrix, start=Checkpoints(tmp_path, fresh).latest(2))
    assert fresh.observers[0].events[0] == ("began", 2)
    for a, b in zip(accuracies(straight), accuracies(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


class _StopAtTask(Observer):
    def __init__(self, task_id):
        self.task_id = task_id

    def task_began(self, task):
        if task.task_id == self.task_id:
            raise KeyboardInterrupt


def test_observers_are_told_about_a_failure():
    stream = tiny.stream(1)
    trainer = build_trainer(tiny.experiment(train={"learning_rate": 1e30}), stream, [Recorder()])
    with pytest.raises(RuntimeError, match="not finite"):
        learn(stream, trainer)
    assert trainer.observers[0].events[-1][0] == "failed"
