"""Training steps in PyTorch with the same losses, regulariser, clipping and Adam as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.torch_networks import Modules, Network, TorchHypernetwork, TorchWeights
from clrnn_tf.config import TrainConfig
from clrnn_tf.networks.weights import task_indices
from clrnn_tf.outputs import OutputName
from clrnn_tf.streams.tasks import Batch
from clrnn_tf.training.trainer import Trainer


class TorchBatch(NamedTuple):
    """A batch, time-major."""

    inputs: Tensor
    targets: Tensor
    loss_weights: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, batch: Batch) -> TorchBatch:
        """From a batch of NumPy arrays."""
        targets = batch.targets if batch.targets.dtype == np.float32 else batch.targets.astype(np.int64)
        fields = (batch.inputs, targets, batch.loss_weights)
        tensors = (torch.tensor(np.ascontiguousarray(np.swapaxes(field, 0, 1))) for field in fields)
        return cls(*tensors, torch.tensor(batch.lengths.astype(np.int64)))


class HNETStep:
    """A full HNET step. Old tasks are generated one after another; see `BatchedHNETStep`.

    Args:
      network: Style of the main network.
      trainer: Ours, whose present weights are taken over; its task is `task_id`.
      task_id: The task that is trained; all before it are regularised.
    """

    fused_adam = False

    def __init__(self, network: Network, trainer: Trainer, task_id: int) -> None:
        self.network, self.config, self.outputs = network, trainer.config, trainer.model.outputs.name
        self.task_id, self.old_ids = task_id, range(task_id)
        self.strength = trainer.method.regularizer.config.strength
        self.hypernetwork = TorchHypernetwork(trainer.model.source)
        num_tasks = trainer.model.source.num_tasks
        mask = np.zeros((num_tasks, self.hypernetwork.num_weights), np.float32)
        for old_id in range(num_tasks):
            mask[old_id, task_indices(network.specs, old_id)] = 1.0
        self.mask = torch.tensor(mask)[:task_id]
        with torch.no_grad():
            self.targets = [self.hypernetwork.one(old_id) for old_id in self.old_ids]
        self.optimizer = _adam(self.hypernetwork.parameters(), self.config, self.fused_adam)

    def __call__(self, batch: TorchBatch) -> float:
        """Take one step and return the loss before it."""
        self.optimizer.zero_grad()
        flat, penalty = self.generate()
        weights = self.network.unpack(flat)
        logits = self.network.logits(weights, batch.inputs, batch.lengths, self.task_id)
        loss = sequence_loss(self.outputs, logits, batch) + self.strength * penalty
        if self.config.orthogonal_strength:
            loss = loss + self.config.orthogonal_strength * self.network.orthogonal_penalty(weights)
        loss.backward()
        _clip(self.hypernetwork.parameters(), self.config)
        self.optimizer.step()
        return loss.item()

    def generate(self) -> tuple[Tensor, Tensor | float]:
        """[W] of the task that is trained, and the regulariser."""
        penalty = 0.0
        for old_id, target, mask in zip(self.old_ids, self.targets, self.mask, strict=True):
            penalty = penalty + ((self.hypernetwork.one(old_id) - target) * mask).square().sum()
        return self.hypernetwork.one(self.task_id), penalty / max(len(self.old_ids), 1)


class BatchedHNETStep(HNETStep):
    """All tasks are generated in one call, and PyTorch's fused Adam is used."""

    fused_adam = True

    def __init__(self, network: Network, trainer: Trainer, task_id: int) -> None:
        super().__init__(network, trainer, task_id)
        if self.targets:
            self.targets = torch.stack(self.targets)

    def generate(self) -> tuple[Tensor, Tensor | float]:
        """See `HNETStep.generate`."""
        if not self.old_ids:
            return self.hypernetwork.one(self.task_id), 0.0
        generated = self.hypernetwork.several([*self.old_ids, self.task_id])
        penalty = ((generated[:-1] - self.targets) * self.mask).square().sum()
        return generated[-1], penalty / len(self.old_ids)


class LoopFineTuningStep:
    """Fine-tuning of weights used by a network written out.

    Args:
      network: The network.
      trainer: Ours, whose present weights are taken over.
      task_id: The task that is trained.
    """

    def __init__(self, network: Network, trainer: Trainer, task_id: int) -> None:
        self.network, self.config, self.task_id = network, trainer.config, task_id
        self.outputs = trainer.model.outputs.name
        self.weights: TorchWeights = {
            spec.name: nn.Parameter(torch.tensor(variable.numpy()))
            for spec, variable in zip(network.specs, trainer.model.source.tensors, strict=True)
        }
        self.optimizer = _adam(self.weights.values(), self.config, fused=False)

    def forward(self, batch: TorchBatch) -> Tensor:
        """The loss."""
        logits = self.network.logits(self.weights, batch.inputs, batch.lengths, self.task_id)
        return sequence_loss(self.outputs, logits, batch)

    def parameters(self) -> Iterable[Tensor]:
        """What is trained."""
        return self.weights.values()

    def __call__(self, batch: TorchBatch) -> float:
        """Take one step and return the loss before it."""
        self.optimizer.zero_grad()
        loss = self.forward(batch)
        loss.backward()
        _clip(self.parameters(), self.config)
        self.optimizer.step()
        return loss.item()

    def evaluate(self, batch: TorchBatch) -> float:
        """The loss."""
        with torch.inference_mode():
            return self.forward(batch).item()

    def fisher(self, sequences: Sequence[TorchBatch]) -> TorchWeights:
        """The diagonal of the Fisher information, one sequence (a batch of one) after another."""
        sums = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        for sequence in sequences:
            gradients = torch.autograd.grad(self.forward(sequence), list(self.weights.values()))
            for value, gradient in zip(sums.values(), gradients, strict=True):
                value.add_(gradient.square())
        return {name: value / len(sequences) for name, value in sums.items()}


class ModulesFineTuningStep(LoopFineTuningStep):
    """Fine-tuning of `nn.LSTM` or `nn.RNN`.

    Args:
      network: The same written out.
      trainer: Ours, whose present weights are taken over.
      task_id: The task that is trained.
      packed: Whether bidirectional sequences are packed.
    """

    def __init__(self, network: Network, trainer: Trainer, task_id: int, packed: bool = True) -> None:
        super().__init__(network, trainer, task_id)
        self.modules = Modules(network, trainer.model.network.num_features, packed)
        _take_over(self.modules, self.weights, network)
        self.optimizer = _adam(self.modules.parameters(), self.config, fused=True)

    def forward(self, batch: TorchBatch) -> Tensor:
        """The loss."""
        return sequence_loss(self.outputs, self.modules(batch.inputs, batch.lengths, self.task_id), batch)

    def parameters(self) -> Iterable[Tensor]:
        """What is trained."""
        return self.modules.parameters()


def runner(step: Callable[[TorchBatch], float], batches: Sequence[Batch]) -> Callable[[int], None]:
    """So many steps over batches in a cycle."""
    ready = [TorchBatch.of(batch) for batch in batches]

    def run(steps: int) -> None:
        for number in range(steps):
            step(ready[number % len(ready)])

    return run


def sequence_loss(outputs: OutputName, logits: Tensor, batch: TorchBatch) -> Tensor:
    """Mean over the batch of the weighted sum over time."""
    if outputs == "softmax":
        losses = functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
        losses = losses.view_as(batch.loss_weights)
    else:
        losses = functional.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none").sum(-1)
    return (losses * batch.loss_weights).sum() / len(batch.lengths)


def _adam(parameters: Iterable[Tensor], config: TrainConfig, fused: bool) -> torch.optim.Adam:
    betas = (config.adam_beta1, 0.999)
    return torch.optim.Adam(parameters, config.learning_rate, betas, weight_decay=config.l2, fused=fused)


def _clip(parameters: Iterable[Tensor], config: TrainConfig) -> None:
    if config.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, config.clip_norm)


@torch.no_grad()
def _take_over(modules: Modules, weights: TorchWeights, network: Network) -> None:
    for direction, suffix in zip(network.directions, ("", "_reverse"), strict=False):
        scope = f"recurrent0/{direction}"
        for ours, theirs in (("kernel", "weight_ih"), ("recurrent_kernel", "weight_hh"), ("bias", "bias_ih")):
            getattr(modules.recurrent, f"{theirs}_l0{suffix}").copy_(weights[f"{scope}/{ours}"].t())
        getattr(modules.recurrent, f"bias_hh_l0{suffix}").zero_()
    modules.heads.weight.copy_(weights["head/kernel"].mT.flatten(0, 1))
    modules.heads.bias.copy_(weights["head/bias"].flatten())
    pairs = []
    if modules.output is not None:
        scope = f"recurrent0/{network.directions[0]}/output_"
        pairs += [(f"{scope}kernel", modules.output.weight), (f"{scope}bias", modules.output.bias)]
    for name, parameter in pairs:
        parameter.copy_(weights[name].t())
