"""Everybody who does a step of a shape, each made when it is asked for."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from types import ModuleType

import numpy as np

from benchmarks import keras_steps, our_steps
from benchmarks.floor import (
    Product,
    Steps,
    forward_products,
    hypernetwork_products,
    regularizer_products,
    training_products,
)
from benchmarks.rounds import Contestant
from benchmarks.shapes import Shape
from clrnn_tf.streams.tasks import Batch
from clrnn_tf.training.trainer import Trainer

HAS_TORCH = importlib.util.find_spec("torch") is not None
WITHOUT_TORCH = "PyTorch is not installed: its rows are left out. Install it with: pip install -e '.[bench]'"

KINDS = {
    "hnet_first": "HNET step, no old task",
    "hnet_all": "HNET step, all old tasks",
    "fine_tuning": "fine-tuning step",
    "forward": "forward only",
}
VARIANTS = {
    "ours": "clrnn_tf",
    "ours_from_memory": "clrnn_tf, batches from memory",
    "torch_loop": "PyTorch, loops",
    "torch_fused": "PyTorch, nn.LSTM / nn.RNN",
    "torch_padded": "PyTorch, nn.LSTM unpacked",
    "keras": "Keras layer",
    "keras_jit": "Keras layer, jit",
}
ALONE = (
    ("hnet_all", "ours"),
    ("hnet_all", "torch_loop"),
    ("hnet_all", "torch_fused"),
    ("fine_tuning", "ours"),
    ("fine_tuning", "keras"),
)


class Workbench:
    """A shape with what its contestants share.

    Args:
      shape: What is measured.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.last_task = len(shape.stream) - 1

    def pairs(self) -> list[tuple[str, str]]:
        """(kind, variant) of all contestants that can run here."""
        pairs = [(kind, variant) for kind in KINDS for variant in ("ours", "torch_loop", "torch_fused")]
        pairs += [(kind, "ours_from_memory") for kind in ("hnet_all", "fine_tuning")]
        pairs += [("fine_tuning", variant) for variant in ("keras", "keras_jit")]
        if self.shape.experiment.network.direction == "bidirectional":
            pairs += [(kind, "torch_padded") for kind in ("hnet_all", "fine_tuning")]
        return [pair for pair in pairs if HAS_TORCH or not is_torch(pair[1])]

    def contestant(self, kind: str, variant: str) -> Contestant:
        """Make a contestant."""
        if variant.startswith("ours"):
            run = self._ours(kind, from_memory=variant == "ours_from_memory")
        elif variant.startswith("keras"):
            step = keras_steps.KerasStep(self.tuner, self.last_task, jit=variant == "keras_jit")
            run = keras_steps.runner(step, self.batches)
        else:
            run = self._torch(kind, variant)
        cycle = len(self.test_batches) if kind == "forward" else self.shape.cycle
        return Contestant(kind, variant, run, cycle)

    def products(self, kind: str) -> list[Product]:
        """Products that a kind of step needs."""
        batches = self.test_batches if kind == "forward" else self.batches
        steps = Steps(
            all=sum(batch.inputs.shape[1] for batch in batches) / len(batches),
            scored=sum(_scored_steps(batch) for batch in batches) / len(batches),
        )
        trainer = self.trainer if kind.startswith("hnet") else self.tuner
        network = trainer.model.network
        if kind == "forward":
            return forward_products(network, trainer.config.batch_size, steps)
        products = training_products(network, trainer.config, steps)
        if kind.startswith("hnet"):
            products += hypernetwork_products(trainer.model.source, 1)
            products += regularizer_products(trainer.method.regularizer, self._task(kind))
        return products

    @functools.cached_property
    def batches(self) -> list[Batch]:
        """Batches of training as NumPy arrays."""
        return self.shape.batches(self.last_task)

    @functools.cached_property
    def test_batches(self) -> list[Batch]:
        """Batches of an evaluation as NumPy arrays."""
        return self.shape.test_batches(self.last_task)

    @functools.cached_property
    def trainer(self) -> Trainer:
        """Our trainer with HNET."""
        return our_steps.ready_trainer(self.shape.experiment, self.shape)

    @functools.cached_property
    def tuner(self) -> Trainer:
        """Our trainer with fine-tuning."""
        return our_steps.ready_trainer(self.shape.fine_tuning, self.shape)

    def _task(self, kind: str) -> int:
        return 0 if kind == "hnet_first" else self.last_task

    def _ours(self, kind: str, from_memory: bool) -> our_steps.Run:
        trainer = self.trainer if kind.startswith("hnet") else self.tuner
        task_id = self._task(kind)
        if kind == "forward":
            return our_steps.evaluation(trainer, self.shape, task_id)
        if from_memory:
            return our_steps.training_from_memory(trainer, self.batches, task_id)
        return our_steps.training_from_pipeline(trainer, self.shape, task_id)

    def _torch(self, kind: str, variant: str) -> Callable[[int], None]:
        networks, steps = torch_modules()
        style = {
            "torch_loop": networks.LoopNetwork,
            "torch_fused": networks.FusedNetwork,
            "torch_padded": networks.PaddedNetwork,
        }[variant]
        network = style(self.tuner.model.network)
        if kind.startswith("hnet"):
            make = steps.HNETStep if variant == "torch_loop" else steps.BatchedHNETStep
            return steps.runner(make(network, self.trainer, self._task(kind)), self.batches)
        if variant == "torch_loop":
            step = steps.LoopFineTuningStep(network, self.tuner, self.last_task)
        else:
            packed = variant == "torch_fused"
            step = steps.ModulesFineTuningStep(network, self.tuner, self.last_task, packed)
        if kind == "forward":
            return steps.runner(step.evaluate, self.test_batches)
        return steps.runner(step, self.batches)


def _scored_steps(batch: Batch) -> int:
    """Steps from the first one on at which any sequence counts."""
    counts = np.flatnonzero(((batch.loss_weights != 0) | (batch.eval_weights != 0)).any(axis=0))
    return batch.loss_weights.shape[1] - int(counts[0])


def is_torch(variant: str) -> bool:
    """Whether a variant needs PyTorch."""
    return variant.startswith("torch")


def torch_modules() -> tuple[ModuleType, ModuleType]:
    """`torch_networks` and `torch_steps`, which nothing else imports, PyTorch being optional."""
    from benchmarks import torch_networks, torch_steps

    return torch_networks, torch_steps
