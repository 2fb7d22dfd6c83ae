"""A table of n-grams that all tasks share: who may train on it, and who holds it in place."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods.parts.fisher import FisherDiagonal
from clrnn_tf.training.checkpoints import Checkpoints, restore
from tests import tiny


def stream_with(num_tasks=2, **kept):
    stream = tiny.stream(num_tasks, ngrams=True)
    return dataclasses.replace(stream, ngrams=dataclasses.replace(stream.ngrams, **kept))


def trainer_of(method, stream=None, **options):
    heads = {"heads": "multi"}
    return build_trainer(tiny.experiment(method, network=heads, **options), stream or stream_with(tables="shared"))


@pytest.mark.parametrize("method", ["hnet", "from_scratch", "context_mod"])
def test_methods_that_could_not_hold_it_refuse_a_shared_table(method):
    with pytest.raises(ConfigurationError, match=f"{method} needs a table of n-grams for each task. .*per_task"):
        build_trainer(tiny.experiment(method), stream_with(tables="shared"))


@pytest.mark.parametrize("method", ["online_ewc", "masking_si"])
def test_a_strong_pull_holds_the_shared_table_and_none_lets_it_go(method):
    moved = []
    for strength in (0.0, 1e6):
        trainer = trainer_of(method, strength=strength)
        stream = stream_with(tables="shared")
        trainer.fit(stream[0])
        assert trainer.method._protected[-1] is trainer.model.embedding.tables
        before = trainer.model.embedding.tables.numpy()
        trainer.fit(stream[1])
        moved.append(np.abs(trainer.model.embedding.tables.numpy() - before)[1:7].max())
    assert moved[1] < moved[0] / 3


def test_fisher_information_of_the_table_equals_a_loop_over_sequences():
    trainer, stream = trainer_of("online_ewc"), stream_with(tables="shared")
    model, task = trainer.model, stream[1]
    measure = FisherDiagonal(model, "data", None, seed=7, jit=False)
    measured = measure.measure(task)
    assert list(measured)[-1] == "ngram_table"
    expected, table = 0.0, model.embedding.tables
    for batch in task.train.in_order(1, 1):
        with tf.GradientTape() as tape:
            logits = model(batch.inputs, batch.lengths, tf.constant(1)).logits
            nll = tf.reduce_sum(model.outputs.sequence_losses(logits, batch.targets, batch.loss_weights))
        expected += np.square(tf.convert_to_tensor(tape.gradient(nll, table)).numpy()) / task.train.num_examples
    np.testing.assert_allclose(measured["ngram_table"], expected, rtol=2e-5, atol=1e-6 * np.max(expected))


def test_tables_of_bytes_come_back_from_a_checkpoint(tmp_path):
    stream = stream_with(table_bytes=1)
    trainer = build_trainer(tiny.experiment("hnet"), stream)
    checkpoints = Checkpoints(tmp_path, trainer)
    trainer.fit(stream[0])
    checkpoints.task_learned()
    tested = trainer.evaluate(stream[0], stream[0].test)
    fresh = build_trainer(tiny.experiment("hnet"), stream)
    restore(checkpoints.latest(1), fresh)
    assert fresh.evaluate(stream[0], stream[0].test).loss == tested.loss
    assert trainer.model.facts() == {"num_table_parameters": 48, "table_bytes": 48 + 2 * 3 * 4}
