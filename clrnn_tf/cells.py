"""Recurrent cells as pure functions of their weights.

Each cell splits its step in two: `recurrence` projects the inputs of all time steps at once; `step` takes the
projected inputs of one time step. `clrnn_tf.recurrent` unrolls them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.linear import WeightGradients
from clrnn_tf.weights import Weights, WeightSpec


class Activation(NamedTuple):
    """A function and its derivative, the latter written in terms of the function's value."""

    apply: Callable[[tf.Tensor], tf.Tensor]
    derivative: Callable[[tf.Tensor], tf.Tensor]


ACTIVATIONS = {
    "tanh": Activation(tf.tanh, lambda value: 1.0 - value * value),
    "relu": Activation(tf.nn.relu, lambda value: tf.cast(value > 0, value.dtype)),
    "linear": Activation(tf.identity, tf.ones_like),
}


def recurrent_bound(fan_in: int, num_units: int, by_units: bool) -> float:
    """Bound of the uniform initialisation: 1/sqrt(units) where `by_units`, else 1/sqrt(fan_in).

    The published code uses the first for bidirectional networks and the second elsewhere.
    """
    return 1.0 / math.sqrt(num_units if by_units else fan_in)


class Modulation(NamedTuple):
    """Gain g and shift s of a layer's units, g * a + s; None stands for a gain of 1 or a shift of 0."""

    gain: tf.Tensor | None
    shift: tf.Tensor | None

    @classmethod
    def of(cls, weights: Weights, scope: str) -> Modulation | None:
        """What the weights hold for a layer: `gain`, `shift`, both, or None for neither."""
        gain, shift = weights.get(f"{scope}/gain"), weights.get(f"{scope}/shift")
        return None if gain is None and shift is None else cls(gain, shift)

    def apply(self, x: tf.Tensor) -> tf.Tensor:
        """G * x + s."""
        x = x if self.gain is None else x * self.gain
        return x if self.shift is None else x + self.shift

    def complete(self, units: int, dtype: tf.DType) -> Modulation:
        """Both tensors, each [1, H]."""
        gain = tf.ones([units], dtype) if self.gain is None else self.gain
        shift = tf.zeros([units], dtype) if self.shift is None else self.shift
        return Modulation(gain[tf.newaxis], shift[tf.newaxis])


class ElmanCell:
    """Elman cell with an output layer of its own.

        h_t = phi(g (x_t W + h_{t-1} U + b) + s)        y_t = phi(g (h_t V + d) + s)

    The layer's output is y; only h recurs. One bias per sum, where the published code adds two. Gain g and shift s are
    there where the weights hold them.

    Args:
      num_units: H.
      activation: Name of phi, a key of `ACTIVATIONS`.
    """

    num_gates = 1

    def __init__(self, num_units: int, activation: str = "tanh") -> None:
        self.num_units = num_units
        self.activation = ACTIVATIONS[activation]

    def weight_specs(self, num_inputs: int, scope: str, by_units: bool = False) -> list[WeightSpec]:
        """`kernel` W [F, H], `recurrent_kernel` U, `bias` b, `output_kernel` V, `output_bias` d ([H, H] and [H])."""
        units = self.num_units
        outer = recurrent_bound(num_inputs, units, by_units)
        inner = recurrent_bound(units, units, by_units)
        return [
            WeightSpec(f"{scope}/kernel", (num_inputs, units), "kernel", num_inputs, outer),
            WeightSpec(f"{scope}/recurrent_kernel", (units, units), "recurrent", units, inner),
            WeightSpec(f"{scope}/bias", (units,), "bias", num_inputs, outer),
            WeightSpec(f"{scope}/output_kernel", (units, units), "kernel", units, inner),
            WeightSpec(f"{scope}/output_bias", (units,), "bias", units, inner),
        ]

    def recurrence(self, weights: Weights, scope: str, inputs: tf.Tensor, gradients: WeightGradients) -> Recurrence:
        """What is unrolled, with gain and shift folded in: g (x W + b) + s, and U diag(g)."""
        projected, kernel = project_inputs(weights, scope, inputs, gradients), weights[f"{scope}/recurrent_kernel"]
        modulation = Modulation.of(weights, scope)
        if modulation is not None:
            projected = modulation.apply(projected)
            kernel = kernel if modulation.gain is None else gradients.scale_columns(kernel, modulation.gain)
        return Recurrence(projected, kernel, None)

    def step(self, projected: tf.Tensor, recurrent_kernel: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
        """h_t [B, H] from the projected inputs [B, H] and h_{t-1} [B, H]."""
        return self.activation.apply(projected + tf.matmul(hidden, recurrent_kernel))

    def outputs(self, weights: Weights, scope: str, hidden: tf.Tensor, gradients: WeightGradients) -> tf.Tensor:
        """Y [T, B, H] from h [T, B, H]; not recurrent."""
        sums = gradients.linear(hidden, weights[f"{scope}/output_kernel"], weights[f"{scope}/output_bias"])
        modulation = Modulation.of(weights, scope)
        return self.activation.apply(sums if modulation is None else modulation.apply(sums))


class LSTMState(NamedTuple):
    """State of an LSTM, each [B, H]."""

    hidden: tf.Tensor
    cell: tf.Tensor


class LSTMCell:
    """Long short-term memory with Keras' weight layout (gates i, f, c, o) and one bias per gate.

        (i, f, o)_t = sigmoid(x_t W + h_{t-1} U + b),   g_t = tanh(x_t W + h_{t-1} U + b)
        c_t = f_t c_{t-1} + i_t g_t                      h_t = o_t phi(gain c_t + shift)

    Gain and shift are there where the weights hold them; the carried c_t has neither.

    Args:
      num_units: H.
      activation: Name of phi, a key of `ACTIVATIONS`. As in the published code it replaces the last tanh only.
    """

    num_gates = 4

    def __init__(self, num_units: int, activation: str = "tanh") -> None:
        self.num_units = num_units
        self.activation = ACTIVATIONS[activation]

    def weight_specs(self, num_inputs: int, scope: str, by_units: bool = False) -> list[WeightSpec]:
        """`kernel` W [F, 4H], `recurrent_kernel` U [H, 4H], `bias` b [4H]."""
        units = self.num_units
        outer = recurrent_bound(num_inputs, units, by_units)
        return [
            WeightSpec(f"{scope}/kernel", (num_inputs, 4 * units), "kernel", num_inputs, outer),
            WeightSpec(
                f"{scope}/recurrent_kernel", (units, 4 * units), "recurrent", units,
                recurrent_bound(units, units, by_units),
            ),
            WeightSpec(f"{scope}/bias", (4 * units,), "bias", num_inputs, outer),
        ]

    def recurrence(self, weights: Weights, scope: str, inputs: tf.Tensor, gradients: WeightGradients) -> Recurrence:
        """What is unrolled."""
        projected = project_inputs(weights, scope, inputs, gradients)
        modulation = Modulation.of(weights, scope)
        if modulation is not None:
            modulation = modulation.complete(self.num_units, projected.dtype)
        return Recurrence(projected, weights[f"{scope}/recurrent_kernel"], modulation)

    def step(
        self, projected: tf.Tensor, recurrent_kernel: tf.Tensor, state: LSTMState, modulation: Modulation | None = None
    ) -> tuple[LSTMState, tuple[tf.Tensor, ...], tf.Tensor]:
        """New state, (i, f, g, o) and phi(gain c + shift), all [B, H], from projected inputs [B, 4H] and a state."""
        sums = projected + tf.matmul(state.hidden, recurrent_kernel)
        i, f, g, o = tf.split(sums, 4, axis=-1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        cell = f * state.cell + i * g
        value = self.activation.apply(cell if modulation is None else modulation.apply(cell))
        return LSTMState(o * value, cell), (i, f, g, o), value


Cell = ElmanCell | LSTMCell
CELLS: dict[str, type[Cell]] = {"elman": ElmanCell, "lstm": LSTMCell}


class Recurrence(NamedTuple):
    """What one layer and direction unrolls."""

    projected: tf.Tensor
    """[T, B, gates * H] contribution of the inputs."""
    kernel: tf.Tensor
    """U [H, gates * H]."""
    modulation: Modulation | None
    """Of the cell state (LSTM only): both tensors, each [1, H]."""


def project_inputs(weights: Weights, scope: str, inputs: tf.Tensor, gradients: WeightGradients) -> tf.Tensor:
    """X W + b for all time steps at once: [T, B, F] -> [T, B, gates * H]."""
    return gradients.linear(inputs, weights[f"{scope}/kernel"], weights[f"{scope}/bias"])
