"""What stands in padding, and in targets of steps without weight, changes nothing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.task_inference import TaskInference
from clrnn_tf.training.learning import learn
from export.saved_model import export_task
from tests import tiny

SMALL_DECODER = {"latent_dim": 4, "decoder_cell": "elman", "decoder_hidden_sizes": (6,)}
KINDS = [("softmax", False), ("softmax", True), ("sigmoid", False), ("linear", False)]
LONGER = 2  # steps of padding that are added to every batch


class Padded:
    """A source of longer batches, whose first row has length 0, with given values wherever nothing counts."""

    def __init__(self, source, inputs, targets):
        self._source, self._inputs, self._targets = source, inputs, targets
        self.num_examples, self.max_time = source.num_examples, source.max_time + LONGER
        self.lengths_vary = True

    def batches(self, *arguments):
        return self._source.batches(*arguments).map(self._fill)

    def in_order(self, *arguments):
        return self._source.in_order(*arguments).map(self._fill)

    def _fill(self, batch):
        def longer(field):
            return tf.pad(field, [[0, 0], [0, LONGER], *[[0, 0]] * (field.shape.rank - 2)])

        lengths = tf.where(tf.range(tf.size(batch.lengths)) == 0, 0, batch.lengths)
        inputs, targets = longer(batch.inputs), longer(batch.targets)
        real = tf.sequence_mask(lengths, tf.shape(inputs)[1])
        weights = longer(batch.loss_weights) * tf.cast(real, tf.float32)
        counts = real if targets.shape.rank == 2 else real[..., tf.newaxis]
        return batch._replace(
            inputs=tf.where(real[..., tf.newaxis], inputs, tf.cast(self._inputs, inputs.dtype)),
            targets=tf.where(counts, targets, tf.cast(self._targets, targets.dtype)),
            loss_weights=weights,
            eval_weights=weights,
            lengths=lengths,
        )


def padded_stream(loss, ngrams, inputs, targets):
    stream = tiny.stream(2, loss=loss, ngrams=ngrams)
    tasks = tuple(
        dataclasses.replace(
            task, **{name: Padded(getattr(task, name), inputs, targets) for name in ("train", "test", "validation")}
        )
        for task in stream
    )
    return dataclasses.replace(stream, tasks=tasks)


def streams(loss, ngrams):
    """With zeros where nothing counts, and with what must not count there: NaN, or a number that names nothing."""
    yield padded_stream(loss, ngrams, 0.0, 0.0)
    yield padded_stream(loss, ngrams, -7.0 if ngrams else np.nan, -100.0 if loss == "softmax" else np.nan)


def assert_equal(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("method", "options", "loss", "ngrams"),
    [
        *(("online_ewc", {}, *kind) for kind in KINDS),
        ("online_ewc", {"labels": "sampled", "network": {"direction": "bidirectional"}}, "softmax", False),
        ("coresets", {"size": 5}, "softmax", True),
        ("generative_replay", SMALL_DECODER, "sigmoid", False),
        ("multitask", {}, "softmax", True),
    ],
)
def test_learning_and_testing(method, options, loss, ngrams):
    results = []
    for stream in streams(loss, ngrams):
        trainer = build_trainer(tiny.experiment(method, train={"steps": 2, "validate_every": 2}, **options), stream)
        matrix = learn(stream, trainer)
        state = [*trainer.variables, *trainer.method.state_variables()]
        assert all(np.isfinite(variable).all() for variable in state)
        assert np.isfinite(matrix.scores("loss")).all()
        results.append([*(variable.numpy() for variable in state), matrix.scores("loss"), matrix.scores()])
    assert_equal(*results)


@pytest.mark.parametrize(("loss", "ngrams"), KINDS)
def test_exported_models_and_task_inference(loss, ngrams, tmp_path):
    clean, other = streams(loss, ngrams)
    model = build_trainer(tiny.experiment("hnet"), clean).model
    served = tf.saved_model.load(str(export_task(model, clean, 1, tmp_path))).signatures["serving_default"]
    inference = TaskInference(model, 2) if loss != "linear" else None

    def answers(stream):
        batch = next(iter(stream[1].test.in_order(8, 1)))
        found = [served(inputs=batch.inputs, lengths=batch.lengths)["logits"]]
        if inference is not None:
            inferred, scores = inference(batch.inputs, batch.lengths), inference.evaluate(stream, 8)
            found += [inferred.logits, inferred.entropies, scores.counts, scores.joint]
        return found

    wanted = answers(clean)
    assert all(np.isfinite(each).all() for each in wanted)
    assert_equal(answers(other), wanted)


def test_only_padding_is_replaced():
    inputs = tf.constant([[[np.nan], [2.0], [3.0]], [[4.0], [5.0], [np.inf]]])
    expected = [[[np.nan], [0.0], [0.0]], [[4.0], [5.0], [0.0]]]
    np.testing.assert_array_equal(without_padding(inputs, tf.constant([1, 2])), expected)
    np.testing.assert_array_equal(without_padding(tf.constant([[[7, -1]]]), tf.constant([0])), [[[0, 0]]])
