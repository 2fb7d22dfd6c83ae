"""The task of the lowest entropy is taken, and its answers are scored, right task or not."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.network import Outputs
from clrnn_tf.networks.weight_sources import WeightSource
from clrnn_tf.outputs import OUTPUT_KINDS
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch, Task, TaskStream
from clrnn_tf.task_inference import InferenceScores, TaskInference
from tests import tiny
from trainers import copy_task
from trainers.inference import inference_table
from trainers.run import main


class Scaled(WeightSource):
    """A weight for each task, which stands for a whole network."""

    def __init__(self, scales):
        super().__init__(())
        self.scales = tf.constant(scales)

    def call(self, task_id):
        return {"scale": tf.gather(self.scales, task_id)}


class ScaledLogits:
    """A network whose logits are its inputs times one weight for each output."""

    num_heads = 1

    def __init__(self, num_outputs):
        self.num_outputs = num_outputs

    def __call__(self, weights, inputs, lengths, head_ids, last_steps=None):
        return Outputs(inputs * weights["scale"], (), (), inputs)


def inference_of(scales, loss="softmax"):
    return TaskInference(TaskModel(ScaledLogits(len(scales[0])), Scaled(scales), loss), len(scales))


def numpy_entropies(loss, logits):
    logits = np.asarray(logits, np.float64)
    if loss == "softmax":
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        return -np.sum(p * np.log(p), -1)
    p = 1 / (1 + np.exp(-logits))
    return -np.sum(p * np.log(p) + (1 - p) * np.log(1 - p), -1)


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_entropies_are_those_of_the_probabilities(loss):
    logits = np.random.default_rng(0).normal(0, 3, (2, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(OUTPUT_KINDS[loss].entropy(logits), numpy_entropies(loss, logits), rtol=1e-5)
    sure = OUTPUT_KINDS[loss].entropy(tf.constant([[[1e4, -1e4, -1e4]]]))
    np.testing.assert_allclose(sure, 0.0, atol=1e-6)
    most = {"softmax": np.log(3), "sigmoid": 3 * np.log(2)}[loss]
    np.testing.assert_allclose(OUTPUT_KINDS[loss].entropy(tf.zeros([1, 1, 3])), most, rtol=1e-6)


def test_linear_outputs_have_no_entropy():
    with pytest.raises(ConfigurationError, match="an entropy needs outputs that are probabilities. Received: linear"):
        OUTPUT_KINDS["linear"].entropy(tf.zeros([1, 1, 3]))


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_the_surest_network_answers(loss):
    scales = np.array([[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0], [0.0, 0.0, 0.0]], np.float32)
    inputs = np.zeros((3, 2, 3), np.float32)
    for row, task_id in enumerate((2, 0, 1)):
        inputs[row, :, task_id] = 5.0
    inferred = inference_of(scales, loss)(inputs, tf.constant([2, 2, 1]))
    np.testing.assert_array_equal(inferred.task_ids, [2, 0, 1])
    for row, (task_id, length) in enumerate(((2, 2), (0, 2), (1, 1))):
        expected = inputs[row, :length] * scales[task_id]
        np.testing.assert_allclose(inferred.logits[row, :length], expected, rtol=1e-6)
    expected = numpy_entropies(loss, inputs[np.newaxis] * scales[:, np.newaxis, np.newaxis])  # [K, B, T]
    expected[:, 2, 1] = expected[:, 2, 0]  # the last sequence has one step
    np.testing.assert_allclose(inferred.entropies, expected.mean(-1), rtol=1e-5)


def test_only_weighted_steps_decide_and_the_first_of_equals_is_taken():
    inputs = np.zeros((2, 2, 2), np.float32)
    inputs[:, 0, 0], inputs[:, 1, 1] = 3.0, 9.0  # step 0 is clear to task 0 alone, step 1 to task 1
    inference = inference_of(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32))
    steps = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(inference(inputs, tf.constant([2, 2]), steps).task_ids, [0, 1])
    np.testing.assert_array_equal(inference(inputs, tf.constant([2, 2])).task_ids, [1, 1])


def test_only_given_tasks_are_chosen_from():
    scales = np.array([[0.5, 0.5], [0.6, 0.6], [9.0, 9.0]], np.float32)
    model = TaskModel(ScaledLogits(2), Scaled(scales), "softmax")
    inputs = tf.constant([[[1.0, 0.0]]])
    assert [int(TaskInference(model, k)(inputs, tf.constant([1])).task_ids[0]) for k in (2, 3)] == [1, 2]


def own_inputs(task_id, seed, num_examples):
    """Symbols of the task's own third of nine, answered by which of the three it is, in an order of its own."""
    generator = np.random.default_rng([seed, task_id, 5])
    symbols = generator.integers(0, 3, (num_examples, 5)).astype(np.int32)
    lengths = generator.integers(2, 6, num_examples).astype(np.int32)
    relabel = tf.constant(np.roll(np.arange(3), task_id), tf.int32)

    def make_batch(fields):
        mask = tf.sequence_mask(fields["lengths"], tf.shape(fields["symbols"])[1], tf.float32)
        scored = mask * tf.cast(fields["symbols"] != 0, tf.float32)
        inputs = tf.one_hot(fields["symbols"] + 3 * task_id, 9) * mask[..., None]
        return Batch(inputs, tf.gather(relabel, fields["symbols"]), mask, scored, fields["lengths"], tf.constant(0))

    return ArraySplit({"symbols": symbols, "lengths": lengths}, make_batch, length_buckets=(3,))


def separated_stream():
    tasks = tuple(Task(k, f"t{k}", own_inputs(k, 0, 200), own_inputs(k, 1, 50)) for k in range(3))
    return TaskStream("separated", tasks, 9, 3, "softmax", "generated for tests")


@pytest.fixture(scope="module")
def trained():
    """HNET after three tasks whose inputs have nothing in common, trained just enough to be wrong of some tasks."""
    stream = separated_stream()
    trainer = build_trainer(tiny.experiment("hnet", strength=1.0, train={"steps": 50}), stream)
    for task in stream:
        trainer.fit(task)
    return trainer, stream, TaskInference(trainer.model, 3).evaluate(stream, 16)


def test_weights_of_all_tasks_are_those_of_each(trained):
    trainer, _, _ = trained
    together = TaskInference(trainer.model, 3).all_weights()
    for task_id in range(3):
        for name, value in trainer.model.source(tf.constant(task_id)).items():
            np.testing.assert_allclose(together[name][task_id], value, atol=1e-6)


def test_scores_are_those_of_a_loop_over_tasks(trained):
    trainer, stream, scores = trained
    for task in stream:
        batch = next(iter(task.test.in_order(50, task.task_id)))
        counted = batch.eval_weights.numpy()
        logits = np.stack([trainer.model(batch.inputs, batch.lengths, tf.constant(k)).logits.numpy() for k in range(3)])
        sums = (numpy_entropies("softmax", logits) * counted).sum(-1)  # [K, B]
        chosen = np.argmin(sums, axis=0)
        with_steps = counted.sum(-1) > 0
        expected = np.bincount(chosen[with_steps], minlength=3)
        np.testing.assert_array_equal(scores.counts[task.task_id], expected)
        answers = logits[chosen, np.arange(50)].argmax(-1)
        right = (answers == batch.targets.numpy()) * counted
        np.testing.assert_allclose(scores.joint[task.task_id], 100 * right.sum() / counted.sum(), rtol=1e-6)
        assert 0 < with_steps.sum() < 50  # some sequences have nothing to score


def test_tasks_with_inputs_of_their_own_are_found(trained):
    trainer, stream, scores = trained
    assert scores.found.mean() > 60  # chance is 33
    known = [trainer.evaluate(task, task.test).accuracy for task in stream]
    assert min(known) > 95
    assert scores.joint.mean() < np.mean(known)
    assert scores.joint.mean() > 60


def test_sums_of_a_run_by_hand():
    scores = InferenceScores(("a", "b"), np.array([[3, 1], [2, 2]]), np.array([80.0, 50.0]))
    assert scores.to_dict() == {
        "mean_inference_accuracy": 62.5,
        "mean_joint_accuracy": 65.0,
        "inference_accuracy": [75.0, 50.0],
        "joint_accuracy": [80.0, 50.0],
        "inferred_counts": [[3, 1], [2, 2]],
    }
    printed = io.StringIO()
    Console(file=printed, width=120).print(inference_table(scores, np.array([90.0, 70.0])))
    for part in ("75.00", "80.00", "62.50", "65.00", "8 sequences", "chance finds 50.00 %"):
        assert part in printed.getvalue(), part


@pytest.mark.parametrize(("method", "ngrams"), [("masking", False), ("from_scratch", False), ("hnet", True)])
def test_other_sources_and_inputs_can_be_inferred(method, ngrams):
    stream = tiny.stream(2, ngrams=ngrams, validation=False)
    trainer = build_trainer(tiny.experiment(method, network={"heads": "single"}), stream)
    scores = TaskInference(trainer.model, 2).evaluate(stream, 25)
    np.testing.assert_array_equal(scores.counts.sum(1), [40, 40])
    inferred = TaskInference(trainer.model, 2)
    batch = next(iter(stream[1].test.in_order(9, 1)))
    result = inferred(batch.inputs, batch.lengths)
    for row, task_id in enumerate(result.task_ids.numpy()):
        own = trainer.model(batch.inputs, batch.lengths, tf.constant(task_id)).logits
        np.testing.assert_allclose(result.logits[row], own[row], atol=1e-5)


@pytest.mark.parametrize("method", ["fine_tuning", "si", "multitask"])
def test_networks_that_are_one_cannot_be_told_apart(method):
    def model_of(network):
        return build_trainer(tiny.experiment(method, network=network), tiny.stream(2)).model

    with pytest.raises(ConfigurationError, match="networks that differ by task"):
        TaskInference(model_of({"heads": "single"}), 2)
    for network in ({"heads": "multi"}, {"heads": "single", "task_id_input": True}):
        assert TaskInference(model_of(network), 2).num_tasks == 2


def test_inference_needs_tasks_and_probabilities():
    trainer = build_trainer(tiny.experiment("hnet"), tiny.stream(2))
    with pytest.raises(ConfigurationError, match="at least 2 tasks to choose from. Received: 1"):
        TaskInference(trainer.model, 1)
    model = TaskModel(trainer.model.network, trainer.model.source, "linear")
    with pytest.raises(ConfigurationError, match="probabilities. Received: linear"):
        TaskInference(model, 2)


SMALL = [
    "--data.num-tasks",
    "2",
    "--data.num-train",
    "100",
    "--data.num-test",
    "20",
    "--data.num-validation",
    "20",
    "--train.steps",
    "4",
    "--network.hidden-sizes",
    "8",
    "--train.jit",
    "off",
]


def test_a_finished_run_can_be_tested_without_its_tasks_later(tmp_path, capsys):
    at_once, later = tmp_path / "at_once", tmp_path / "later"
    arguments = ["--preset", "hnet_short", *SMALL]
    assert main(copy_task.BENCHMARK, [*arguments, "--out", str(at_once), "--infer-task"]) == 0
    assert "task found" in capsys.readouterr().out
    assert main(copy_task.BENCHMARK, [*arguments, "--out", str(later)]) == 0
    assert "task_inference" not in json.loads((later / "results.json").read_text())
    assert "task found" not in capsys.readouterr().out
    assert main(copy_task.BENCHMARK, ["--out", str(later), "--resume", "--infer-task"]) == 0
    assert "task found" in capsys.readouterr().out
    results = [json.loads((path / "results.json").read_text()) for path in (at_once, later)]
    for result in results:
        result.pop("timing")
    assert results[0] == results[1]
    inferred = results[0]["task_inference"]
    assert len(inferred["inference_accuracy"]) == len(inferred["joint_accuracy"]) == 2
    assert np.sum(inferred["inferred_counts"]) == 40


def test_a_run_whose_tasks_cannot_be_inferred_ends_before_it_begins(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["--method", "fine_tuning", *SMALL, "--network.heads", "single", "--infer-task", "--out", str(out)]
    assert main(copy_task.BENCHMARK, arguments) == 2
    assert "networks that differ by task" in capsys.readouterr().err
    assert not out.exists()


def test_every_source_says_whether_it_depends_on_the_task():
    expected = {"fine_tuning": False, "masking": True, "hnet": True, "context_mod": True, "from_scratch": True}
    for method, depends in expected.items():
        trainer = build_trainer(tiny.experiment(method, network={"heads": "single"}), tiny.stream(2))
        assert trainer.model.depends_on_task is depends, method


def test_a_stream_may_have_more_tasks_than_there_are_to_choose_from():
    stream = separated_stream()
    trainer = build_trainer(tiny.experiment("hnet"), stream)
    scores = TaskInference(trainer.model, 2).evaluate(stream, 16)
    assert scores.task_names == ("t0", "t1")
    assert scores.counts.shape == (2, 2)
    assert inference_table(scores, np.zeros(2)).row_count == 3
