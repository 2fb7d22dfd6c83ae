import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.training.learning import learn
from tests import tiny, traces


def losses(method="fine_tuning", **train):
    """Losses of the steps of two tasks, and the test losses."""
    stream = tiny.stream(2, ngrams=True)
    logs = traces.Logs()
    experiment = tiny.experiment(method, train={"steps": 6, "log_every": 1, **train})
    matrix = learn(stream, build_trainer(experiment, stream, [logs]))
    return [entry["task"] for entry in logs.entries], matrix.scores("loss")


def test_a_run_with_dropout_is_a_function_of_its_seed():
    one, other = (losses(input_dropout=0.3, output_dropout=0.5) for _ in range(2))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("rates", [{"input_dropout": 0.3}, {"output_dropout": 0.5}])
def test_dropout_changes_training(rates):
    assert losses(**rates)[0][0] != losses()[0][0]


def test_tests_drop_nothing():
    stream = tiny.stream(1)
    rates = {"input_dropout": 0.9, "output_dropout": 0.9}
    dropping, plain = (build_trainer(tiny.experiment("fine_tuning", train=train), stream) for train in (rates, {}))
    task = stream[0]
    assert dropping.evaluate(task, task.test).loss == plain.evaluate(task, task.test).loss


def test_blocks_of_a_batch_drop_other_steps():
    trainer = build_trainer(tiny.experiment("fine_tuning", train={"input_dropout": 0.5}), tiny.stream(1))
    keys = [trainer.step._dropout_key(tf.constant(0), tf.constant(3), block).numpy().tolist() for block in (0, 1)]
    later = trainer.step._dropout_key(tf.constant(0), tf.constant(4), 0).numpy().tolist()
    assert keys[0] != keys[1] and later not in keys


def test_a_rate_of_one_is_refused():
    with pytest.raises(ConfigurationError, match=r"train.output_dropout must be in \[0, 1\)"):
        losses(output_dropout=1.0)
