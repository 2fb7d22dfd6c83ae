"""The main network's weights as data: names and shapes, initial values, packing into vectors.

The main network owns no variables. It reads a dictionary of weights, which a weight source makes for each task
(`clrnn_tf.networks.weight_sources`). Names are paths, `recurrent0/forward/kernel`: a layer knows its tensors by their
last part, and only `in_scope` and `within` join and split the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

Weights = dict[str, tf.Tensor]


class WeightSpec(NamedTuple):
    """One tensor of the main network; kernels are laid out [inputs, outputs] as in Keras.

    Example:
      >>> from clrnn_tf import WeightSpec
      >>> heads = WeightSpec("head/kernel", (3, 8, 5), "kernel", fan_in=8, bound=0.35, per_head=True)
      >>> heads.size, heads.head_size
      (120, 40)
    """

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
        """Entries that one task uses: all, or those of one head."""
        return self.size // self.shape[0] if self.per_head else self.size

    @property
    def fan_out(self) -> int:
        """Outputs of the layer that the tensor belongs to, all heads together."""
        return self.shape[-1] * (self.shape[0] if self.per_head else 1)


class ModulationSpec(NamedTuple):
    """A gain g or a shift s of one layer's units, g * a + s, that may come with the weights.

    Dense layers and Elman cells are modulated before their activation (Elman: the state and the output, by the same g
    and s), LSTM cells in h_t = o_t phi(g c_t + s).
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["gain", "shift"]

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.shape[0]


def modulation_specs(units: int) -> list[ModulationSpec]:
    """`gain` and `shift` of a layer, [units] each."""
    return [ModulationSpec("gain", (units,), "gain"), ModulationSpec("shift", (units,), "shift")]


class Modulation(NamedTuple):
    """Gain g and shift s of a layer's units, g * a + s; None stands for a gain of 1 or a shift of 0."""

    gain: tf.Tensor | None
    shift: tf.Tensor | None

    @classmethod
    def of(cls, weights: Weights) -> Modulation | None:
        """What a layer's weights hold: `gain`, `shift`, both, or None for neither."""
        gain, shift = weights.get("gain"), weights.get("shift")
        return None if gain is None and shift is None else cls(gain, shift)

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """Gain * x + shift."""
        x = x if self.gain is None else x * self.gain
        return x if self.shift is None else x + self.shift

    def complete(self, units: int, dtype: tf.DType) -> Modulation:
        """Both tensors, each [1, H]."""
        gain = tf.ones([units], dtype) if self.gain is None else self.gain
        shift = tf.zeros([units], dtype) if self.shift is None else self.shift
        return Modulation(gain[tf.newaxis], shift[tf.newaxis])


def modulate(weights: Weights, x: tf.Tensor) -> tf.Tensor:
    """Gain * x + shift, with the gain and shift that a layer's weights hold, if any."""
    modulation = Modulation.of(weights)
    return x if modulation is None else modulation.apply(x)


Spec = TypeVar("Spec", WeightSpec, ModulationSpec)


def in_scope(scope: str, specs: Sequence[Spec]) -> list[Spec]:
    """A layer's tensors by their names in the network: `kernel` of `head` is `head/kernel`."""
    return [spec._replace(name=f"{scope}/{spec.name}") for spec in specs]


def within(weights: Weights, scope: str) -> Weights:
    """The tensors of one layer, by their names in the layer; undoes the naming of `in_scope`."""
    prefix = f"{scope}/"
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def require_weights(weights: Weights, specs: Sequence[WeightSpec]) -> None:
    """Require a tensor for every spec.

    Raises:
      ValueError: Some are not there.
    """
    missing = [spec.name for spec in specs if spec.name not in weights]
    if missing:
        raise ValueError(f"weights must hold every tensor of the network. Missing: {', '.join(missing)}.")


def require_heads_last(specs: Sequence[WeightSpec]) -> None:
    """Require the tensors of heads to follow all others: `clrnn_tf.hypernetworks.chunks` finds them at the end.

    Raises:
      ValueError: Another tensor follows a head's.
    """
    if any(earlier.per_head and not later.per_head for earlier, later in itertools.pairwise(specs)):
        raise ValueError(f"tensors of heads must come last. Received: {', '.join(spec.name for spec in specs)}.")


def total_size(specs: Sequence[WeightSpec]) -> int:
    """W, the number of weights of the main network."""
    return sum(spec.size for spec in specs)


def bytes_of(num_entries: int) -> int:
    """Memory of that many entries of float32 or int32."""
    return 4 * num_entries


def unpack(flat: tf.Tensor, specs: Sequence[WeightSpec]) -> Weights:
    """Cut a vector [W] into the tensors of `specs`, in their order, each row-major."""
    pieces = tf.split(flat, [spec.size for spec in specs])
    return {spec.name: tf.reshape(piece, spec.shape) for spec, piece in zip(specs, pieces, strict=True)}


def pack(weights: Weights, specs: Sequence[WeightSpec]) -> tf.Tensor:
    """The inverse of `unpack`: one vector [W]."""
    return tf.concat([tf.reshape(weights[spec.name], [-1]) for spec in specs], axis=0)


def task_size(specs: Sequence[WeightSpec]) -> int:
    """V, the number of weights that one task uses: the body and the task's head."""
    return sum(spec.head_size for spec in specs)


def unpack_task(flat: tf.Tensor, specs: Sequence[WeightSpec]) -> Weights:
    """Cut a vector [V] of the weights that one task uses: as `unpack`, with heads of shape [1, ...]."""
    pieces = tf.split(flat, [spec.head_size for spec in specs])
    return {
        spec.name: tf.reshape(piece, (1, *spec.shape[1:]) if spec.per_head else spec.shape)
        for spec, piece in zip(specs, pieces, strict=True)
    }


def task_indices(specs: Sequence[WeightSpec], task_id: int) -> np.ndarray:
    """[V] positions of the weights that a task uses in the vector [W] of `pack`."""
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


def orthogonal_penalty(weights: Weights, specs: tuple[WeightSpec, ...]) -> tf.Tensor:
    """Sum ||U^T U - I||_F^2 over the hidden-to-hidden matrices (in an LSTM, over the block of every gate)."""
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
