import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from clrnn_tf.model import append_task_id
from export.saved_model import export_task, largest_difference
from tests import tiny

TOLD = {"task_id_input": True, "heads": "single"}


def test_the_one_hot_task_follows_the_features_of_every_step():
    embedded = tf.reshape(tf.range(12.0), [2, 3, 2])
    told = append_task_id(embedded, tf.constant(1), 4).numpy()
    np.testing.assert_array_equal(told[..., :2], embedded)
    np.testing.assert_array_equal(told[..., 2:], np.tile([0, 1, 0, 0], (2, 3, 1)))
    each = append_task_id(embedded, tf.constant([3, 0]), 4).numpy()
    np.testing.assert_array_equal(each[:, :, 2:].argmax(-1), [[3, 3, 3], [0, 0, 0]])


@pytest.mark.parametrize("method", ["multitask", "coresets", "hnet"])
@pytest.mark.parametrize("ngrams", [False, True])
def test_a_network_that_is_told_the_task_works_with_every_method(tmp_path, method, ngrams):
    stream = tiny.stream(2, ngrams=ngrams, validation=False)
    trainer = build_trainer(tiny.experiment(method, network=TOLD, train={"steps": 5, "log_every": 5}), stream)
    assert trainer.model.network.num_features == 5
    for task in trainer.method.tasks(stream):
        trainer.fit(task)
    path = export_task(trainer.model, stream, 1, tmp_path)
    assert largest_difference(trainer.model, stream, 1, path) < 1e-5


def test_with_one_head_only_the_told_network_answers_tasks_differently():
    stream = tiny.stream(2)
    batch = next(iter(stream[0].test.in_order(4, 0)))
    for told in (False, True):
        trainer = build_trainer(tiny.experiment("fine_tuning", network={**TOLD, "task_id_input": told}), stream)
        logits = [trainer.model(batch.inputs, batch.lengths, tf.constant(k)).logits.numpy() for k in (0, 1)]
        assert np.array_equal(*logits) != told
