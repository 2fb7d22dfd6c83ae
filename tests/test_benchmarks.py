"""What the benchmarks count, compare and write. No time is asserted."""

import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import methods, our_steps, page, plots, serving, shapes
from benchmarks.contestants import KINDS, Workbench, torch_modules
from benchmarks.floor import (
    Product,
    Steps,
    forward_products,
    hypernetwork_products,
    operations,
    regularizer_products,
    training_products,
)
from benchmarks.keras_steps import KerasStep
from benchmarks.rounds import Contestant, interleave
from benchmarks.shapes import Shape, random_stream
from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.hypernetworks.hypernetwork import Hypernetwork
from clrnn_tf.hypernetworks.output_regularizer import OutputRegularizer, RegularizerConfig
from clrnn_tf.methods.parts.fisher import FisherDiagonal
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, Task, TaskStream
from clrnn_tf.training.task_progress import zero_sums
from tests import tiny

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed; pip install -e '.[bench]' does it"
)
ROOT = Path(__file__).parent.parent
NETWORKS = {
    "elman": NetworkConfig(cell="elman", hidden_sizes=(5,)),
    "lstm": NetworkConfig(cell="lstm", hidden_sizes=(5,)),
    "bidirectional": NetworkConfig(cell="lstm", hidden_sizes=(5,), direction="bidirectional"),
}


ALL_STEPS = Steps(3, 3)


def shape(network="lstm", loss="softmax", **train):
    stream = tiny.stream(num_tasks=3, loss=loss)
    experiment = dataclasses.replace(tiny.experiment(strength=0.7, train=train), network=NETWORKS[network])
    return Shape("tiny", "tiny network", experiment, stream, "")


def test_products_of_an_lstm_step_are_those_counted_by_hand():
    # B = 7, T = 3, F = 2, H = 5, 4 gates, C = 4 outputs in each of 6 heads.
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,)), 2, 4, 6)
    forward = 2 * 21 * 20 + 3 * (7 * 5 * 20) + 21 * 5 * 4
    assert operations(forward_products(network, 7, ALL_STEPS)) == 2 * forward
    kernel_gradients, input_gradients = forward, forward - 2 * 21 * 20  # the data need no gradient
    config = TrainConfig(batch_size=7)
    expected = 2 * (forward + kernel_gradients + input_gradients)
    assert operations(training_products(network, config, ALL_STEPS)) == expected
    with_penalty = dataclasses.replace(config, orthogonal_strength=1.0)
    without = operations(training_products(network, config, ALL_STEPS))
    assert operations(training_products(network, with_penalty, ALL_STEPS)) - without == 2 * 2 * 4 * 5**3


def test_both_directions_read_the_data():
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,), direction="bidirectional"), 2, 4, 1)
    forward = 2 * (21 * 2 * 20 + 21 * 5 * 20) + 21 * 10 * 4
    expected = 3 * forward - 2 * 21 * 2 * 20
    assert operations(training_products(network, TrainConfig(batch_size=7), ALL_STEPS)) == 2 * expected


def test_products_of_an_elman_step_hold_its_output_layer():
    network = RecurrentNetwork(NetworkConfig(cell="elman", hidden_sizes=(5,)), 2, 4, 1)
    forward = 21 * 2 * 5 + 21 * 5 * 5 + 21 * 5 * 5 + 21 * 5 * 4
    assert operations(forward_products(network, 7, ALL_STEPS)) == 2 * forward
    products = training_products(network, TrainConfig(batch_size=7), ALL_STEPS)
    assert operations(products) == 2 * (3 * forward - 21 * 2 * 5)


def test_layers_after_the_recurrence_are_needed_where_steps_count():
    config = NetworkConfig(cell="elman", hidden_sizes=(5, 6), dense_after=(3,))
    forward = 21 * 2 * 5 + 21 * 5 * 5 * 2 + 21 * 5 * 6 + 21 * 6 * 6 + 7 * 6 * 6 + 7 * 6 * 3 + 7 * 3 * 4
    products = forward_products(RecurrentNetwork(config, 2, 4, 1), 7, Steps(3, 1))
    assert operations(products) == 2 * forward


def test_products_of_a_hypernetwork_are_those_counted_by_hand():
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,)), 2, 4, 1)  # 184 weights
    config = HypernetworkConfig(
        chunk_size=50, hidden_sizes=(6, 7), task_embedding_size=3, chunk_embedding_size=8
    )  # 4 chunks
    hypernetwork = Hypernetwork(network.weight_specs, config, num_tasks=9)
    first = 2 * 3 * 6 + 4 * 8 * 6  # two tasks; chunk embeddings once for both
    others = 2 * 4 * (6 * 7 + 7 * 50)
    assert operations(hypernetwork_products(hypernetwork, 2)) == 2 * 3 * (first + others)
    assert operations(hypernetwork_products(hypernetwork, 2, 3)) == 2 * 3 * (first + others - 2 * 3 * 7 * 50)
    direct, gram = (OutputRegularizer(hypernetwork, RegularizerConfig(), gram) for gram in (False, True))
    assert regularizer_products(direct, 0) == []
    assert regularizer_products(direct, 2) == hypernetwork_products(hypernetwork, 2)
    squares = 15 * 50 * 15 + 6 * 15 * 15  # 2 x 3 whole chunks
    expected = 3 * (first + others - 2 * 3 * 7 * 50) + 2 * squares
    assert operations(regularizer_products(gram, 2)) == 2 * expected


def test_recurrent_products_are_done_step_by_step():
    network = RecurrentNetwork(NetworkConfig(cell="lstm", hidden_sizes=(5,)), 2, 4, 1)
    products = training_products(network, TrainConfig(batch_size=7), ALL_STEPS)
    assert Product(7, 5, 20, 3) in products  # forwards
    assert Product(7, 20, 5, 3) in products  # backwards
    assert Product(5, 21, 20, 1) in products  # the kernel's gradient, in one


def test_contestants_take_equally_many_turns_and_a_failing_one_drops_out():
    def fail(steps):
        raise ValueError("does not compile\nand more")

    contestants = [
        Contestant("forward", "a", lambda steps: None, 4),
        Contestant("forward", "b", lambda steps: None),
        Contestant("forward", "c", fail),
    ]
    outcome = interleave(contestants, seconds=0.0, probe=lambda: {"large": 1.0})
    assert [timing.variant for timing in outcome.timings] == ["a", "b"]
    assert [timing.turns for timing in outcome.timings] == [3, 3]
    assert outcome.timings[0].steps_per_turn % 4 == 0
    assert len(outcome.probes) == 3
    assert outcome.failures == {("forward", "c"): "ValueError: does not compile"}


def batches_of_different_lengths():
    stream = tiny.stream(num_tasks=1)
    return [Batch(*(f.numpy() for f in batch)) for batch in stream[0].train.batches(16, 0, 0).take(2)]


def test_batches_from_memory_are_repeated():
    batches = batches_of_different_lengths()
    repeated = list(our_steps.repeated(batches).take(5))
    assert len(repeated) == 5
    for number, batch in enumerate(repeated):
        np.testing.assert_array_equal(batch.inputs, batches[number % 2].inputs)


def losses_of_ours(bench, task_id, num_steps):
    iterator = iter(our_steps.batches_of_any_length(our_steps.repeated(bench.batches)))
    one, sums = tf.constant(1), zero_sums(bench.trainer.step.loss_names)
    return [
        float(
            bench.trainer.train_steps(iterator, tf.constant(task_id), tf.constant(step), one, sums)[0].losses["total"]
        )
        for step in range(num_steps)
    ]


def move(trainer):
    """Away from the targets of the old tasks, where the regulariser has gradients."""
    generator = np.random.default_rng(5)
    for variable in trainer.variables:
        variable.assign_add(generator.normal(0.0, 0.05, variable.shape).astype(np.float32))


@needs_torch
@pytest.mark.parametrize("style", ["LoopNetwork", "FusedNetwork"])
@pytest.mark.parametrize(
    ("network", "loss", "orthogonal"),
    [("elman", "sigmoid", 0.3), ("lstm", "softmax", 0.2), ("bidirectional", "softmax", 0)],
)
def test_hnet_steps_in_pytorch_are_ours(style, network, loss, orthogonal):
    networks, steps = torch_modules()
    bench = Workbench(shape(network, loss, orthogonal_strength=orthogonal, clip_norm=0.5))
    make = steps.HNETStep if style == "LoopNetwork" else steps.BatchedHNETStep
    targets = make(getattr(networks, style)(bench.trainer.model.network), bench.trainer, 2).targets
    move(bench.trainer)
    step = make(getattr(networks, style)(bench.trainer.model.network), bench.trainer, 2)
    step.targets = targets
    theirs = [step(steps.TorchBatch.of(bench.batches[0])) for _ in range(4)]
    np.testing.assert_allclose(theirs, losses_of_ours(bench, 2, 4), rtol=1e-4)
    assert theirs[3] < theirs[0]


def tuner_loss(bench):
    batches = iter(our_steps.batches_of_any_length(our_steps.repeated(bench.batches[:1]).take(1)))
    return float(bench.tuner.evaluate.totals(batches, tf.constant(2))[0]) / len(bench.batches[0].lengths)


@needs_torch
@pytest.mark.parametrize("network", NETWORKS)
def test_fine_tuning_in_pytorch_starts_from_our_loss(network):
    networks, steps = torch_modules()
    bench = Workbench(shape(network))
    batch = steps.TorchBatch.of(bench.batches[0])
    loop = networks.LoopNetwork(bench.tuner.model.network)
    for step in (
        steps.LoopFineTuningStep(loop, bench.tuner, 2),
        steps.ModulesFineTuningStep(loop, bench.tuner, 2, packed=True),
    ):
        np.testing.assert_allclose(step.evaluate(batch), tuner_loss(bench), rtol=1e-5)
        first, second = step(batch), step(batch)
        assert second < first


@pytest.mark.parametrize("network", NETWORKS)
def test_fine_tuning_with_keras_layers_starts_from_our_loss(network):
    bench = Workbench(shape(network))
    step = KerasStep(bench.tuner, 2, jit=False)
    batch = Batch(*map(tf.constant, bench.batches[0]))
    expected = tuner_loss(bench)
    first, second = step(batch), step(batch)
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    assert second < first


def test_our_contestants_run():
    experiment = shape().experiment
    stream = random_stream(3, 4, 2, 3)
    bench = Workbench(Shape("random", "", experiment, stream, ""))
    for kind in ("hnet_first", "hnet_all", "fine_tuning", "forward"):
        bench.contestant(kind, "ours").run(2)
    bench.contestant("fine_tuning", "ours_from_memory").run(2)


def test_an_evaluation_covers_the_whole_test_split():
    bench = Workbench(Shape("random", "", shape().experiment, random_stream(3, 4, 2, 3), ""))
    evaluated = []
    bench.tuner.evaluate = lambda task, source: evaluated.append((task.task_id, source))
    contestant = bench.contestant("forward", "ours")
    examples = sum(len(batch.lengths) for batch in bench.test_batches)
    assert contestant.cycle == len(bench.test_batches)
    assert examples * 4 >= 50_000
    contestant.run(2 * contestant.cycle)
    assert evaluated == [(2, bench.shape.stream[2].test)] * 2


@pytest.mark.parametrize("compiled", [True, pytest.param(False, marks=needs_torch)])
def test_fisher_loops_measure_what_ours_measures(compiled, monkeypatch):
    monkeypatch.setattr(methods, "NUM_SEQUENCES", 9)
    bench = Workbench(shape("elman", length_blocks=1))
    model, task = bench.tuner.model, bench.shape.stream[0]
    expected = FisherDiagonal(model, "data", None, 0, jit=False, num_sequences=9).measure(task)
    measure = methods.FisherLoop(model, task, 9) if compiled else methods._torch_fisher(bench.tuner, task)
    for name, value in measure().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-7)


def test_tagging_is_measured_without_real_data_as_well(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    bench = Workbench(shapes.pos())
    assert "starter treebank" in bench.shape.title
    assert bench.batches[0].inputs.shape[2] == bench.test_batches[0].inputs.shape[2] == 64
    assert bench.tuner.config.batch_size == 64
    assert next(iter(bench.shape.stream[0].train.in_order(64, 0))).inputs.shape[2] == 64


def test_steps_of_other_methods_run():
    stream = random_stream(2, 4, 2, 3)
    contestants = methods.step_contestants(Shape("random", "", shape().experiment, stream, ""))
    assert [each.variant for each in contestants] == list(methods.METHODS)
    for each in contestants:
        each.run(2)


def test_a_step_that_is_not_finite_is_no_measurement():
    def make_batch(fields):
        weights = tf.ones_like(fields["inputs"][..., 0])
        return Batch(fields["inputs"], fields["targets"], weights, weights, fields["lengths"], tf.constant(0))

    arrays = {
        "inputs": np.full((8, 3, 2), np.nan, np.float32),
        "targets": np.zeros((8, 3), np.int32),
        "lengths": np.full(8, 3, np.int32),
    }
    source = ArraySplit(arrays, make_batch)
    stream = TaskStream("nan", (Task(0, "t", source, source),), 2, 3, "softmax", "made up")
    bench = Workbench(Shape("nan", "", shape().experiment, stream, ""))
    with pytest.raises(ArithmeticError, match="not finite"):
        bench.contestant("hnet_first", "ours").run(1)


def made_up_results():
    pairs = [(kind, v) for kind in KINDS for v in ("ours", "torch_loop")] + [("hnet_all", "ours_from_memory")]
    times = {("hnet_all", "ours"): 20.0, ("hnet_all", "ours_from_memory"): 19.0, ("hnet_all", "torch_loop"): 70.0}
    single = {"median_ms": 4.0, "p99_ms": 6.0, "count": 9}
    shape = {
        "title": "A network",
        "published_steps": "5 x 7",
        "num_tasks": 2,
        "mean_time_steps": 3.0,
        "gflops": 100.0,
        "floors": {kind: {"gflop": 0.5, "large_ms": 8.0, "shapes_ms": 16.0} for kind in KINDS},
        "rows": [{"kind": kind, "variant": v, "median_ms": times.get((kind, v), 5.0)} for kind, v in pairs],
        "failures": [{"kind": "fine_tuning", "variant": "keras_jit", "error": "ValueError: no"}],
        "single_steps": dict.fromkeys(("hnet_first", "hnet_all", "fine_tuning"), single),
        "alone": [{"kind": "hnet_all", "variant": "ours", "compile_s": 3.21, "peak_mib": 123.4}],
    }
    facts = {"floor_ms": 5.0, "peak_mib": 50.0, "process_mib": 500.0, "compile_s": 1.0}
    growth = [{"x": number, "ours": 10 + 0.25 * number, **facts} for number in (1, 10, 100)]
    others = {
        "title": "A network",
        "steps": {"fine_tuning": 20.0, "si": 23.0},
        "fisher": {"ours": 8.0, "torch_loop": 400.0},
        "failures": {"compiled_loop": "ValueError: no"},
    }
    return {
        "date": "2026-01-02",
        "machine": {"cpu": "A processor", "cores": 2},
        "versions": {"tensorflow": "2.20"},
        "shapes": {"copy": shape},
        "growth": {"tasks": growth},
        "methods": {"methods_copy": others},
    }


def test_the_page_states_ratios(tmp_path):
    results = json.loads(json.dumps(made_up_results()))
    page.write(results, tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    all_old = next(line for line in text.splitlines() if line.startswith("| HNET step, all old tasks | 20.0"))
    assert [cell.strip() for cell in all_old.strip("|").split("|")] == [
        "HNET step, all old tasks",
        "20.0",
        "0.50",
        "8.00",
        "16.0",
        "2.50",
        "1.25",
        "70.0 (3.50x)",
        "–",
    ]
    assert "| HNET step, all old tasks | 4.00 | 6.00 | 1.50 | 9 | 5.0 % |" in text
    assert "| HNET step, all old tasks | clrnn_tf | 3.2 | 123 |" in text
    assert "Keras layer, jit failed: `ValueError: no`" in text
    assert "0.250 ms per old task" in text
    assert "2 cores of A processor" in text
    assert "| si | 23.0 | 1.15 |" in text
    assert "| PyTorch, loops | 400.0 | 50.0 |" in text
    assert "compiled_loop failed: `ValueError: no`" in text


def test_plots_are_drawn_for_what_was_measured(tmp_path):
    paths = plots.draw(made_up_results()["growth"], tmp_path / "plots")
    assert [path.name for path in paths] == ["tasks.png"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_quick_measurement_writes_results_and_page(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "chunk", "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    rows = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["growth"]["chunk"]
    assert [row["x"] for row in rows] == [2500, 8000]
    assert "weights per chunk" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "plots" / "chunk.png").exists()


def test_tasks_arrive_all_alike_or_by_their_rank():
    uniform, ranked = (np.bincount(serving.arrivals(kind, 4, (50, 800)).ravel()) for kind in ("uniform", "Zipf"))
    np.testing.assert_allclose(uniform / 40_000, np.full(4, 0.25), atol=0.01)
    np.testing.assert_allclose(ranked / 40_000, np.array([12, 6, 4, 3]) / 25, atol=0.01)


@pytest.mark.slow
def test_models_of_few_and_of_more_tasks_are_measured_in_turns(capsys):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    serving.measure("copy", [2, 100], serving.WARM_UP_ROUNDS + 3)
    said = capsys.readouterr().out
    assert said.count("\n|---|") == 3 and "A task more takes" in said
    size = int(said.partition("A task more takes ")[2].partition(" ")[0])
    assert 128 <= size <= 500  # an embedding, and a name
    assert "| of all 100 tasks | 64 tasks |" in said and "| of all 100 tasks | Zipf | 1 |" in said
