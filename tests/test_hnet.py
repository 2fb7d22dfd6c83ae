import numpy as np
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig, NetworkConfig
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import hnet
from clrnn_tf.methods.base import MethodSetup
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.streams.splits import batches_of_any_length
from clrnn_tf.training.task_progress import zero_sums
from tests import tiny


def method_of(**options):
    network = RecurrentNetwork(NetworkConfig(cell="elman", hidden_sizes=(3,)), 2, 2, 6)
    config = HypernetworkConfig(chunk_size=9, hidden_sizes=(4,))
    return hnet.HNET(MethodSetup(network, config, tiny.stream(6), 0, hnet.Config(**options)))


def test_a_random_subset_covers_all_old_tasks_and_depends_on_the_step_alone():
    chosen = method_of(tasks_per_step=2).regularizer.regularized_tasks
    subsets = [tuple(chosen(tf.constant(5), tf.constant([0, step])).numpy()) for step in range(60)]
    assert subsets[7] == tuple(chosen(tf.constant(5), tf.constant([0, 7])).numpy())
    assert all(len(set(subset)) == 2 and max(subset) < 5 for subset in subsets)
    assert {task for subset in subsets for task in subset} == {0, 1, 2, 3, 4}
    assert len(chosen(tf.constant(1), tf.constant([0, 0]))) == 1
    assert len(chosen(tf.constant(0), tf.constant([0, 0]))) == 0


def test_penalty_of_the_first_task_is_zero_and_scales_with_the_strength():
    values = []
    for strength in (1.0, 3.0):
        method = method_of(strength=strength)
        assert float(method.weights_and_penalties(tf.constant(0), tf.constant(0))[1]["output_regularizer"]) == 0.0
        method.before_task(method.setup.stream[2])
        method.source.kernels[0].assign_add(tf.ones(method.source.kernels[0].shape))
        values.append(float(method.weights_and_penalties(tf.constant(2), tf.constant(0))[1]["output_regularizer"]))
    np.testing.assert_allclose(values[1], 3 * values[0], rtol=1e-6)
    assert values[0] > 0


def test_weights_of_the_current_task_are_those_of_the_source():
    method = method_of()
    weights, _ = method.weights_and_penalties(tf.constant(3), tf.constant(0))
    for name, value in method.source(tf.constant(3)).items():
        np.testing.assert_allclose(weights[name], value, atol=1e-6)


def test_the_compiled_step_does_not_grow_with_the_number_of_tasks():
    sizes = []
    for num_tasks in (40, 80):  # blocks of old tasks have the same sizes, and both use Gram matrices
        stream = tiny.stream(num_tasks)
        trainer = build_trainer(tiny.experiment(train={"steps": 1}), stream)
        batches = iter(batches_of_any_length(stream[0].train.batches(16, 0, 0)))
        zero = tf.constant(0)
        sums = zero_sums(trainer.step.loss_names)
        step = trainer.train_steps.get_concrete_function(batches, zero, zero, tf.constant(1), sums)
        graph = step.graph.as_graph_def()
        sizes.append(len(graph.node) + sum(len(function.node_def) for function in graph.library.function))
    assert sizes[1] <= sizes[0] + 10  # a variable for each task would add hundreds
