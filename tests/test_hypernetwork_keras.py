"""The hypernetwork as a Keras layer: task ids of all kinds, shapes, saving and loading, training by `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.networks.weights import WeightSpec

LINEAR = [WeightSpec("kernel", (3, 2), "kernel", 3, 0.5), WeightSpec("bias", (2,), "bias", 3, 0.5)]
TWO_HEADS = [
    WeightSpec("body", (2, 3), "kernel", 2, 0.5),
    WeightSpec("head/kernel", (2, 3, 2), "kernel", 3, 0.5, per_head=True),
]
CONFIGS = [
    {},
    {"chunk_embeddings": "per_task"},
    {"chunk_embeddings": "per_task", "task_embedding_size": 0},
    {"chunk_size": None},
    {"initializer": "hyperfan_in", "task_embedding_std": 0.1, "chunk_embeddings": "per_task"},
]


def make(num_tasks=3, num_added=0, specs=LINEAR, seed=1, **config):
    config = {"chunk_size": 3, "hidden_sizes": (6,), "task_embedding_size": 4, "chunk_embedding_size": 5, **config}
    hypernetwork = Hypernetwork(specs, HypernetworkConfig(**config), num_tasks, seed)
    for _ in range(num_added):
        hypernetwork.add_task()
    return hypernetwork


def moved(hypernetwork):
    """The same hypernetwork after something like training."""
    generator = np.random.default_rng(7)
    for variable in hypernetwork.variables:
        variable.assign_add(generator.normal(0.0, 0.1, variable.shape))
    return hypernetwork


def assert_same_weights(one, other):
    np.testing.assert_array_equal(one.generate(tf.range(one.num_tasks)), other.generate(tf.range(other.num_tasks)))


@keras.saving.register_keras_serializable(package="clrnn_tf.tests")
class GeneratedLinear(keras.layers.Layer):
    """y = x W + b with generated W [B, 3, 2] and b [B, 2]."""

    def __init__(self, hypernetwork, **kwargs):
        super().__init__(**kwargs)
        self.hypernetwork = hypernetwork

    def call(self, task_id, x):
        weights = self.hypernetwork(task_id)
        return tf.einsum("bi,bij->bj", x, weights["kernel"]) + weights["bias"]

    def get_config(self):
        return {**super().get_config(), "hypernetwork": keras.saving.serialize_keras_object(self.hypernetwork)}

    @classmethod
    def from_config(cls, config):
        hypernetwork = keras.saving.deserialize_keras_object(config.pop("hypernetwork"))
        return cls(hypernetwork, **config)


@keras.saving.register_keras_serializable(package="clrnn_tf.tests")
class UsersModel(keras.Model):
    """A subclassed model around a hypernetwork."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs["task_id"], inputs["x"])

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


def functional(hypernetwork):
    """Of Keras' own parts only, with the hypernetwork as one of the layers."""
    task_id, x = keras.Input((), dtype="int32", name="task_id"), keras.Input((3,), name="x")
    weights = hypernetwork(task_id)
    y = keras.ops.einsum("bi,bij->bj", x, weights["kernel"]) + weights["bias"]
    return keras.Model({"task_id": task_id, "x": x}, y)


def subclassed(hypernetwork):
    return UsersModel(GeneratedLinear(hypernetwork))


def regression_data():
    """Three tasks, each with its own linear map."""
    generator = np.random.default_rng(0)
    maps = generator.normal(0.0, 1.0, (3, 3, 2))
    task_id, x = generator.integers(0, 3, 192).astype(np.int32), generator.normal(0.0, 1.0, (192, 3)).astype(np.float32)
    return {"task_id": task_id, "x": x}, np.einsum("bi,bij->bj", x, maps[task_id]).astype(np.float32)


@pytest.mark.parametrize(
    "task_id",
    [1, np.int64(1), np.array(1, np.int32), tf.constant(1), tf.constant(1, tf.int64), 1.0, tf.constant(1.0)],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'dtype', '')}",
)
def test_a_task_id_may_be_any_scalar(task_id):
    hypernetwork = make()
    expected = hypernetwork.generate(tf.constant([1]))[0].numpy()
    weights = hypernetwork(task_id)
    np.testing.assert_array_equal(weights["kernel"], expected[:6].reshape(3, 2))
    np.testing.assert_array_equal(weights["bias"], expected[6:])


@pytest.mark.parametrize("task_ids", [[1, 0, 1, 1], np.array([1, 0, 1, 1]), tf.constant([1.0, 0.0, 1.0, 1.0])])
@pytest.mark.parametrize("specs", [LINEAR, TWO_HEADS])
def test_a_batch_of_ids_gives_each_example_the_weights_of_its_task(task_ids, specs):
    hypernetwork = make(2, specs=specs)
    weights = hypernetwork(task_ids)
    for index, task_id in enumerate([1, 0, 1, 1]):
        for name, expected in hypernetwork(task_id).items():
            np.testing.assert_allclose(weights[name][index], expected, atol=1e-6)
    assert {name: tuple(value.shape) for name, value in weights.items()} == hypernetwork.compute_output_shape((4,))


@pytest.mark.parametrize(
    ("task_id", "message"),
    [
        (5, r"task_id must be in \[0, 3\). Received: 5."),
        (-1, r"task_id must be in \[0, 3\). Received: -1."),
        (tf.constant([0, 3]), r"task_id must be in \[0, 3\). Received: 3."),
        (0.5, r"task_id must be in \[0, 3\). Received: 0.5."),
        (np.zeros((2, 1), np.int32), r"task_id must be a scalar or have shape \[B\]. Received: shape \(2, 1\)."),
    ],
)
def test_a_task_id_that_there_is_not(task_id, message):
    with pytest.raises(ValueError, match=message):
        make()(task_id)


def test_an_added_task_has_an_id_that_can_be_called():
    hypernetwork = make()
    hypernetwork(0)
    assert hypernetwork(hypernetwork.add_task())["kernel"].shape == (3, 2)


def test_a_compiled_function_takes_ids_that_only_run_time_knows():
    hypernetwork = make()
    compiled = tf.function(lambda task_id: hypernetwork(task_id)["kernel"])
    for task_id in range(3):
        np.testing.assert_allclose(compiled(tf.constant(task_id)), hypernetwork(task_id)["kernel"], atol=1e-6)
    assert compiled.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("build", [functional, subclassed])
def test_a_users_model_is_trained_by_fit_and_saved(build, tmp_path):
    model, (inputs, targets) = build(make()), regression_data()
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    losses = model.fit(inputs, targets, batch_size=32, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0))
    assert loaded.evaluate(inputs, targets, verbose=0) == pytest.approx(losses[-1], rel=0.5)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("build", [functional, subclassed])
def test_a_hypernetwork_that_has_grown_is_saved_and_loaded(build, config, tmp_path):
    hypernetwork = moved(make(2, num_added=2, **config))
    model = build(hypernetwork)
    inputs = {"task_id": tf.constant([3, 0, 2, 1]), "x": tf.constant(np.eye(4, 3, dtype=np.float32))}
    expected = model(inputs)
    keras.saving.save_model(model, tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    again = build(make(2, num_added=2, **config))
    again(inputs)
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(again(inputs), expected)


def test_a_model_around_a_hypernetwork_is_exported(tmp_path):
    model = functional(moved(make()))
    inputs = {"task_id": tf.constant([2, 0]), "x": tf.ones([2, 3])}
    expected = model(inputs)
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")
    np.testing.assert_allclose(served.serve(inputs), expected, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
def test_config_and_weights_of_a_hypernetwork_that_has_grown(config):
    hypernetwork = make(2, num_added=2, **config)
    assert hypernetwork.get_config()["num_tasks"] == 2
    assert hypernetwork.get_config()["num_added_tasks"] == 2
    copy = Hypernetwork.from_config(hypernetwork.get_config())
    assert_same_weights(copy, hypernetwork)
    copy.set_weights(moved(hypernetwork).get_weights())
    assert_same_weights(copy, hypernetwork)
    assert copy.add_task() == 4


@pytest.mark.parametrize("config", CONFIGS)
def test_copies_do_not_depend_on_when_tasks_were_added(config):
    grown, at_once = moved(make(2, num_added=2, **config)), make(4, seed=9, **config)
    at_once.copy_from(grown)
    assert_same_weights(at_once, grown)
    back = make(3, num_added=1, seed=11, **config)
    back.copy_from(at_once)
    assert_same_weights(back, grown)


def test_a_copy_of_another_number_of_tasks_is_refused():
    with pytest.raises(ConfigurationError, match="needs a hypernetwork of 3 tasks; use add_task. Received: 4"):
        make(3).copy_from(make(4))


def test_symbolic_shapes():
    weights = make(2, specs=TWO_HEADS)(keras.Input((), dtype="int32"))
    assert {name: value.shape for name, value in weights.items()} == {
        "body": (None, 2, 3),
        "head/kernel": (None, 1, 3, 2),
    }
