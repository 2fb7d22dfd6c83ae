"""What every method promises. A new method adds its variants to CASES."""

import dataclasses
import functools
import shutil

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf import methods
from clrnn_tf.experiment import build_trainer
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer
from clrnn_tf.training.checkpoints import Checkpoints
from clrnn_tf.training.learning import learn
from export.all_tasks import AllTasks, largest_difference_of_all
from export.saved_model import export_task, largest_difference
from tests import tiny

SMALL_DECODER = {"latent_dim": 4, "decoder_cell": "elman", "decoder_hidden_sizes": (10,), "prior_strength": 0.1}
CASES = {
    "fine_tuning": ("fine_tuning", {}),
    "from_scratch": ("from_scratch", {}),
    "multitask": ("multitask", {}),
    "hnet": ("hnet", {"strength": 1.0}),
    "hnet, online": ("hnet", {"strength": 1.0, "targets": "online", "tasks_per_step": 1}),
    "hnet, separate heads": ("hnet", {"strength": 1.0, "heads": "separate"}),
    "si": ("si", {"strength": 1.0}),
    "si, total loss": ("si", {"strength": 1.0, "importance": "total_loss"}),
    "online_ewc": ("online_ewc", {"strength": 100.0}),
    "online_ewc, sampled": ("online_ewc", {"strength": 100.0, "labels": "sampled", "num_sequences": 50, "gamma": 0.5}),
    "masking": ("masking", {"fraction": 0.2}),
    "masking_si": ("masking_si", {"strength": 1.0, "fraction": 0.2}),
    "masking_ewc": ("masking_ewc", {"strength": 100.0, "fraction": 0.2}),
    "context_mod": ("context_mod", {}),
    "context_mod, frozen network": ("context_mod", {"train_network": "first_task", "gains": "softplus"}),
    "context_mod, hypernetwork": ("context_mod", {"context": "hypernetwork", "strength": 1.0, "tasks_per_step": 1}),
    "coresets": ("coresets", {"size": 5}),
    "coresets, step": ("coresets", {"size": 200, "normalize": "step"}),
    "generative_replay": (
        "generative_replay",
        {
            **SMALL_DECODER,
            "decoder_cell": "lstm",
            "decoder_dense_before": (6,),
            "decoder_dense_after": (8,),
            "decoder_orthogonal_strength": 0.1,
        },
    ),
    "hnet_replay": ("hnet_replay", {**SMALL_DECODER, "strength": 1.0}),
    "hnet_replay, online": (
        "hnet_replay",
        {**SMALL_DECODER, "strength": 1.0, "targets": "online", "tasks_per_step": 1},
    ),
}
# Tests of one variant share its run, so they go to one process.
EACH = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CASES]
WITHOUT_STRENGTH_IT_IS_FINE_TUNING = [
    name for name, (method, _) in CASES.items() if method in ("si", "online_ewc", "coresets")
]
every_method = pytest.mark.parametrize("name", EACH)


class Logs(Observer):
    def __init__(self):
        self.logs = []

    def trained(self, log):
        self.logs.append(log)


def trainer_of(name, stream, train=None, **more):
    method, options = CASES[name]
    train = {"steps": 30, "log_every": 10, **(train or {})}
    return build_trainer(tiny.experiment(method, train=train, **{**options, **more}), stream, [Logs()])


def values(trainer):
    return [variable.numpy() for variable in (*trainer.variables, *trainer.method.state_variables())]


def assert_equal(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


@functools.cache
def stream_of(num_tasks=3):
    return tiny.stream(num_tasks, validation=False)


class Run(Observer):
    """A method that learned three tasks, with what it was after each."""

    def __init__(self, name, directory):
        self.trainer = trainer_of(name, stream_of())
        self.values, self.kept_bytes = [], []
        self.trainer.observers.append(self)
        checkpoints = CopyingCheckpoints(directory / "all", self.trainer, every=7)
        self.directory = directory / "copy"
        self.matrix = learn(stream_of(), self.trainer, checkpoints=checkpoints)
        self.logs = self.trainer.observers[0].logs

    def task_learned(self, result, matrix):
        self.values.append(values(self.trainer))
        self.kept_bytes.append(self.trainer.method.kept_bytes())


class CopyingCheckpoints(Checkpoints):
    """Copies the files as they are in the middle of the second task, or towards the end of the only one."""

    def steps_done(self, progress):
        super().steps_done(progress)
        if (self.learned, progress.step) in ((1, 14), (0, 77)):
            self.wait()
            shutil.copytree(self.directory, self.directory.with_name("copy"))


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    return functools.cache(lambda name: Run(name, tmp_path_factory.mktemp("run")))


def test_every_method_is_in_the_table():
    assert {method for method, _ in CASES.values()} == set(methods.names())


@every_method
def test_the_loss_falls_and_all_losses_are_logged(name, run_of):
    run = run_of(name)
    first, last = (run.logs[i].losses for i in (0, 2))
    assert last["task"] < 0.9 * first["task"]
    assert set(first) == {"total", "task", *run.trainer.method.loss_names}
    np.testing.assert_allclose(2 * first["total"], sum(first.values()), rtol=1e-5)


@every_method
def test_one_compiled_step_serves_all_tasks(name, run_of):
    trainer = run_of(name).trainer
    compiled = (trainer.train_steps, trainer.step.task_loss.program, trainer.step.update)
    for function in (*compiled, trainer.evaluate.totals, trainer.evaluate.scores):
        assert function.experimental_get_tracing_count() == 1


@every_method
def test_a_run_continued_inside_a_task_goes_on_like_one_that_went_through(name, run_of):
    straight = run_of(name)
    trainer = trainer_of(name, stream_of())
    checkpoints = Checkpoints(straight.directory, trainer)
    start = checkpoints.latest(len(straight.matrix.rows))
    assert start.position == ((0, 77) if name == "multitask" else (1, 14))
    learned = start.position.learned
    matrix = ResultMatrix(straight.matrix.task_names, rows=straight.matrix.rows[:learned], joint=straight.matrix.joint)
    learn(stream_of(), trainer, matrix=matrix, start=start)
    assert_equal(values(trainer), straight.values[-1])
    logs = trainer.observers[0].logs
    assert len(logs) == (2 if name == "multitask" else 5)
    for log, other in zip(logs, straight.logs[-len(logs) :], strict=True):
        assert dataclasses.replace(log, task=None, seconds_per_step=0) == dataclasses.replace(
            other, task=None, seconds_per_step=0
        )
    for metric in ("accuracy", "loss"):
        np.testing.assert_array_equal(matrix.scores(metric), straight.matrix.scores(metric))


@pytest.mark.parametrize("name", [each for each in EACH if each.values[0] in WITHOUT_STRENGTH_IT_IS_FINE_TUNING])
def test_strength_zero_is_fine_tuning_and_a_positive_one_is_not(name, run_of):
    trainer = trainer_of(name, stream_of(), strength=0.0)
    for task in stream_of().tasks[:2]:
        trainer.fit(task)
    fine_tuned = run_of("fine_tuning").values[1]
    assert_equal([variable.numpy() for variable in trainer.variables], fine_tuned)
    regularized = run_of(name)
    assert_equal(regularized.values[0][: len(fine_tuned)], run_of("fine_tuning").values[0])
    changes = [np.abs(a - b).max() for a, b in zip(fine_tuned, regularized.values[1], strict=False)]
    assert max(changes) > 1e-3
    penalty = regularized.trainer.method.loss_names[0]
    assert all(log.losses[penalty] == 0 for log in regularized.logs if log.task.task_id == 0)
    assert regularized.logs[-1].losses[penalty] > 0


@every_method
def test_an_exported_model_equals_its_source(name, run_of, tmp_path):
    model = run_of(name).trainer.model
    path = export_task(model, stream_of(), 1, tmp_path)
    assert largest_difference(model, stream_of(), 1, path) < 1e-5


@every_method
def test_the_model_of_all_tasks_equals_its_source(name, run_of):
    model = run_of(name).trainer.model
    by_task_id = AllTasks(model, stream_of()).functions["by_task_id"]
    assert largest_difference_of_all(model, stream_of(), by_task_id) < 1e-5


UNDER_XLA = [
    each if each.values[0] == "si" else pytest.param(*each.values, marks=[*each.marks, pytest.mark.slow])
    for each in EACH
    if each.values[0] == CASES[each.values[0]][0]
]


@pytest.mark.parametrize("name", UNDER_XLA)
def test_every_method_learns_under_xla_as_without(name, run_of):
    trainer = trainer_of(name, stream_of(), train={"jit": "on", "length_blocks": 1})
    for task in trainer.method.tasks(stream_of())[:2]:
        trainer.fit(task)
    logs = trainer.observers[0].logs
    assert all(np.isfinite(value) for log in logs for value in log.losses.values())
    for log, other in zip(logs[:3], run_of(name).logs, strict=False):  # later, rounding errors have grown
        assert log.losses["task"] == pytest.approx(other.losses["task"], rel=0.05)


@every_method
def test_a_single_task_can_be_learned(name):
    stream = stream_of(1)
    trainer = trainer_of(name, stream, train={"steps": 3})
    matrix = learn(stream, trainer)
    assert np.isfinite(matrix.scores("loss")).all()


@every_method
def test_batches_may_be_smaller_than_the_number_of_old_tasks(name):
    stream = stream_of()
    trainer = trainer_of(name, stream, train={"steps": 3, "batch_size": 1})
    for task in trainer.method.tasks(stream):
        trainer.fit(task)
    assert all(np.isfinite(value).all() for value in values(trainer))


@every_method
def test_kept_memory_is_counted(name, run_of):
    run = run_of(name)
    assert all(isinstance(size, int) and size > 0 for kept in run.kept_bytes for size in kept.values())
    if name in ("from_scratch", *WITHOUT_STRENGTH_IT_IS_FINE_TUNING):
        assert sum(run.kept_bytes[-1].values()) > 0


def test_fixed_targets_take_as_much_as_networks_of_their_own(run_of):
    run = run_of("hnet")
    assert run.kept_bytes[-1]["targets"] == run.trainer.method.facts()["separate_networks_bytes"]


def test_networks_from_scratch_forget_nothing_and_start_alike_only_by_chance(run_of):
    run = run_of("from_scratch")
    scores = run.matrix.scores("loss")
    for row in range(3):
        np.testing.assert_array_equal(scores[row, : row + 1], np.diagonal(scores)[: row + 1])
    fine_tuning = run_of("fine_tuning")
    assert_equal(run.values[0][:3], fine_tuning.values[0][:3])  # the first task is the same
    networks = run.trainer.method.source.stored.numpy()
    assert np.abs(networks[1] - networks[2]).max() > 1e-2
    weights = run.trainer.model.source(tf.constant(2))
    np.testing.assert_array_equal(
        np.concatenate([weights[s.name].numpy().ravel() for s in run.trainer.model.source.specs]), networks[2]
    )


def test_joint_learning_has_final_scores_only(run_of):
    run = run_of("multitask")
    assert len(run.matrix.rows) == 1 and run.matrix.finished
    assert run.matrix.final().shape == (3,)
    assert np.isnan(run.matrix.during()).all()
    summary = run.matrix.summary()
    assert np.isnan(summary["mean_during_accuracy"]) and np.isnan(summary["forgetting"])
    assert summary["mean_final_accuracy"] > 60
    assert [log.step for log in run.logs] == list(range(10, 100, 10))
    assert {(log.task.name, log.num_steps) for log in run.logs} == {("all_tasks", 90)}
