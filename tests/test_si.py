import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import si
from clrnn_tf.methods.base import MethodSetup
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weight_sources import SharedWeights
from clrnn_tf.networks.weights import WeightSpec
from clrnn_tf.optimizers import Adam
from clrnn_tf.recording.events import Observer
from clrnn_tf.training.trainer import Trainer
from tests import golden, tiny
from tests.test_network import network_of

SHAPES = {
    "w_ih": (4, 3),
    "b_ih": (4,),
    "w_hh": (4, 4),
    "b_hh": (4,),
    "w_ho": (4, 4),
    "b_ho": (4,),
    "w_out": (2, 4),
    "b_out": (2,),
}
GOLDEN = {
    "total_loss": (
        [1.970920817, 4.0720122, 40.310215529, 4.0720122, 8.782998293, 7.983695575, 14.676773627, 10.180903272],
        0.110929908,
    ),
    "task_loss": (
        [5.671383789, 11.758026952, 21.823718454, 11.758026952, 25.33393519, 23.243074287, 42.946163372, 29.427720132],
        0.235212172,
    ),
}


class PublishedNetwork:
    """V1's network with the published tensors as they are: two biases move more than our one would."""

    def __init__(self):
        self.config = NetworkConfig(cell="elman", hidden_sizes=(4,))
        self.num_outputs = 2
        self.weight_specs = tuple(
            WeightSpec(name, shape, "recurrent" if name == "w_hh" else "kernel", 1, 1.0)
            for name, shape in SHAPES.items()
        )
        self._network = network_of("elman", (4,), 3, 2)

    def __call__(self, weights, inputs, lengths, head_ids, **options):
        named = {
            "recurrent0/forward/kernel": tf.transpose(weights["w_ih"]),
            "recurrent0/forward/bias": weights["b_ih"] + weights["b_hh"],
            "recurrent0/forward/recurrent_kernel": tf.transpose(weights["w_hh"]),
            "recurrent0/forward/output_kernel": tf.transpose(weights["w_ho"]),
            "recurrent0/forward/output_bias": weights["b_ho"],
            "head/kernel": tf.transpose(weights["w_out"])[tf.newaxis],
            "head/bias": weights["b_out"][tf.newaxis],
        }
        return self._network(named, inputs, lengths, tf.constant(0), **options)


class GoldenSI(si.SI):
    def make_source(self):
        source = SharedWeights(self.setup.network.weight_specs)
        for tensor, value in zip(source.tensors, filled(0), strict=True):
            tensor.assign(value)
        return source


class Logs(Observer):
    def __init__(self):
        self.losses, self.norms = [], []

    def trained(self, log):
        self.losses.append(log.losses)
        self.norms.append(log.gradient_norm)


def filled(start):
    make = golden.Filled(start)
    return [make(*shape).astype(np.float32) for shape in SHAPES.values()]


@pytest.mark.parametrize("importance", GOLDEN)
def test_golden_importances(importance):
    """V11, through the real training step."""
    stream, network, logs = golden.stream(1), PublishedNetwork(), Logs()
    options = si.Config(strength=1.0, importance=importance)
    method = GoldenSI(MethodSetup(network, HypernetworkConfig(), stream, 0, options))
    config = TrainConfig(
        steps=3, batch_size=2, learning_rate=0.01, clip_norm=1.0, orthogonal_strength=0.5, log_every=1, jit="off"
    )
    Trainer(TaskModel(network, method.source, "softmax"), method, config, 0, [logs]).fit(stream[0])
    np.testing.assert_allclose(
        [each["task"] for each in logs.losses], [2.656772087, 2.552137339, 2.452834057], rtol=1e-6
    )
    np.testing.assert_allclose(
        [each["orthogonal"] for each in logs.losses], [1.606232686, 1.52329256, 1.453987887], rtol=1e-6
    )
    np.testing.assert_allclose(logs.norms[-1], 2.785534824, rtol=1e-5)
    sums = [0.290923717, 0.398021395, 0.020122977, -1.470355772, 0.336752205, 1.676009385, -1.681470546, -0.745053304]
    np.testing.assert_allclose([tf.reduce_sum(v) for v in method.variables_to_train()], sums, atol=2e-6)
    importances, value = GOLDEN[importance]
    np.testing.assert_allclose([tf.reduce_sum(each) for each in method.importances], importances, rtol=2e-5)
    for variable, change in zip(method.variables_to_train(), filled(70), strict=True):
        variable.assign_add(0.1 * change)
    _, penalties = method.weights_and_penalties(tf.constant(1), tf.constant(0))
    np.testing.assert_allclose(penalties["si_penalty"], value, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"l2": 0.1}])
def test_the_look_ahead_is_the_step_that_would_be_taken(options):
    variables = [tf.Variable([1.0, -2.0]), tf.Variable([3.0])]
    optimizer = Adam(variables, TrainConfig(**options))
    rate, accept = tf.constant(0.1), tf.constant(True)
    optimizer.apply([tf.constant([0.5, 0.0]), tf.constant([1.0])], rate, accept)
    gradients = [tf.constant([-0.3, 0.2]), tf.constant([2.0])]
    moments = [tf.identity(moment) for moment in optimizer.first_moments]
    (expected,) = optimizer.look_ahead(gradients[:1], rate)
    np.testing.assert_array_equal(moments[0], optimizer.first_moments[0])
    before = variables[0].numpy()
    optimizer.apply(gradients, rate, accept)
    np.testing.assert_allclose(variables[0] - before, expected, rtol=1e-5)


def test_a_step_that_is_refused_is_not_counted():
    stream, network = golden.stream(1), PublishedNetwork()
    method = GoldenSI(MethodSetup(network, HypernetworkConfig(), stream, 0, si.Config()))
    optimizer = Adam(method.variables_to_train(), TrainConfig())
    bad = [tf.fill(shape, np.nan) for shape in SHAPES.values()]
    method.before_update(bad, optimizer, tf.constant(0.1), tf.constant(False))
    assert all(not np.any(each.numpy()) for each in method.contributions)


def test_with_the_best_weights_come_their_contributions():
    stream = tiny.stream(1)
    trainer = build_trainer(tiny.experiment("si", train={"keep_best": True}), stream)
    validation = trainer.validation(stream)
    validation.run(1)
    for contribution in trainer.method.contributions:
        contribution.assign_add(tf.ones_like(contribution))
    validation.restore_best()
    assert all(not np.any(each.numpy()) for each in trainer.method.contributions)


def test_a_negative_strength_is_refused():
    with pytest.raises(ConfigurationError, match="si.strength must not be negative"):
        si.Config(strength=-1.0)
