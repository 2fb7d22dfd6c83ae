import contextlib
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.events import Observer
from clrnn_tf.streams.tasks import Task
from clrnn_tf.training.trainer import TrainingDivergedError
from tests import tiny


class Watcher(Observer):
    def __init__(self):
        self.logs, self.validations = [], []

    def trained(self, log):
        self.logs.append(log)

    def validated(self, log):
        self.validations.append(log)


def trainer_of(stream, **options):
    return build_trainer(tiny.experiment(**options), stream, [Watcher()])


def values(trainer):
    return [variable.numpy().copy() for variable in trainer.variables]


@pytest.mark.parametrize("method", ["fine_tuning", "hnet"])
@pytest.mark.parametrize(
    ("loss", "ngrams"), [("softmax", False), ("softmax", True), ("sigmoid", False), ("linear", False)]
)
def test_the_loss_falls_and_logs_say_so(method, loss, ngrams):
    stream = tiny.stream(loss=loss, ngrams=ngrams)
    trainer = trainer_of(stream, method=method, train={"steps": 120})
    before = trainer.evaluate(stream[0], stream[0].test)
    assert trainer.fit(stream[0]) == 120
    after = trainer.evaluate(stream[0], stream[0].test)
    assert after.loss < 0.7 * before.loss
    if loss != "linear":
        assert after.accuracy > before.accuracy + 15
    logs = trainer.observers[0].logs
    assert [log.step for log in logs] == [20, 40, 60, 80, 100, 120]
    assert logs[-1].losses["task"] < logs[0].losses["task"]
    total = logs[0].losses.pop("total")
    np.testing.assert_allclose(total, sum(logs[0].losses.values()), rtol=1e-5)
    assert np.isnan(logs[0].accuracy) == (loss == "linear")


@pytest.mark.parametrize("method", ["fine_tuning", "hnet"])
def test_the_second_task_does_not_retrace(method):
    stream = tiny.stream(3)
    trainer = trainer_of(stream, method=method)
    for task in stream:
        trainer.fit(task)
        trainer.evaluate(task, task.test)
    assert trainer.train_steps.experimental_get_tracing_count() == 1
    assert trainer.evaluate.totals.experimental_get_tracing_count() == 1
    assert trainer.step.task_loss.program.experimental_get_tracing_count() == 1


def test_splits_of_any_size_are_scored_by_the_same_functions():
    trainer = trainer_of(tiny.stream(1), method="fine_tuning", train={"jit": "off", "length_blocks": 2})
    splits = [tiny.source(0, 1, size, "softmax") for size in (30, 12, 7, 40, 9)]
    for split in splits:
        trainer.evaluate(Task(0, "t0", split, split), split)
    assert trainer.evaluate.scores.experimental_get_tracing_count() == 1
    assert trainer.evaluate.totals.experimental_get_tracing_count() == 2  # batches of an odd size are not halved


def test_fine_tuning_forgets_and_hnet_remembers():
    stream = tiny.stream(2)
    accuracies = {}
    for method, options in (("fine_tuning", {"network": {"heads": "single"}}), ("hnet", {"strength": 10.0})):
        trainer = trainer_of(stream, method=method, train={"steps": 250}, **options)
        trainer.fit(stream[0])
        during = trainer.evaluate(stream[0], stream[0].test).accuracy
        trainer.fit(stream[1])
        accuracies[method] = (during, trainer.evaluate(stream[0], stream[0].test).accuracy)
    assert accuracies["fine_tuning"][0] > 85 and accuracies["hnet"][0] > 85
    assert accuracies["fine_tuning"][1] < 50
    assert accuracies["hnet"][1] > accuracies["hnet"][0] - 6


def test_runs_are_a_function_of_the_seed():
    stream = tiny.stream(1)

    def trained(seed):
        trainer = trainer_of(stream, seed=seed, hypernetwork={"dropout": 0.2})
        trainer.fit(stream[0])
        return values(trainer)

    first, again, other = trained(3), trained(3), trained(4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(first, other, strict=True))


def test_logging_more_often_changes_nothing():
    stream = tiny.stream(1)
    results = []
    for log_every in (7, 40):
        trainer = trainer_of(stream, train={"log_every": log_every})
        trainer.fit(stream[0])
        results.append(values(trainer))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_calls_become_short_when_the_machine_becomes_slow(monkeypatch):
    trainer = build_trainer(tiny.experiment("fine_tuning", train={"steps": 80}), tiny.stream())
    clock, ends = SimpleNamespace(now=0.0), []

    def takes(batches, task_id, step, count, *sums):
        clock.now += int(count) * (0.01 if int(step) < 40 else 1.0)
        return train_steps(batches, task_id, step, count, *sums)

    train_steps = trainer.train_steps
    monkeypatch.setattr(trainer, "train_steps", takes)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    checkpoints = SimpleNamespace(
        stop=SimpleNamespace(between_steps=contextlib.nullcontext),
        steps_to_next=lambda _: math.inf,
        steps_done=lambda progress: ends.append(progress.step),
    )
    task = tiny.stream()[0]
    trainer.train(task, trainer.begin(task), checkpoints)
    assert ends == [1, 20, 40, 60, *range(62, 81, 2)]


def test_xla_and_plain_graph_agree():
    stream = tiny.stream(1)
    results = []
    for jit in ("on", "off"):
        trainer = trainer_of(stream, train={"jit": jit, "steps": 10})
        trainer.fit(stream[0])
        results.append(values(trainer))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_bfloat16_learns_like_float32_and_keeps_variables_in_float32():
    stream = tiny.stream(1)
    accuracies, variables = {}, {}
    for precision in ("float32", "bfloat16"):
        trainer = trainer_of(stream, train={"precision": precision, "steps": 160, "jit": "auto"})
        trainer.fit(stream[0])
        assert {variable.dtype for variable in trainer.variables} == {tf.float32}
        accuracies[precision] = trainer.evaluate(stream[0], stream[0].test).accuracy
        variables[precision] = values(trainer)[0]
    assert accuracies["float32"] > 85
    assert abs(accuracies["bfloat16"] - accuracies["float32"]) < 5
    assert np.abs(variables["bfloat16"] - variables["float32"]).max() > 1e-4


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU computes bfloat16 without XLA")
def test_bfloat16_without_xla_is_refused_on_a_cpu():
    with pytest.raises(ConfigurationError, match="train.jit auto or on"):
        trainer_of(tiny.stream(1), train={"precision": "bfloat16", "jit": "off"})


def test_evaluation_equals_numpy():
    stream = tiny.stream(2)
    trainer = trainer_of(stream)
    evaluation = trainer.evaluate(stream[1], stream[1].test)
    loss = right = scored = 0.0
    confusion = np.zeros((3, 3))
    for batch in stream[1].test.in_order(7, 1):
        logits = trainer.model(batch.inputs, batch.lengths, tf.constant(1)).logits.numpy()
        probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        for b, t in zip(*np.nonzero(batch.eval_weights.numpy()), strict=True):
            target = int(batch.targets[b, t])
            loss -= np.log(probabilities[b, t, target])
            right += logits[b, t].argmax() == target
            confusion[target, logits[b, t].argmax()] += 1
            scored += 1
    np.testing.assert_allclose(evaluation.loss, loss / 40, rtol=1e-5)
    np.testing.assert_allclose(evaluation.accuracy, 100 * right / scored, rtol=1e-6)
    np.testing.assert_array_equal(evaluation.confusion, confusion)


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(poison):
    stream = tiny.stream(1)
    trainer = trainer_of(stream)
    trainer.fit(stream[0])
    trainer.variables[-1].assign(tf.zeros_like(trainer.variables[-1]) + (np.nan if poison == "loss" else 1e30))
    before = values(trainer)
    with pytest.raises(TrainingDivergedError, match="the loss of task t0 is not finite at step 0"):
        trainer.fit(stream[0])
    for a, b in zip(before, values(trainer), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keep_best_ends_with_the_weights_of_the_best_validation():
    stream, ended_lower = tiny.stream(1), []
    for seed in range(3):
        trainer = trainer_of(stream, train={"keep_best": True, "steps": 200, "learning_rate": 1.0})
        trainer.seed = seed
        trainer.fit(stream[0])
        accuracies = [log.evaluation.accuracy for log in trainer.observers[0].validations]
        assert trainer.evaluate(stream[0], stream[0].validation).accuracy == max(accuracies)
        ended_lower.append(accuracies[-1] < max(accuracies))
    assert any(ended_lower)  # the learning rate is high enough for the two to differ


def test_early_stopping_counts_validations_without_gain():
    stream = tiny.stream(1)
    trainer = trainer_of(stream, train={"early_stopping": 2, "steps": 2000, "learning_rate": 0.05})
    steps = trainer.fit(stream[0])
    scores = [log.evaluation.accuracy for log in trainer.observers[0].validations]
    assert steps < 2000
    assert max(scores[:-2]) >= max(scores[-2:])


def test_without_a_validation_split_there_are_no_validations():
    stream = tiny.stream(1, validation=False)
    trainer = trainer_of(stream)
    trainer.fit(stream[0])
    assert trainer.observers[0].validations == []


def test_a_task_trains_its_own_ngram_table_only():
    stream = tiny.stream(2, ngrams=True)
    trainer = trainer_of(stream)
    before = trainer.model.embedding.tables.numpy()
    trainer.fit(stream[1])
    change = np.abs(trainer.model.embedding.tables.numpy() - before).max(axis=1)
    assert change[:8].max() == 0
    assert change[9:15].min() > 0
    assert change[8] == 0  # bucket 0 is padding


def test_strength_zero_differs_from_a_positive_one():
    stream = tiny.stream(2)
    results = []
    for strength in (0.0, 5.0):
        trainer = trainer_of(stream, strength=strength)
        trainer.fit(stream[0])
        trainer.fit(stream[1])
        results.append(values(trainer))
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(*results, strict=True))
    assert trainer.observers[0].logs[-1].losses["output_regularizer"] > 0
