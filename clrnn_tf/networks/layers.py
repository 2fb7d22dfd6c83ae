"""Layers of the main network: dense, recurrent, task heads.

A layer has a name, says which weights it has (`weight_specs`) and how its units may be modulated (`modulation_specs`),
and is a function of the network's weights. Sequences are time-major, [T, B, ...].
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.networks.cells import ACTIVATIONS, Cell
from clrnn_tf.networks.linear import LinearMaps
from clrnn_tf.networks.weights import ModulationSpec, Weights, WeightSpec, in_scope, modulate, modulation_specs, within

Direction = Literal["forward", "backward"]
Biases = Literal["one", "two"]


class Reading(NamedTuple):
    """How a recurrent layer reads a batch."""

    lengths: tf.Tensor
    """[B] steps of each sequence before its padding."""
    maps: LinearMaps
    """What the gradient of a weight means."""
    truncate: int | None = None
    """k; what is computed in steps t < T - k passes no gradient on. None: all does."""
    first_step: tf.Tensor | None = None
    """First step whose outputs are wanted. None: all are."""


class DenseLayer:
    """phi(g (x W + b) + s) at every step.

    Args:
      name: Scope of its weights.
      num_units: U.
      activation: Name of phi, a key of `ACTIVATIONS`.
    """

    def __init__(self, name: str, num_units: int, activation: str) -> None:
        self.name = name
        self.num_outputs = num_units
        self._activation = ACTIVATIONS[activation].apply

    def weight_specs(self, num_inputs: int) -> list[WeightSpec]:
        """`kernel` W [F, U] and `bias` b [U]."""
        bound = 1.0 / math.sqrt(num_inputs)
        return in_scope(
            self.name,
            [
                WeightSpec("kernel", (num_inputs, self.num_outputs), "kernel", num_inputs, bound),
                WeightSpec("bias", (self.num_outputs,), "bias", num_inputs, bound),
            ],
        )

    def modulation_specs(self) -> list[ModulationSpec]:
        """`gain` g and `shift` s, [U] each."""
        return in_scope(self.name, modulation_specs(self.num_outputs))

    def __call__(self, weights: Weights, x: tf.Tensor, maps: LinearMaps) -> tf.Tensor:
        """[T, B, F] -> [T, B, U]."""
        weights = within(weights, self.name)
        return self._activation(modulate(weights, maps.linear(x, weights["kernel"], weights["bias"])))


class RecurrentLayer:
    """A cell that reads a sequence in one or both directions, with weights for each direction.

    Args:
      name: Scope of its weights; those of a direction are in `name/direction`.
      cell: What is unrolled.
      directions: In the order in which outputs are concatenated.
      biases: With `two`, a weight `recurrent_bias` is added to the cell's `bias`, as in the published code. It starts
        in +-1/sqrt(H). Both move under Adam, so their sum moves twice as far as one bias would.

    Raises:
      ConfigurationError: Two biases are wanted of a cell that has no `bias`.
    """

    def __init__(self, name: str, cell: Cell, directions: tuple[Direction, ...], biases: Biases = "one") -> None:
        self.cell = cell
        self._two_biases = biases == "two"
        self.num_outputs = cell.num_units * len(directions)
        self.scopes: dict[Direction, str] = {direction: f"{name}/{direction}" for direction in directions}

    def weight_specs(self, num_inputs: int) -> list[WeightSpec]:
        """The cell's weights, for each direction.

        Weights from the inputs start in +-1/sqrt(F) in forward networks and in +-1/sqrt(H) in others, as published.
        """
        fan = num_inputs if tuple(self.scopes) == ("forward",) else self.cell.num_units
        specs = self.cell.weight_specs(num_inputs, fan)
        if self._two_biases:
            specs = [*specs, self._second_bias(specs)]
        return [spec for scope in self.scopes.values() for spec in in_scope(scope, specs)]

    def cell_weights(self, direction: Direction, weights: Weights) -> Weights:
        """Of the network's weights, those that the cell of a direction reads, by the cell's own names.

        Of two biases it reads the sum: each has the gradient of the sum, also where gradients are sums of squares.
        """
        own = within(weights, self.scopes[direction])
        return {**own, "bias": own["bias"] + own["recurrent_bias"]} if self._two_biases else own

    def _second_bias(self, specs: list[WeightSpec]) -> WeightSpec:
        shapes = [spec.shape for spec in specs if spec.name == "bias"]
        require(len(shapes) == 1, "network.biases two needs a cell with a bias. Received: one without.")
        units = self.cell.num_units
        return WeightSpec("recurrent_bias", shapes[0], "bias", units, 1.0 / math.sqrt(units))

    def modulation_specs(self) -> list[ModulationSpec]:
        """`gain` and `shift` [H] of each direction."""
        specs = modulation_specs(self.cell.num_units)
        return [spec for scope in self.scopes.values() for spec in in_scope(scope, specs)]

    def __call__(self, weights: Weights, x: tf.Tensor, reading: Reading) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Outputs [S, B, directions * H] with 0 at padded steps, and each direction's states [S, B, H].

        Args:
          weights: The network's weights.
          x: [T, B, F].
          reading: How they are read; S is T, or T - first_step.
        """
        parts = [self._read(direction, weights, x, reading) for direction in self.scopes]
        outputs, states = [output for output, _ in parts], [state for _, state in parts]
        lengths = tf.cast(reading.lengths, tf.int32)
        mask = tf.cast(tf.range(tf.shape(x)[0])[:, tf.newaxis] < lengths, x.dtype)  # [T, B]
        output = tf.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return output * mask[reading.first_step :, :, tf.newaxis], states

    def _read(
        self, direction: Direction, weights: Weights, x: tf.Tensor, reading: Reading
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Outputs and states of one direction, in the order of time."""
        lengths, maps, truncate, first_step = reading
        weights = self.cell_weights(direction, weights)

        def in_order(x: tf.Tensor) -> tf.Tensor:
            return _reverse(x, lengths) if direction == "backward" else x

        hidden, state = self.cell.unroll(weights, in_order(x), maps, truncate)
        if truncate is None:
            hidden, state = in_order(hidden)[first_step:], in_order(state)[first_step:]
            return self.cell.outputs(weights, hidden, maps), state
        # Outputs of the first steps pass no gradient to the output layer either.
        output = _detach_before_last(self.cell.outputs(weights, hidden, maps), truncate)
        state = _detach_before_last(state, truncate)
        return in_order(output)[first_step:], in_order(state)[first_step:]


class Heads:
    """x W_k + b_k, and g (x W_k + b_k) + s where modulated: a linear output layer for each task, or one for all.

    Args:
      num_heads: K.
      num_outputs: C, outputs of one head.
      name: Scope of their weights.
    """

    def __init__(self, num_heads: int, num_outputs: int, name: str = "head") -> None:
        self.name = name
        self.num_heads = num_heads
        self.num_outputs = num_outputs

    def weight_specs(self, num_inputs: int) -> list[WeightSpec]:
        """`kernel` W [K, F, C] and `bias` b [K, C]."""
        bound, heads, outputs = 1.0 / math.sqrt(num_inputs), self.num_heads, self.num_outputs
        return in_scope(
            self.name,
            [
                WeightSpec("kernel", (heads, num_inputs, outputs), "kernel", num_inputs, bound, per_head=True),
                WeightSpec("bias", (heads, outputs), "bias", num_inputs, bound, per_head=True),
            ],
        )

    def modulation_specs(self) -> list[ModulationSpec]:
        """`gain` g and `shift` s of the head in use, [C] each."""
        return in_scope(self.name, modulation_specs(self.num_outputs))

    def __call__(self, weights: Weights, x: tf.Tensor, head_ids: tf.Tensor, maps: LinearMaps) -> tf.Tensor:
        """[T, B, F] -> [T, B, C] of each example's head; see `RecurrentNetwork` for the head ids."""
        weights = within(weights, self.name)
        return modulate(weights, self._select(weights, x, tf.convert_to_tensor(head_ids), maps))

    def _select(self, weights: Weights, x: tf.Tensor, head_ids: tf.Tensor, maps: LinearMaps) -> tf.Tensor:
        kernel, bias = weights["kernel"], weights["bias"]  # [K, F, C], [K, C]
        if kernel.shape[0] == 1:
            return maps.linear(x, kernel[0], bias[0])
        # Selections are products with 0 and 1, so squares of gradients pass through them as gradients do.
        selection = tf.one_hot(head_ids, self.num_heads, dtype=x.dtype)
        if head_ids.shape.rank == 0:  # A product, not a slice, whose gradient XLA would compile for each head anew.
            return maps.linear(x, tf.tensordot(selection, kernel, 1), tf.tensordot(selection, bias, 1))
        side_by_side = tf.reshape(tf.transpose(kernel, [1, 0, 2]), [kernel.shape[1], -1])  # [F, K * C]
        logits = maps.linear(x, side_by_side, tf.reshape(bias, [-1]))
        logits = tf.reshape(logits, [*tf.unstack(tf.shape(x)[:2]), self.num_heads, self.num_outputs])
        return tf.einsum("tbkc,bk->tbc", logits, selection)


def _reverse(x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """[T, B, ...] with the first `lengths` steps of each sequence in reverse order."""
    return tf.reverse_sequence(x, lengths, seq_axis=0, batch_axis=1)


def _detach_before_last(x: tf.Tensor, steps: int) -> tf.Tensor:
    """The same [T, ...], whose first T - `steps` steps pass no gradient on."""
    first = tf.maximum(tf.shape(x)[0] - steps, 0)
    return tf.concat([tf.stop_gradient(x[:first]), x[first:]], axis=0)
