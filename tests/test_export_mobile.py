"""LiteRT models of trained tasks."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from export.mobile import LITE, export_lite
from export.saved_model import FrozenTask
from tests import tiny


def runner(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter moves to a package of its own
        return tf.lite.Interpreter(str(path), num_threads=1).get_signature_runner("serving_default")


@pytest.mark.parametrize(
    ("network", "ngrams"),
    [({"cell": "elman"}, True), ({"cell": "lstm", "direction": "bidirectional", "hidden_sizes": (5, 7)}, False)],
    ids=["elman, letters", "lstm, both directions"],
)
def test_sequences_of_any_length_are_answered_as_by_the_saved_model(network, ngrams, tmp_path):
    stream = tiny.stream(2, ngrams=ngrams)
    model = build_trainer(tiny.experiment(network=network), stream).model
    path = export_lite(model, stream, 1, tmp_path)
    assert path == tmp_path / "t1" / "1" / LITE
    lite, frozen = runner(path), FrozenTask(model, stream, 1)
    batch = next(iter(stream[1].test.in_order(3, 1)))
    for row, time in ((0, 6), (1, 4), (2, 6)):
        inputs, lengths = batch.inputs[row : row + 1, :time], np.minimum(batch.lengths[row : row + 1], time)
        answer, length = lite(inputs=inputs.numpy(), lengths=lengths), lengths[0]
        for name, value in frozen.serve(inputs, lengths).items():
            np.testing.assert_allclose(answer[name][:, :length], value[:, :length], atol=1e-6, err_msg=name)


def test_large_weights_may_be_bytes(tmp_path):
    stream = tiny.stream(1)
    model = build_trainer(tiny.experiment(network={"cell": "elman", "hidden_sizes": (128,)}), stream).model
    whole, small = (export_lite(model, stream, 0, tmp_path / name, name == "small") for name in ("whole", "small"))
    assert small.stat().st_size < 0.5 * whole.stat().st_size
    batch = next(iter(stream[0].test.in_order(1, 0)))
    answers = [runner(path)(inputs=batch.inputs.numpy(), lengths=batch.lengths.numpy()) for path in (whole, small)]
    difference = np.abs(answers[0]["logits"] - answers[1]["logits"]).max()
    assert 0.0 < difference < 0.1
