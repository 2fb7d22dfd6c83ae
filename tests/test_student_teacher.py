import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.config import Experiment, NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import generative_replay
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.weight_sources import SharedWeights
from clrnn_tf.recording.comparisons import Comparison
from clrnn_tf.recording.report.entries import entry_of
from clrnn_tf.recording.report.tasks import task_table
from clrnn_tf.training.learning import learn
from data_pipelines import student_teacher
from data_pipelines.student_teacher import Config, draw_teacher, make_stream, teachers
from tests.pages import Page
from trainers.run import main
from trainers.student_teacher import BENCHMARK

SMALL = Config(num_tasks=3, input_width=4, output_width=3, num_steps=6, num_train=80, num_test=20, num_validation=10)


def arrays(split):
    """Inputs and targets [N, T, ...] in the order in which they were drawn."""
    return split._arrays["inputs"], split._arrays["targets"]


def test_published_sizes_and_seeds():
    stream = make_stream(Config())
    assert (stream.num_features, stream.num_outputs, len(stream)) == (7, 7, 5)
    task = stream[0]
    assert [split.num_examples for split in (task.train, task.test, task.validation)] == [10_000, 1000, 100]
    assert task.train.max_time == 10
    seeds = np.random.RandomState(42)
    assert [seeds.randint(10**6) for _ in range(5)] == [121958, 671155, 131932, 365838, 259178]
    state = np.random.RandomState(121958)  # A, B, C, then inputs [T, N, F] of training, test, validation
    bound = np.sqrt(3 / 7)
    a, b, c = (state.uniform(-bound, bound, (7, 7)) for _ in range(3))
    inputs = state.uniform(-1, 1, (10, 11_100, 7))
    h, expected = np.zeros(7), []
    for x in inputs[:, 10_003]:  # the fourth test sequence
        h = np.tanh(a @ h + x)
        expected.append(c @ np.tanh(b @ h))
    np.testing.assert_allclose(arrays(task.test)[0][3], inputs[:, 10_003], rtol=1e-6)
    np.testing.assert_allclose(arrays(task.test)[1][3], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nonlinearity", ["tanh", "linear", "sigmoid"])
@pytest.mark.parametrize("hidden_layer", [True, False])
def test_targets_are_the_teachers_answers(nonlinearity, hidden_layer):
    config = dataclasses.replace(SMALL, nonlinearity=nonlinearity, hidden_layer=hidden_layer, output_steps=9)
    s = {"tanh": np.tanh, "linear": lambda x: x, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}[nonlinearity]
    teacher = teachers(config)[1]
    inputs, targets = arrays(make_stream(config)[1].train)
    assert inputs.shape == (80, 9, 4) and targets.shape == (80, 9, 3)
    assert not inputs[:, 6:].any() and inputs[:, :6].all() and targets.all()
    r = np.zeros(4)
    for t in range(9):
        r = s(teacher.a @ r + inputs[5, t])
        z = s(teacher.b @ r) if hidden_layer else r
        np.testing.assert_allclose(targets[5, t], teacher.c @ z, rtol=1e-4, atol=1e-5)


def test_the_recurrent_matrix_is_as_asked():
    def a(**options):
        return draw_teacher(Config(input_width=5, **options), np.random.RandomState(3)).a

    np.testing.assert_allclose(a(orthogonal=True) @ a(orthogonal=True).T, np.eye(5), atol=1e-12)
    assert np.linalg.matrix_rank(a(rank=2)) == 2 and np.linalg.matrix_rank(a()) == 5
    assert np.linalg.norm(a(largest_singular_value=0.3), 2) == pytest.approx(0.3)
    both = np.linalg.svd(a(rank=2, largest_singular_value=3.0), compute_uv=False)
    assert both[0] == pytest.approx(3.0) and both[1] > 1e-3 and both[2] < 1e-12


def test_orthogonal_teachers_are_those_of_the_published_code():
    stats = pytest.importorskip("scipy.stats")
    expected = stats.ortho_group.rvs(5, random_state=np.random.RandomState(8))
    drawn = draw_teacher(Config(input_width=5, orthogonal=True), np.random.RandomState(8)).a
    np.testing.assert_allclose(drawn, expected, atol=1e-12)


def test_entries_of_low_rank_have_the_variance_of_others():
    """Each is a sum of `rank` products of two entries, whose variance 1 / n^2 is scaled to 1 / n."""
    state = np.random.RandomState(0)
    drawn = np.stack([draw_teacher(Config(input_width=6, rank=1), state).a for _ in range(2000)])
    assert drawn.var() == pytest.approx(1 / 6, rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_steps": 5}, "data.output_steps must be at least 10, the data.num_steps, or None. Received: 5."),
        ({"rank": 8}, r"data.rank must be in \[1, 7\], the data.input_width, or None. Received: 8."),
        ({"largest_singular_value": 0.0}, "data.largest_singular_value must be above 0, or None. Received: 0.0."),
        ({"orthogonal": True, "rank": 2}, "data.orthogonal excludes data.rank and data.largest_singular_value"),
        ({"num_tasks": 0}, "data.num_tasks must be above 0. Received: 0."),
        ({"input_limit": -1.0}, "data.input_limit must be above 0. Received: -1.0."),
        ({"data_seed": -1}, r"data.data_seed must be in \[0, 2\^32\). Received: -1."),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Config(**options)


def ideal_student(config, network):
    """Weights with which one network answers as all teachers: their units side by side, each head reading one's."""
    drawn, size, units = teachers(config), config.input_width, network.config.hidden_sizes[0]
    weights = {spec.name: np.zeros(spec.shape, np.float32) for spec in network.weight_specs}
    layer = "recurrent0/forward/"
    for k, teacher in enumerate(drawn):
        own = slice(k * size, (k + 1) * size)
        weights[f"{layer}kernel"][:, own] = np.eye(size)
        weights[f"{layer}recurrent_kernel"][own, own] = teacher.a.T
        weights[f"{layer}output_kernel"][own, own] = teacher.b.T
        weights["head/kernel"][k, own] = teacher.c.T
    assert units >= len(drawn) * size
    return weights


@pytest.mark.parametrize("options", [{}, {"orthogonal": True}, {"rank": 2, "output_steps": 8}])
def test_the_ideal_student_has_loss_0(options):
    config = dataclasses.replace(SMALL, **options)
    stream = make_stream(config)
    network = RecurrentNetwork(NetworkConfig(cell="elman", hidden_sizes=(15,)), 4, 3, len(stream))
    model = TaskModel(network, SharedWeights(network.weight_specs, 0), "linear")
    weights = {name: tf.constant(value) for name, value in ideal_student(config, network).items()}
    for task in stream:
        batch = next(iter(task.test.in_order(20, task.task_id)))
        scores = model.score(weights, model.prepare(batch, tf.constant(task.task_id)))
        assert float(tf.reduce_max(scores.losses)) < 1e-10
        other = model.score(weights, model.prepare(batch, tf.constant((task.task_id + 1) % 3)))
        assert float(tf.reduce_mean(other.losses)) > 0.1
        assert float(batch.loss_weights[0].numpy().sum()) == pytest.approx(1.0)


def test_generative_replay_learns_teachers_one_after_another():
    """The published code fails here with a KeyError."""
    stream = make_stream(dataclasses.replace(SMALL, num_tasks=2))
    experiment = Experiment(
        method="generative_replay",
        method_options=generative_replay.Config(latent_dim=4, decoder_cell="elman", decoder_hidden_sizes=(10,)),
        network=NetworkConfig(cell="elman", hidden_sizes=(16,)),
        train=TrainConfig(steps=40, batch_size=16, learning_rate=1e-2, jit="off"),
    )
    matrix = learn(stream, build_trainer(experiment, stream))
    losses = matrix.scores("loss")
    assert np.isfinite(losses).all()
    assert all(losses[k, k] < 0.5 * matrix.initial[k].loss for k in range(2))
    assert np.isnan(matrix.final()).all()


@pytest.mark.slow
def test_a_quick_run_of_the_command(tmp_path, capsys):
    sizes = "--data.num-train 60 --data.num-test 20 --data.num-validation 9 --data.num-tasks 2 --train.steps 10"
    words = f"--quick --preset hnet_short --train.jit off --out {tmp_path / 'run'} {sizes}".split()
    assert main(BENCHMARK, words) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert np.shape(results["loss"]) == (2, 2) and results["final_accuracy"] == [None, None]
    assert "nan" not in capsys.readouterr().out


def test_every_preset_can_be_made():
    for name, preset in BENCHMARK.presets.items():
        assert preset.experiment("student_teacher").method == preset.method, name
    assert student_teacher.quick(Config()).num_tasks == 3


def test_a_report_of_numbers_shows_the_explained_variance():
    matrix = ResultMatrix(("a", "b"), [Evaluation(2.0, math.nan, None, {"explained_variance": -80.0})] * 2)
    matrix.add([Evaluation(0.1, math.nan, None, {"explained_variance": 97.0})] * 2)
    assert matrix.headline == "explained_variance"
    page = Page(task_table(entry_of(Comparison("m", None, None, None, "", matrix))))
    assert "Test explained variance in percent" in page.text
    assert page.row("mean") == ["mean", "", "97.00", "97.00", "+0.00"]
    assert ResultMatrix(("a",), [Evaluation(2.0, 5.0)]).headline == "accuracy"
