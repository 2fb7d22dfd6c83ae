import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.execution import task_blocks
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig, quadratic_forms
from clrnn_tf.networks.weights import WeightSpec
from tests import golden

# The published Elman 1 -> 2 -> 4 (one bias more than ours) as 28 values: as one tensor, and as a body of 16 values with
# two heads of two outputs, W_out [4, 2] before b_out [4].
WHOLE = [WeightSpec("flat", (28,), "kernel", 1, 1)]
TWO_HEADS = [
    WeightSpec("body", (16,), "kernel", 1, 1),
    WeightSpec("head/kernel", (2, 2, 2), "kernel", 2, 1, per_head=True),
    WeightSpec("head/bias", (2, 2), "bias", 2, 1, per_head=True),
]
CONFIG = HypernetworkConfig(chunk_size=7, chunk_embedding_size=2, task_embedding_size=3, hidden_sizes=(4,))
EVERY_FORM = pytest.mark.parametrize("targets", ["fixed", "online"]), pytest.mark.parametrize("gram", [False, True])


def every_form(test):
    for mark in EVERY_FORM:
        test = mark(test)
    return test


def golden_value(specs, targets, gram):
    """The regulariser of two old tasks and its gradients, after the changes of the golden vector."""
    source = Hypernetwork(specs, CONFIG, 3)
    golden.fill_hypernetwork(source)
    regularizer = OutputRegularizer(source, RegularizerConfig(targets=targets), gram)
    assert regularizer.num_gram_chunks == (source.num_whole_chunks if gram else 0)
    regularizer.remember(2)
    golden.add_fill(source, 50, 0.01)
    return value_and_gradients(regularizer, source, [0, 1])


def value_and_gradients(regularizer, source, old_ids):
    """Gradients in the published order."""
    tensors = golden.published_order(source)
    with tf.GradientTape() as tape:
        value = regularizer.distance(tf.constant(old_ids))
    gradients = tape.gradient(value, [variable.value for variable, _ in tensors], unconnected_gradients="zero")
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    rows = [row for _, row in tensors]
    return float(value), [each if row is None else each[row] for each, row in zip(gradients, rows, strict=True)]


@every_form
def test_golden_value_and_gradients(targets, gram):
    everything = golden_value(WHOLE, targets, gram)[0]
    np.testing.assert_allclose(everything, 0.000600905, rtol=2e-4)
    value, gradients = golden_value(TWO_HEADS, targets, gram)
    np.testing.assert_allclose(value, 0.000499392, rtol=2e-4)
    norms = [np.linalg.norm(gradient) for gradient in gradients]
    expected = [0.009032504, 0.012611219, 0.0, 0.028629271, 0.035681443, 0.044084051, 0.079800472, 0.007082247]
    np.testing.assert_allclose(norms, expected, rtol=3e-4)


# Chunks of 9 in a body of 30 with six heads: three whole chunks, one cut, and heads across chunks.
SIX_HEADS = [
    WeightSpec("body", (30,), "kernel", 1, 1),
    WeightSpec("head/kernel", (6, 3, 2), "kernel", 3, 1, per_head=True),
    WeightSpec("head/bias", (6, 2), "bias", 3, 1, per_head=True),
]


def changed(gram, targets="fixed", jit=False, **config):
    config = {"chunk_size": 9, "hidden_sizes": (5, 4), "activation": "tanh", **config}
    source = Hypernetwork(SIX_HEADS, HypernetworkConfig(**config), 6)
    regularizer = OutputRegularizer(source, RegularizerConfig(targets=targets), gram, jit)
    regularizer.remember(5)
    for index, variable in enumerate(source.variables):
        variable.assign_add(0.1 * golden.fill(index, tuple(variable.shape)))
    return regularizer, source


@pytest.mark.parametrize("config", [{}, {"use_bias": False}, {"chunk_embeddings": "per_task"}])
def test_gram_matrices_give_the_distance_of_the_weights_that_tasks_use(config):
    regularizer, source = changed(True, **config)
    assert regularizer.num_gram_chunks == 3
    value, gradients = value_and_gradients(regularizer, source, [0, 2, 4])
    before = Hypernetwork(SIX_HEADS, source.config, 6).generate_for(tf.constant([0, 2, 4]))
    np.testing.assert_allclose(regularizer.targets(tf.constant([0, 2, 4])), before, atol=1e-6)
    distances = np.sum((source.generate_for(tf.constant([0, 2, 4])) - before) ** 2, axis=1)
    np.testing.assert_allclose(value, distances.mean(), rtol=1e-5)
    direct, of_direct = value_and_gradients(*changed(False, **config), [0, 2, 4])
    np.testing.assert_allclose(direct, value, rtol=1e-5)
    for one, other in zip(gradients, of_direct, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_tiny_distance_is_not_lost_in_large_weights():
    source = Hypernetwork(SIX_HEADS, HypernetworkConfig(chunk_size=9, hidden_sizes=(4,)), 6)
    source.kernels[-1].assign(1000.0 * source.kernels[-1].value)
    regularizer = OutputRegularizer(source, RegularizerConfig(), gram=True)
    regularizer.remember(5)
    source.biases[-1].assign_add(1e-3 * tf.ones_like(source.biases[-1].value))
    np.testing.assert_allclose(float(regularizer.distance(tf.constant([1]))), 38 * 1e-6, rtol=0.1)


def test_quadratic_forms_and_gradients():
    rows, matrix = tf.constant(golden.fill(0, (6, 3))), tf.constant(golden.fill(1, (3, 20)))
    gram = matrix @ tf.transpose(matrix)
    with tf.GradientTape() as tape:
        tape.watch([rows, gram])
        value = 3.0 * quadratic_forms(rows, gram)
    with tf.GradientTape() as plain:
        plain.watch([rows, gram])
        expected = 3.0 * tf.reduce_sum((rows @ gram) * rows)
    np.testing.assert_allclose(value, expected)
    np.testing.assert_allclose(value, 3.0 * tf.reduce_sum(tf.square(rows @ matrix)))
    for one, other in zip(tape.gradient(value, [rows, gram]), plain.gradient(expected, [rows, gram]), strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize(
    ("chunk_size", "hidden", "num_tasks", "tasks_per_step", "pays"),
    [(200, 5, 6, None, True), (200, 5, 2, None, True), (20, 12, 6, None, False), (1200, 40, 6, 1, False)],
)
def test_the_form_with_fewer_operations_is_used(chunk_size, hidden, num_tasks, tasks_per_step, pays):
    specs = [WeightSpec("flat", (20 * chunk_size,), "kernel", 1, 1)]
    source = Hypernetwork(specs, HypernetworkConfig(chunk_size=chunk_size, hidden_sizes=(hidden,)), num_tasks)
    regularizer = OutputRegularizer(source, RegularizerConfig(tasks_per_step=tasks_per_step))
    assert (regularizer.num_gram_chunks > 0) == pays


def test_a_hypernetwork_without_hidden_layers_is_compared_directly():
    source = Hypernetwork(WHOLE, HypernetworkConfig(chunk_size=7, hidden_sizes=()), 3)
    assert OutputRegularizer(source, RegularizerConfig(), gram=True).num_gram_chunks == 0


@every_form
def test_blocks_of_tasks_add_up(targets, gram, monkeypatch):
    results = []
    for sizes in ((1,), (3, 2), (16, 4)):
        monkeypatch.setattr(task_blocks, "_TASKS_PER_BLOCK", sizes)
        regularizer, source = changed(gram, targets)
        results.append((regularizer.blocks.sizes, *value_and_gradients(regularizer, source, [0, 1, 2, 3, 4])))
    blocks, values, gradients = zip(*results, strict=True)
    assert blocks == ((1,), (3, 2), (5, 4))  # 16 are more than there are old tasks
    assert values[0] > 0.01
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    for each in zip(*gradients, strict=True):
        np.testing.assert_allclose(each[0], each[2], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(each[1], each[2], rtol=1e-4, atol=1e-6)


def test_blocks_of_large_networks_are_small(monkeypatch):
    monkeypatch.setattr(task_blocks, "_BLOCK_SIZE", 120)
    assert changed(gram=False)[0].blocks.sizes == (3,)


@every_form
def test_compiled_by_xla_nothing_changes(targets, gram):
    def results(jit):
        regularizer, source = changed(gram, targets, jit=jit)
        own = regularizer.weights_of(tf.constant(3))
        counts = [value_and_gradients(regularizer, source, list(range(number))) for number in (0, 1, 3, 5)]
        return [*own.values(), *(part for value, gradients in counts for part in (value, *gradients))]

    for one, other in zip(results(False), results(True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("gram", [False, True])
def test_a_network_is_no_distance_from_itself(gram, jit, monkeypatch):
    """Exactly: rounding errors would be gradients, which Adam scales up to whole steps of the old embeddings."""
    monkeypatch.setattr(task_blocks, "_TASKS_PER_BLOCK", (3, 2))
    config = HypernetworkConfig(chunk_size=9, hidden_sizes=(75, 40), activation="sigmoid")
    source = Hypernetwork(SIX_HEADS, config, 6)
    regularizer = OutputRegularizer(source, RegularizerConfig(), gram, jit)
    in_a_step = tf.function(regularizer.distance)
    for number in (1, 3, 4, 5):
        regularizer.remember(number)
        variables = [variable.value for variable in source.trainable_variables]
        with tf.GradientTape() as tape:
            value = in_a_step(tf.range(number))
        assert float(value) == 0.0
        assert not any(np.any(each) for each in tape.gradient(value, variables, unconnected_gradients="zero"))


@every_form
def test_memory_is_that_of_the_targets(targets, gram):
    regularizer, source = changed(gram, targets)
    kept = regularizer.kept_bytes()
    if targets == "online":
        assert kept == {"old_hypernetwork": 4 * source.count_params()}
    elif gram:
        assert kept == {"targets": 4 * (6 * (3 * 4 + 38 - 27) + (4 + 1) * 9)}
    else:
        assert kept == {"targets": 4 * 6 * 38}


@pytest.mark.parametrize("gram", [False, True])
def test_a_large_hypernetwork_is_regularised_in_a_loop_of_steps_without_xla(gram):
    """With this much memory in use, TensorFlow rewrites sums; see `_kept_apart` in the module."""
    size = 8_000_000
    config = HypernetworkConfig(chunk_size=size, hidden_sizes=(1,), task_embedding_size=1, chunk_embedding_size=1)
    source = Hypernetwork([WeightSpec("flat", (size,), "kernel", 1, 1)], config, 2)
    regularizer = OutputRegularizer(source, RegularizerConfig(), gram)
    variables = [variable.value for variable in source.trainable_variables]

    @tf.function
    def steps(num_old, count):
        total = tf.constant(0.0)
        for _ in tf.range(count):
            with tf.GradientTape() as tape:
                distance = regularizer.distance(tf.range(num_old))
            gradients = tape.gradient(distance, variables, unconnected_gradients="zero")
            total += tf.add_n([tf.reduce_sum(tf.convert_to_tensor(gradient)) for gradient in gradients])
        return total

    regularizer.remember(1)
    values = [float(steps(tf.constant(num_old), tf.constant(2))) for num_old in (0, 0, 1, 1)]
    assert values == [0.0, 0.0, 0.0, 0.0]
