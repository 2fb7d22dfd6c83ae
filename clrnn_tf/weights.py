"""The main network's weights as data: what they are called, how they are packed, where they come from.

The main network owns no variables. It reads a dictionary of weights, and a *weight source* maps a task id to such a
dictionary: one set of shared variables, a hypernetwork, or a frozen copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import clrnn_tf.backend  # noqa: F401 - refuses other backends

Weights = dict[str, tf.Tensor]
_SEEDS_PER_TASK = 10_000  # above the number of tensors of any network


class WeightSpec(NamedTuple):
    """One tensor of the main network; kernels are laid out [inputs, outputs] as in Keras."""

    name: str
    shape: tuple[int, ...]
    kind: Literal["kernel", "recurrent", "bias"]
    fan_in: int
    """Inputs of the layer that the tensor belongs to."""
    bound: float
    """Shared weights start uniform in [-bound, bound]."""
    per_head: bool = False
    """Whether the first axis counts task heads; the others are laid out as usual."""

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape))

    @property
    def head_size(self) -> int:
        """Entries that one task sees: all, or those of one head."""
        return self.size // self.shape[0] if self.per_head else self.size

    @property
    def fan_out(self) -> int:
        """Outputs of the layer that the tensor belongs to, all heads together."""
        return self.shape[-1] * (self.shape[0] if self.per_head else 1)


def total_size(specs: Sequence[WeightSpec]) -> int:
    """W, the number of weights of the main network."""
    return sum(spec.size for spec in specs)


def unpack(flat: tf.Tensor, specs: Sequence[WeightSpec]) -> Weights:
    """Cut a vector [W] into the tensors of `specs`, in their order, each row-major."""
    pieces = tf.split(flat, [spec.size for spec in specs])
    return {spec.name: tf.reshape(piece, spec.shape) for spec, piece in zip(specs, pieces, strict=True)}


def pack(weights: Weights, specs: Sequence[WeightSpec]) -> tf.Tensor:
    """The inverse of `unpack`: one vector [W]."""
    return tf.concat([tf.reshape(weights[spec.name], [-1]) for spec in specs], axis=0)


def own_size(specs: Sequence[WeightSpec]) -> int:
    """V, the number of weights that one task sees: the body and its own head."""
    return sum(spec.head_size for spec in specs)


def unpack_own(flat: tf.Tensor, specs: Sequence[WeightSpec]) -> Weights:
    """Cut a vector [V] of one task's own weights: as `unpack`, with heads of shape [1, ...]."""
    pieces = tf.split(flat, [spec.head_size for spec in specs])
    return {
        spec.name: tf.reshape(piece, (1, *spec.shape[1:]) if spec.per_head else spec.shape)
        for spec, piece in zip(specs, pieces, strict=True)
    }


def own_indices(specs: Sequence[WeightSpec], task_id: int) -> np.ndarray:
    """[V] positions of a task's own weights in the vector [W] of `pack`."""
    pieces, start = [], 0
    for spec in specs:
        first = start + (task_id % spec.shape[0] * spec.head_size if spec.per_head else 0)
        pieces.append(np.arange(first, first + spec.head_size))
        start += spec.size
    return np.concatenate(pieces)


def initial_value(spec: WeightSpec, seed: int, index: int, orthogonal: bool = False) -> np.ndarray:
    """Starting value of tensor number `index`, a pure function of its arguments."""
    generator = np.random.default_rng([seed, index])
    if orthogonal and spec.kind == "recurrent":
        size = spec.shape[0]
        blocks = [_orthogonal(generator, size) for _ in range(spec.shape[1] // size)]
        return np.concatenate(blocks, axis=1).astype(np.float32)
    return generator.uniform(-spec.bound, spec.bound, spec.shape).astype(np.float32)


def _orthogonal(generator: np.random.Generator, size: int) -> np.ndarray:
    factor, triangle = np.linalg.qr(generator.standard_normal((size, size)))
    return factor * np.sign(np.diagonal(triangle))


class WeightSource(keras.layers.Layer):
    """Maps a task id (scalar int32 tensor) to the weights of the main network for that task."""

    depends_on_task = True
    """Whether tasks have different weights, other than heads of their own."""

    def __init__(self, specs: Sequence[WeightSpec], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.specs = tuple(WeightSpec(*spec) for spec in specs)

    def call(self, task_id: tf.Tensor) -> Weights:
        """The weights for `task_id`, a dictionary by the names of `specs`."""
        raise NotImplementedError(f"{type(self).__name__} must say how it makes the weights of a task.")

    @property
    def num_bytes(self) -> int:
        """Memory of the variables."""
        return 4 * sum(int(np.prod(variable.shape)) for variable in self.variables)

    def copy_from(self, other: WeightSource) -> None:
        """Take over the variables of a source built alike, after which both give the same weights."""
        for own, new in zip(self.variables, other.variables, strict=True):
            own.assign(new.value)


class SharedWeights(WeightSource):
    """One variable per tensor, the same for every task.

    Args:
      specs: Tensors of the main network.
      seed: Seed of the initial values.
      orthogonal: Whether hidden-to-hidden matrices start orthogonal (each gate's block for an LSTM).
    """

    depends_on_task = False

    def __init__(self, specs: Sequence[WeightSpec], seed: int = 0, orthogonal: bool = False, **kwargs: object) -> None:
        super().__init__(specs, **kwargs)
        self.tensors = [
            self.add_weight(
                name=spec.name.replace("/", "_"),
                shape=spec.shape,
                initializer=_constant(initial_value(spec, seed, index, orthogonal)),
            )
            for index, spec in enumerate(self.specs)
        ]

    def call(self, task_id: tf.Tensor) -> Weights:
        """The shared variables, whatever the task."""
        del task_id
        return {spec.name: tf.convert_to_tensor(v.value) for spec, v in zip(self.specs, self.tensors, strict=True)}


class SeparateWeights(WeightSource):
    """A set of weights for every task. One task at a time is in training, on variables of its own.

    Args:
      specs: Tensors of the main network.
      num_tasks: K.
      seed: Seed of the initial values; each task has others.
      orthogonal: See `SharedWeights`.
    """

    def __init__(
        self, specs: Sequence[WeightSpec], num_tasks: int, seed: int = 0, orthogonal: bool = False, **kwargs: object
    ) -> None:
        super().__init__(specs, **kwargs)
        self.num_weights = total_size(self.specs)
        initial = np.stack([
            np.concatenate([
                initial_value(spec, seed, index + _SEEDS_PER_TASK * task_id, orthogonal).ravel()
                for index, spec in enumerate(self.specs)
            ])
            for task_id in range(num_tasks)
        ])
        self.stored = self.add_weight(
            name="stored", shape=initial.shape, initializer=_constant(initial), trainable=False
        )
        self.in_training = self.add_weight(
            name="in_training", shape=(), dtype="int32", initializer=_constant(np.int32(-1)), trainable=False
        )
        self._initial = initial
        self.tensors = [
            self.add_weight(name=spec.name.replace("/", "_"), shape=spec.shape, initializer="zeros")
            for spec in self.specs
        ]

    def begin(self, task_id: int) -> None:
        """Put a task into training, from its initial weights."""
        for tensor, value in zip(self.tensors, unpack(self._initial[task_id], self.specs).values(), strict=True):
            tensor.assign(value)
        self.in_training.assign(task_id)

    def end(self) -> None:
        """Store the weights of the task in training; none is in training then."""
        self.stored.value[int(self.in_training.value)].assign(pack(self.working(), self.specs))
        self.in_training.assign(-1)

    def working(self) -> Weights:
        """The weights in training."""
        return {spec.name: tf.convert_to_tensor(v.value) for spec, v in zip(self.specs, self.tensors, strict=True)}

    def call(self, task_id: tf.Tensor) -> Weights:
        """The task's weights: in training, as they were after it, or as they will start."""
        stored = tf.gather(tf.convert_to_tensor(self.stored.value), task_id)
        working = pack(self.working(), self.specs)
        return unpack(tf.where(task_id == self.in_training.value, working, stored), self.specs)


def _constant(value: np.ndarray):  # noqa: ANN202 - a Keras initializer
    return lambda shape, dtype=None: tf.reshape(tf.constant(value, dtype), shape)


def orthogonal_penalty(weights: Weights, specs: tuple[WeightSpec, ...]) -> tf.Tensor:
    """Sum ||U^T U - I||_F^2 over the hidden-to-hidden matrices (the four gates' blocks of an LSTM, each alone)."""
    penalty = tf.constant(0.0, next(iter(weights.values())).dtype)
    for spec in specs:
        if spec.kind != "recurrent":
            continue
        for block in tf.split(weights[spec.name], spec.shape[1] // spec.shape[0], axis=1):
            penalty += _distance_from_orthogonal(block)
    return penalty


@tf.custom_gradient
def _distance_from_orthogonal(block: tf.Tensor):  # noqa: ANN202
    """||E||_F^2 with E = U^T U - I. Its gradient 4 U E takes one product, where differentiation would take two."""
    error = tf.matmul(block, block, transpose_a=True) - tf.eye(block.shape[0], dtype=block.dtype)
    return tf.reduce_sum(tf.square(error)), lambda upstream: 4.0 * upstream * tf.matmul(block, error)
