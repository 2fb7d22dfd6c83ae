"""Recurrent cells as pure functions of their weights.

A cell says which weights it has (`weight_specs`) and what one step computes (`step`). That is enough for a new one,
entered in `CELLS`: it is unrolled with automatic differentiation of its step. A cell may override `Cell.unroll` with a
faster implementation, as those below do.
"""

from __future__ import annotations

import abc
import math

import tensorflow as tf

from clrnn_tf.networks.linear import SUMMED, LinearMaps
from clrnn_tf.networks.lstm import LSTMState, lstm_step, unroll_lstm
from clrnn_tf.networks.unrolling import Activation, Recurrence, Unrolled, unroll, unroll_elman
from clrnn_tf.networks.weights import Modulation, Weights, WeightSpec, modulate

ACTIVATIONS = {
    "tanh": Activation(tf.tanh, lambda value: 1.0 - value * value),
    "relu": Activation(tf.nn.relu, lambda value: tf.cast(value > 0, value.dtype)),
    "linear": Activation(tf.identity, tf.ones_like),
}


class Cell(abc.ABC):
    """A recurrent cell: weights, a step, and how steps are unrolled over time.

        z_t = x_t W + b,   r_t = h_{t-1} U,   state_t = step(z_t, r_t, state_{t-1})

    W is the tensor `kernel`, b `bias` and U `recurrent_kernel`. The products with W are done for all time steps at
    once. A cell whose step reads other weights overrides `unroll`.

    Args:
      num_units: H.
      activation: Name of phi, a key of `ACTIVATIONS`.
    """

    num_states = 1
    """Tensors [B, H] of a state. The first is h, the last what `Outputs.states` reports."""

    def __init__(self, num_units: int, activation: str = "tanh") -> None:
        self.num_units = num_units
        self.activation = ACTIVATIONS[activation]

    @abc.abstractmethod
    def weight_specs(self, num_inputs: int, fan: int | None = None) -> list[WeightSpec]:
        """The cell's tensors, by their names in the cell.

        Args:
          num_inputs: F, width of the inputs.
          fan: `kernel` and `bias` start in +-1/sqrt(fan). F by default; the published code uses H in bidirectional
            networks.
        """

    @abc.abstractmethod
    def step(
        self,
        projected: tf.Tensor,
        product: tf.Tensor,
        state: tuple[tf.Tensor, ...],
        modulation: Modulation | None = None,
    ) -> tuple[tf.Tensor, ...]:
        """The next state, `num_states` tensors [B, H].

        Args:
          projected: [B, N] x_t W + b.
          product: [B, N] h_{t-1} U.
          state: The previous state.
          modulation: Gain and shift of the units, each [1, H]; None for 1 and 0.
        """

    def recurrence(self, weights: Weights, inputs: tf.Tensor, maps: LinearMaps) -> Recurrence:
        """What is unrolled: x_t W + b of all steps, U, and the gain and shift that the step applies."""
        projected = maps.linear(inputs, weights["kernel"], weights["bias"])
        modulation = Modulation.of(weights)
        if modulation is not None:
            modulation = modulation.complete(self.num_units, projected.dtype)
        return Recurrence(projected, weights["recurrent_kernel"], modulation)

    def unroll(
        self, weights: Weights, inputs: tf.Tensor, maps: LinearMaps = SUMMED, truncate: int | None = None
    ) -> Unrolled:
        """States of all steps from a zero state on, by automatic differentiation of `step`.

        Args:
          weights: Tensors by their names in the cell; `gain` [H] and `shift` [H] may be among them.
          inputs: [T, B, F].
          maps: What the gradient of a weight means.
          truncate: k; states of steps t < T - k pass no gradient to what they were computed from. None: all do.
        """
        states = unroll(self.step, self.num_states, self.recurrence(weights, inputs, maps), maps, truncate)
        return Unrolled(states[0], states[-1])

    def outputs(self, weights: Weights, hidden: tf.Tensor, maps: LinearMaps) -> tf.Tensor:
        """What the layer passes on, [T, B, H], from h [T, B, H]: h itself, unless the cell has an output layer."""
        del weights, maps
        return hidden


class ElmanCell(Cell):
    """Elman cell with an output layer.

        h_t = phi(g (x_t W + h_{t-1} U + b) + s)        y_t = phi(g (h_t V + d) + s)

    The layer's output is y; only h recurs. There is one bias per sum, where the published code adds two. Gain g and
    shift s are 1 and 0 unless the weights hold them.

    Args:
      num_units: H.
      activation: Name of phi, a key of `ACTIVATIONS`.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import ElmanCell
      >>> cell = ElmanCell(num_units=5)
      >>> weights = {spec.name: tf.ones(spec.shape) for spec in cell.weight_specs(num_inputs=3)}
      >>> sorted(weights)
      ['bias', 'kernel', 'output_bias', 'output_kernel', 'recurrent_kernel']
      >>> cell.unroll(weights, tf.ones([7, 2, 3])).hidden.shape  # steps, sequences, units
      TensorShape([7, 2, 5])
    """

    def weight_specs(self, num_inputs: int, fan: int | None = None) -> list[WeightSpec]:
        """`kernel` W [F, H], `recurrent_kernel` U, `bias` b, `output_kernel` V, `output_bias` d ([H, H] and [H])."""
        units = self.num_units
        outer, inner = 1.0 / math.sqrt(fan or num_inputs), 1.0 / math.sqrt(units)
        return [
            WeightSpec("kernel", (num_inputs, units), "kernel", num_inputs, outer),
            WeightSpec("recurrent_kernel", (units, units), "recurrent", units, inner),
            WeightSpec("bias", (units,), "bias", num_inputs, outer),
            WeightSpec("output_kernel", (units, units), "kernel", units, inner),
            WeightSpec("output_bias", (units,), "bias", units, inner),
        ]

    def recurrence(self, weights: Weights, inputs: tf.Tensor, maps: LinearMaps) -> Recurrence:
        """What is unrolled, with gain and shift folded in: g (x W + b) + s, and U diag(g)."""
        projected, kernel = maps.linear(inputs, weights["kernel"], weights["bias"]), weights["recurrent_kernel"]
        if "gain" in weights:
            kernel = maps.scale_columns(kernel, weights["gain"])
        return Recurrence(modulate(weights, projected), kernel, None)

    def step(
        self,
        projected: tf.Tensor,
        product: tf.Tensor,
        state: tuple[tf.Tensor, ...],
        modulation: Modulation | None = None,
    ) -> tuple[tf.Tensor]:
        """h_t = phi(g (x_t W + b + h_{t-1} U) + s), [B, H]."""
        del state
        sums = projected + product
        return (self.activation.apply(sums if modulation is None else modulation.apply(sums)),)

    def unroll(
        self, weights: Weights, inputs: tf.Tensor, maps: LinearMaps = SUMMED, truncate: int | None = None
    ) -> Unrolled:
        """See `Cell.unroll`; the gradient is written by hand."""
        hidden = unroll_elman(self.activation, self.recurrence(weights, inputs, maps), maps, truncate)
        return Unrolled(hidden, hidden)

    def outputs(self, weights: Weights, hidden: tf.Tensor, maps: LinearMaps) -> tf.Tensor:
        """y_t = phi(g (h_t V + d) + s), [T, B, H]; not recurrent."""
        sums = maps.linear(hidden, weights["output_kernel"], weights["output_bias"])
        return self.activation.apply(modulate(weights, sums))


class LSTMCell(Cell):
    """Long short-term memory with Keras' weight layout (gates i, f, c, o) and one bias per gate.

        (i, f, o)_t = sigmoid(x_t W + h_{t-1} U + b),   g_t = tanh(x_t W + h_{t-1} U + b)
        c_t = f_t c_{t-1} + i_t g_t                      h_t = o_t phi(gain c_t + shift)

    Gain and shift are 1 and 0 unless the weights hold them. They do not act on the c_t that is carried on.

    Args:
      num_units: H.
      activation: Name of phi, a key of `ACTIVATIONS`. As in the published code it replaces the last tanh only.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import LSTMCell
      >>> cell = LSTMCell(num_units=5)
      >>> weights = {spec.name: tf.ones(spec.shape) for spec in cell.weight_specs(num_inputs=3)}
      >>> weights["kernel"].shape  # inputs, gates * units
      TensorShape([3, 20])
      >>> cell.unroll(weights, tf.ones([7, 2, 3])).hidden.shape  # steps, sequences, units
      TensorShape([7, 2, 5])
    """

    num_states = 2

    def weight_specs(self, num_inputs: int, fan: int | None = None) -> list[WeightSpec]:
        """`kernel` W [F, 4H], `recurrent_kernel` U [H, 4H], `bias` b [4H]."""
        units = self.num_units
        outer, inner = 1.0 / math.sqrt(fan or num_inputs), 1.0 / math.sqrt(units)
        return [
            WeightSpec("kernel", (num_inputs, 4 * units), "kernel", num_inputs, outer),
            WeightSpec("recurrent_kernel", (units, 4 * units), "recurrent", units, inner),
            WeightSpec("bias", (4 * units,), "bias", num_inputs, outer),
        ]

    def step(
        self,
        projected: tf.Tensor,
        product: tf.Tensor,
        state: tuple[tf.Tensor, ...],
        modulation: Modulation | None = None,
    ) -> LSTMState:
        """h_t and c_t, [B, H]."""
        return lstm_step(self.activation, projected + product, state[1], modulation).state

    def unroll(
        self, weights: Weights, inputs: tf.Tensor, maps: LinearMaps = SUMMED, truncate: int | None = None
    ) -> Unrolled:
        """See `Cell.unroll`; the gradient is written by hand."""
        return Unrolled(*unroll_lstm(self.activation, self.recurrence(weights, inputs, maps), maps, truncate))


CELLS: dict[str, type[Cell]] = {"elman": ElmanCell, "lstm": LSTMCell}
