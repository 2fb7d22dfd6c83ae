"""What other methods add to a fine-tuning step, and the Fisher information beside a loop over sequences."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from benchmarks.contestants import HAS_TORCH, torch_modules
from benchmarks.our_steps import training_from_pipeline
from benchmarks.rounds import Contestant
from benchmarks.shapes import Shape
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import context_mod, coresets, fine_tuning, masking, masking_si, online_ewc, si
from clrnn_tf.methods.parts.fisher import FisherDiagonal
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weights import Weights
from clrnn_tf.streams.tasks import Batch, Task
from clrnn_tf.training.trainer import Trainer

METHODS: Mapping[str, object] = {
    "fine_tuning": fine_tuning.Config(),
    "online_ewc": online_ewc.Config(strength=100.0, num_sequences=64),
    "si": si.Config(strength=0.01),
    "masking": masking.Config(fraction=0.2),
    "masking_si": masking_si.Config(strength=0.01, fraction=0.2),
    "coresets": coresets.Config(strength=1.0, size=100),
    "context_mod": context_mod.Config(),
}
FISHER = {"ours": "clrnn_tf", "compiled_loop": "compiled step in a loop", "torch_loop": "PyTorch, loops"}
NUM_SEQUENCES = 200


def step_contestants(shape: Shape) -> list[Contestant]:
    """A step on the second task of every method, what it keeps of the first being there."""
    return [Contestant("step", name, _second_task(shape, name)) for name in METHODS]


def fisher_contestants(shape: Shape) -> list[Contestant]:
    """The Fisher information over `NUM_SEQUENCES` sequences, which is one step here."""
    trainer, task = _trainer(shape, "fine_tuning"), shape.stream[0]
    ours = FisherDiagonal(trainer.model, "data", None, 0, jit=True, num_sequences=NUM_SEQUENCES)
    runs = {
        "ours": lambda: ours.measure(task),
        "compiled_loop": FisherLoop(trainer.model, task, NUM_SEQUENCES),
    }
    if HAS_TORCH:
        runs["torch_loop"] = _torch_fisher(trainer, task)
    return [Contestant("fisher", name, _times(run)) for name, run in runs.items()]


class FisherLoop:
    """The diagonal of the Fisher information, one sequence after another through a step compiled by XLA.

    Args:
      model: The model.
      task: Its training sequences are used.
      number: How many; those that `FisherDiagonal` takes with seed 0.
    """

    def __init__(self, model: TaskModel, task: Task, number: int) -> None:
        self._model, self._task_id = model, tf.constant(task.task_id)
        self._batches = list(task.train.batches(1, 0, task.task_id).take(number))

    def __call__(self) -> Weights:
        """F by the names of the weights."""
        weights = self._model.source(self._task_id)
        sums = {spec.name: tf.zeros(spec.shape) for spec in self._model.network.weight_specs}
        for batch in self._batches:
            sums = self._add_squares(sums, weights, batch)
        return {name: value / len(self._batches) for name, value in sums.items()}

    @tf.function(jit_compile=True)
    def _add_squares(self, sums: Weights, weights: Weights, batch: Batch) -> Weights:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits = self._model.network(weights, batch.inputs, batch.lengths, self._task_id).logits
            losses = self._model.outputs.sequence_losses(logits, batch.targets, batch.loss_weights)
            loss = tf.reduce_sum(losses)
        gradients = tape.gradient(loss, weights)
        return {name: value + gradients[name] ** 2 for name, value in sums.items()}


def _second_task(shape: Shape, method: str) -> Callable[[int], None]:
    trainer = _trainer(shape, method)
    trainer.fit(shape.stream[0])
    trainer.method.before_task(shape.stream[1])
    return training_from_pipeline(trainer, shape, 1)


def _trainer(shape: Shape, method: str) -> Trainer:
    experiment = shape.fine_tuning
    train = dataclasses.replace(experiment.train, steps=2)
    experiment = dataclasses.replace(experiment, method=method, method_options=METHODS[method], train=train)
    return build_trainer(experiment, shape.stream)


def _torch_fisher(trainer: Trainer, task: Task) -> Callable[[], object]:
    networks, steps = torch_modules()
    step = steps.LoopFineTuningStep(networks.LoopNetwork(trainer.model.network), trainer, task.task_id)
    batches = task.train.batches(1, 0, task.task_id).take(NUM_SEQUENCES)
    ready = [steps.TorchBatch.of(Batch(*(field.numpy() for field in batch))) for batch in batches]
    return lambda: step.fisher(ready)


def _times(measure: Callable[[], object]) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            measure()

    return run
