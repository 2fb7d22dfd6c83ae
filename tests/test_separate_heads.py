"""HNET with output heads that are variables of their task."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from tests import tiny

HEADS = pytest.mark.parametrize("heads", ["multi", "single"])


def trainer_of(heads="multi", num_tasks=3, train=None, **options):
    experiment = tiny.experiment(
        "hnet", network={"heads": heads}, train={"steps": 20, **(train or {})}, heads="separate", **options
    )
    return build_trainer(experiment, tiny.stream(num_tasks, validation=False))


@HEADS
def test_the_body_is_generated_and_the_head_is_the_tasks_variable(heads):
    trainer = trainer_of(heads)
    source = trainer.model.source
    weights = source(tf.constant(1))
    assert set(weights) == {spec.name for spec in trainer.model.network.weight_specs}
    kernel, bias = (variable.numpy() for variable in source.heads.tensors)
    assert kernel.shape == (3, 12, 3) and bias.shape == (3, 3)
    np.testing.assert_array_equal(weights["head/kernel"], kernel[1:2])
    np.testing.assert_array_equal(weights["head/bias"], bias[1:2])
    body = source.body.generate(tf.constant([1]))[0]
    assert len(body) == 3 * 12 + 12 * 12 + 12 + 12 * 12 + 12
    np.testing.assert_array_equal(tf.reshape(body[:36], [3, 12]), weights["recurrent0/forward/kernel"])
    assert sum(int(tf.size(v)) for v in trainer.variables) == source.body.count_params() + 3 * (12 * 3 + 3)


def test_single_and_multi_head_networks_learn_alike():
    values = []
    for heads in ("multi", "single"):
        trainer = trainer_of(heads, strength=1.0)
        for task in trainer.method.setup.stream:
            trainer.fit(task)
        values.append([variable.numpy() for variable in trainer.variables])
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


@HEADS
def test_heads_change_with_their_own_task_alone(heads):
    trainer = trainer_of(heads, train={"weight_decay": 0.1})
    tensors = trainer.model.source.heads.tensors
    before = [tensor.numpy() for tensor in tensors]
    trainer.fit(trainer.method.setup.stream[1])
    for tensor, old in zip(tensors, before, strict=True):
        np.testing.assert_array_equal(tensor.numpy()[[0, 2]], old[[0, 2]])
        assert (tensor.numpy()[1] != old[1]).all()


def test_the_regularizer_leaves_heads_out():
    trainer = trainer_of(strength=2.0)
    method, source = trainer.method, trainer.model.source
    method.before_task(method.setup.stream[2])
    for tensor in source.heads.tensors:
        tensor.assign_add(tf.ones(tensor.shape))
    penalty = method.weights_and_penalties(tf.constant(2), tf.constant(0))[1]["output_regularizer"]
    assert float(penalty) < 1e-9  # what is left is rounding
    before = [source.body.generate(tf.constant([k])).numpy()[0] for k in range(2)]
    source.body.kernels[-1].assign_add(0.1 * tf.ones(source.body.kernels[-1].shape))
    after = [source.body.generate(tf.constant([k])).numpy()[0] for k in range(2)]
    expected = 2.0 * np.mean([np.sum((one - other) ** 2) for one, other in zip(before, after, strict=True)])
    penalty = method.weights_and_penalties(tf.constant(2), tf.constant(0))[1]["output_regularizer"]
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_training_uses_the_weights_that_evaluation_uses():
    trainer = trainer_of()
    used, _ = trainer.method.weights_and_penalties(tf.constant(2), tf.constant(0))
    for name, value in trainer.model.source(tf.constant(2)).items():
        np.testing.assert_allclose(used[name], value, atol=1e-6)


def test_compression_counts_heads_as_parameters_and_one_network_as_weights():
    trainer = trainer_of(num_tasks=2)
    body = trainer.model.source.body
    parameters = body.count_params() + 2 * (12 * 3 + 3)
    report = trainer.method.facts()
    assert report["num_parameters"] == parameters
    np.testing.assert_allclose(report["compression_ratio"], parameters / (body.num_weights + 12 * 3 + 3))


def test_orthogonal_initial_matrices_are_refused_where_they_are_generated():
    experiment = tiny.experiment("hnet", network={"recurrent_initializer": "orthogonal"})
    with pytest.raises(ConfigurationError, match="recurrent_initializer is for shared weights.*Received: orthogonal"):
        build_trainer(experiment, tiny.stream(2))
    build_trainer(tiny.experiment("masking", network={"recurrent_initializer": "orthogonal"}), tiny.stream(2))
