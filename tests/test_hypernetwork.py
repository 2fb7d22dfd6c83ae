import keras
import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig, NetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weights import WeightSpec, unpack, unpack_task
from tests import golden

SMALL = [WeightSpec("a", (2, 3), "kernel", 2, 0.5), WeightSpec("b", (2,), "bias", 2, 0.5)]


def make(config, num_tasks=2, specs=SMALL, seed=0):
    return Hypernetwork(specs, HypernetworkConfig(**config), num_tasks, seed)


def test_golden_full_mlp():
    hypernetwork = make({"chunk_size": None, "hidden_sizes": (4,), "task_embedding_size": 3})
    golden.fill_hypernetwork(hypernetwork)
    generated = hypernetwork.generate(tf.constant([0, 1]))
    assert hypernetwork.count_params() == 62
    expected = [
        [0.658307560, 0.631132633, 0.297691826, 0.202574672, 0.351409946, 0.223279798, -0.248041002, -0.513142019],
        [0.511340141, 0.529279063, 0.426188788, 0.327730298, 0.245609112, 0.078937904, -0.168415596, -0.354360596],
    ]
    np.testing.assert_allclose(generated, expected, atol=2e-7)


CHUNKED = {"chunk_size": 5, "chunk_embedding_size": 2, "task_embedding_size": 3, "hidden_sizes": (4,)}


def test_golden_chunked_mlp():
    hypernetwork = make(CHUNKED)
    golden.fill_hypernetwork(hypernetwork)
    assert hypernetwork.count_params() == 59
    expected = [
        [0.606186534, 0.689571998, 0.360410436, 0.155508903, 0.280156277, 0.506848622, 0.552254898, 0.434846819],
        [0.524364603, 0.576467645, 0.421721656, 0.279731632, 0.241372009, 0.468999988, 0.499935854, 0.463207748],
    ]
    np.testing.assert_allclose(hypernetwork.generate(tf.constant([0, 1])), expected, atol=2e-7)


def test_golden_chunk_embeddings_per_task():
    hypernetwork = make({**CHUNKED, "chunk_embeddings": "per_task"})
    golden.fill_hypernetwork(hypernetwork)
    expected = [0.468999988, 0.499935854, 0.463207748, 0.363786645, 0.215128727, 0.468999988, 0.499935854, 0.463207748]
    np.testing.assert_allclose(hypernetwork.generate(tf.constant([1]))[0], expected, atol=2e-7)


def test_golden_sigmoid_without_bias():
    hypernetwork = make({**CHUNKED, "hidden_sizes": (4, 3), "activation": "sigmoid", "use_bias": False})
    golden.fill_hypernetwork(hypernetwork)
    expected = [0.282313015, 0.796156679, 0.425727458, -0.417547445, -0.797062018, 0.282561872, 0.79585354, 0.425209012]
    np.testing.assert_allclose(hypernetwork.generate(tf.constant([1]))[0], expected, atol=2e-7)


@pytest.mark.parametrize(
    ("network", "shape", "config", "published_params", "published_ratio"),
    [
        # One bias per sum makes the main networks 256 (Copy, PoS), 1024 (SMNIST) or 128 (AudioSet) weights smaller.
        ({"cell": "elman"}, (8, 7, 5), {"chunk_size": 2500}, 135316, 0.947),
        (
            {"cell": "elman", "heads": "single"},
            (8, 7, 5),
            {"chunk_size": 2500, "chunk_embedding_size": 16},
            133540,
            0.984,
        ),
        (
            {"cell": "elman"},
            (8, 7, 5),
            {"chunk_size": 4000, "hidden_sizes": (60, 60, 30), "task_embedding_size": 16},
            133662,
            0.935,
        ),
        (
            {"cell": "lstm"},
            (4, 2, 5),
            {"chunk_size": 10000, "hidden_sizes": (25, 25), "chunk_embedding_size": 16},
            262483,
            0.969,
        ),
        (
            {"cell": "lstm", "hidden_sizes": (32,)},
            (128, 10, 10),
            {"chunk_size": 2000, "hidden_sizes": (10, 10)},
            23496,
            0.978,
        ),
        (
            {"cell": "lstm", "hidden_sizes": (32,), "direction": "bidirectional"},
            (64, 17, 20),
            {"chunk_size": 190, "hidden_sizes": (75, 125), "chunk_embedding_size": 8},
            39147,
            0.830,
        ),
    ],
)
def test_published_parameter_counts_and_ratios(network, shape, config, published_params, published_ratio):
    main = RecurrentNetwork(NetworkConfig(**network), *shape)
    hypernetwork = Hypernetwork(main.weight_specs, HypernetworkConfig(**config), shape[2])
    published_weights = round(published_params / published_ratio)
    published_chunks = -(-published_weights // hypernetwork.chunk_size)
    fewer_chunks = published_chunks - hypernetwork.num_chunks
    assert fewer_chunks in (0, 1, 2)
    size = hypernetwork.config.chunk_embedding_size
    assert hypernetwork.count_params() == published_params - fewer_chunks * size
    assert abs(hypernetwork.compression_ratio - published_ratio) < 0.006


def test_no_task_is_allowed():
    assert make(CHUNKED).generate(tf.zeros([0], tf.int32)).shape == (0, 8)


def test_call_cuts_the_vector_into_the_tensors_of_the_specs():
    hypernetwork = make(CHUNKED)
    flat = hypernetwork.generate(tf.constant([1]))[0].numpy()
    weights = hypernetwork(tf.constant(1))
    np.testing.assert_array_equal(weights["a"], flat[:6].reshape(2, 3))
    np.testing.assert_array_equal(weights["b"], flat[6:])


@pytest.mark.parametrize("extra", [{}, {"chunk_embeddings": "per_task"}, {"chunk_size": None}])
def test_add_task_changes_nothing_for_the_others(extra):
    hypernetwork = make({**CHUNKED, **extra})
    before = hypernetwork(tf.constant(1))["a"].numpy()
    assert hypernetwork.add_task() == 2
    np.testing.assert_array_equal(hypernetwork(tf.constant(1))["a"], before)
    assert np.abs(hypernetwork(tf.constant(2))["a"].numpy() - before).max() > 0
    at_once = make({**CHUNKED, **extra}, num_tasks=3)
    assert hypernetwork.count_params() == at_once.count_params()
    for one, other in zip(hypernetwork.embeddings(), at_once.embeddings(), strict=True):
        np.testing.assert_array_equal(one, other)


HEADS = [
    WeightSpec("body", (5, 7), "kernel", 5, 0.5),
    WeightSpec("head/kernel", (6, 7, 2), "kernel", 7, 0.5, per_head=True),
    WeightSpec("head/bias", (6, 2), "bias", 7, 0.5, per_head=True),
]


@pytest.mark.parametrize("chunk_size", [None, 4, 5, 9, 60, 200])
@pytest.mark.parametrize("chunk_embeddings", ["shared", "per_task"])
def test_a_task_gets_the_body_and_its_own_head(chunk_size, chunk_embeddings):
    hypernetwork = make({**CHUNKED, "chunk_size": chunk_size, "chunk_embeddings": chunk_embeddings}, 6, HEADS)
    ids = tf.constant([4, 0, 5, 4])
    whole, own = hypernetwork.generate(ids).numpy(), hypernetwork.generate_for(ids).numpy()
    assert own.shape == (4, 5 * 7 + 7 * 2 + 2)
    for row, task_id in enumerate(ids.numpy()):
        expected = unpack(tf.constant(whole[row]), HEADS)
        received = unpack_task(tf.constant(own[row]), HEADS)
        np.testing.assert_allclose(received["body"], expected["body"], atol=1e-6)
        for name in ("head/kernel", "head/bias"):
            np.testing.assert_allclose(received[name], expected[name][task_id : task_id + 1], atol=1e-6)


def test_a_multi_head_network_has_no_head_for_another_task():
    with pytest.raises(ConfigurationError, match="a network of 6 heads has none for another task"):
        make(CHUNKED, 6, HEADS).add_task()


def test_config_round_trip():
    hypernetwork = make({**CHUNKED, "activation": "elu", "task_embedding_std": 0.3}, num_tasks=3, seed=4)
    copy = Hypernetwork.from_config(hypernetwork.get_config())
    np.testing.assert_array_equal(copy.generate(tf.range(3)), hypernetwork.generate(tf.range(3)))
    serialized = keras.saving.serialize_keras_object(hypernetwork)
    again = keras.saving.deserialize_keras_object(serialized)
    assert again.config == hypernetwork.config
    assert again.specs == hypernetwork.specs


def test_initial_values_are_within_the_published_ranges():
    specs = [WeightSpec("w", (200, 300), "kernel", 200, 1)]
    hypernetwork = make({"chunk_size": 500, "chunk_embedding_std": 0.1}, specs=specs)
    assert np.abs(hypernetwork.kernels[1].numpy()).max() <= 1 / np.sqrt(50)
    assert np.abs(hypernetwork.biases[0].numpy()).max() <= 1 / 8
    assert 0.09 < hypernetwork.shared_chunk_embeddings.numpy().std() < 0.11


def test_dropout_is_a_function_of_its_key_and_keeps_the_mean():
    config = {"chunk_size": 40, "dropout": 0.3, "activation": "linear", "hidden_sizes": (400,)}
    hypernetwork = make(config, specs=[WeightSpec("w", (20, 30), "kernel", 20, 1)])
    task, key = tf.constant([0]), tf.constant([3, 4])
    plain = hypernetwork.generate(task).numpy()
    np.testing.assert_array_equal(hypernetwork.generate(task, key), hypernetwork.generate(task, key))
    draws = np.mean([hypernetwork.generate(task, tf.constant([3, i])).numpy() for i in range(200)], axis=0)
    assert np.abs(hypernetwork.generate(task, key).numpy() - plain).max() > 0.05
    assert np.abs(draws - plain).mean() < 0.1 * np.abs(plain).std() + 0.05


@pytest.mark.parametrize("mode", ["hyperfan_in", "hyperfan_out", "hyperfan_harmonic"])
@pytest.mark.parametrize("chunk_size", [None, 2000])
def test_hyperfan_gives_generated_kernels_the_wanted_variance(mode, chunk_size):
    specs = [WeightSpec("wide", (50, 400), "kernel", 50, 1), WeightSpec("tall", (400, 50), "kernel", 400, 1)]
    config = {
        "chunk_size": chunk_size,
        "initializer": mode,
        "hidden_sizes": (300, 300),
        "task_embedding_size": 16,
        "task_embedding_std": 1.0 if chunk_size is None else 0.01,
        "chunk_embedding_size": 64,
    }
    measured = {spec.name: [] for spec in specs}
    for seed in range(4 if chunk_size else 8):
        hypernetwork = make(config, num_tasks=8 if chunk_size is None else 1, specs=specs, seed=seed)
        for task_id in range(hypernetwork.num_tasks):
            for name, value in hypernetwork(tf.constant(task_id)).items():
                measured[name].append(np.mean(np.square(value)))
    for spec in specs:
        gain = 1.0 if chunk_size is None else 2.0  # c / (2 m_in) for full, c / m_in for chunked hypernetworks
        fan_in, fan_out = gain / spec.fan_in, 2.0 / spec.shape[1]
        wanted = {
            "hyperfan_in": fan_in,
            "hyperfan_out": fan_out,
            "hyperfan_harmonic": 2 / (1 / fan_in + 1 / fan_out),
        }[mode]
        assert 0.5 * wanted < np.mean(measured[spec.name]) < 2.0 * wanted, spec.name


@pytest.mark.parametrize("mode", ["hyperfan_in", "hyperfan_out", "hyperfan_harmonic"])
def test_an_added_task_starts_with_the_variance_that_hyperfan_wants(mode):
    """200 x 200: fan-in and fan-out agree on a standard deviation of sqrt(2 / 200) = 0.1."""
    config = {
        "chunk_size": 1000,
        "hidden_sizes": (64, 64),
        "chunk_embeddings": "per_task",
        "task_embedding_size": 0,
        "chunk_embedding_size": 16,
        "initializer": mode,
    }
    specs = [WeightSpec("w", (200, 200), "kernel", 200, 1)]
    grown = make(config, num_tasks=2, specs=specs)
    grown.add_task()
    assert np.std(grown.generate(tf.range(3)), axis=1) == pytest.approx([0.1] * 3, rel=0.1)
    at_once = make(config, num_tasks=3, specs=specs)
    np.testing.assert_array_equal(grown.embeddings().of_chunks, at_once.embeddings().of_chunks)


def test_hyperfan_warns_when_task_embeddings_are_too_large():
    with pytest.warns(UserWarning, match="task_embedding_std = 1.0 is too large"):
        make({"chunk_size": 50, "initializer": "hyperfan_in"}, specs=[WeightSpec("w", (400, 50), "kernel", 400, 1)])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"chunk_size": 0}, "hypernetwork.chunk_size must be above 0, or None for a full hypernetwork. Received: 0"),
        ({"task_embedding_size": 0}, "hypernetwork.task_embedding_size must be at least 1. Received: 0"),
        ({"dropout": 1.0}, r"hypernetwork.dropout must be in \[0, 1\). Received: 1.0"),
    ],
)
def test_bad_settings(config, message):
    with pytest.raises(ConfigurationError, match=message):
        HypernetworkConfig(**config)
