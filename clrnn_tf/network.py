"""The main network: dense layers, stacked recurrent layers in one or both directions, dense layers, task heads.

It owns no variables: every call gets its weights.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import tensorflow as tf

from clrnn_tf.cells import ACTIVATIONS, CELLS, Cell, ElmanCell, Modulation
from clrnn_tf.config import NetworkConfig
from clrnn_tf.linear import PER_SEQUENCE_SQUARES, SUMS, WeightGradients
from clrnn_tf.recurrent import Unrolled, unroll, unroll_together
from clrnn_tf.weights import Weights, WeightSpec

TOGETHER_UP_TO = 0
"""Units of a bidirectional layer up to which both directions run in one loop. None by default: with 32 units, 64 steps
and 64 sequences on a CPU that costs as much as two loops under XLA, and half as much again in a plain graph."""


class Outputs(NamedTuple):
    """What the main network computed; B batch, T time, C outputs of a head, H units."""

    logits: tf.Tensor
    """[B, S, C] of each example's own head, for the last S steps (all T, unless fewer are asked for); padded steps hold
    the head's bias response and mean nothing."""
    hidden: tuple[tf.Tensor, ...]
    """[B, T, H] outputs of each recurrent layer ([B, T, 2H] when bidirectional), 0 at padded steps; of the last layer S
    steps."""
    states: tuple[tf.Tensor, ...]
    """[B, T, H] internal state that recurs, per recurrent layer and direction: Elman h, LSTM c; S steps as `hidden`."""
    features: tf.Tensor
    """[B, S, U] what the heads read: the last layer before them."""


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


class RecurrentNetwork:
    """A recurrent network as a pure function of its weights.

    The weights may hold tensors of `modulation_specs` and `head_modulation_specs` too, any of them alone; a gain that
    is not there is 1, a shift 0.

    Args:
      config: Sizes and kinds of layers.
      num_features: F, width of the inputs.
      num_outputs: C, outputs of one head.
      num_tasks: K; multi-head networks have K heads.
      together_up_to: Units up to which a bidirectional layer runs both directions in one loop.
    """

    def __init__(
        self,
        config: NetworkConfig,
        num_features: int,
        num_outputs: int,
        num_tasks: int,
        together_up_to: int = TOGETHER_UP_TO,
    ) -> None:
        self.config = config
        self.num_features = num_features
        self.num_outputs = num_outputs
        self.num_heads = num_tasks if config.heads == "multi" else 1
        self._activation = ACTIVATIONS[config.activation].apply
        self._directions = ("forward", "backward") if config.direction == "bidirectional" else (config.direction,)
        self._cells = [CELLS[config.cell](units, config.activation) for units in config.hidden_sizes]
        self._together_up_to = together_up_to
        self.weight_specs = tuple(self._all_specs())
        self.modulation_specs = tuple(self._all_modulation_specs())
        """Gain and shift of every hidden layer, in the order of the layers."""
        self.head_modulation_specs = tuple(_modulation_specs("head", num_outputs))
        """Gain and shift of the logits of the head in use, [C] each."""

    def _all_specs(self) -> list[WeightSpec]:
        specs, width = [], self.num_features
        for index, units in enumerate(self.config.dense_before):
            specs += _dense_specs(f"dense_before{index}", width, units)
            width = units
        by_units = self.config.direction != "forward"
        for index, cell in enumerate(self._cells):
            for direction in self._directions:
                specs += cell.weight_specs(width, f"recurrent{index}/{direction}", by_units)
            width = cell.num_units * len(self._directions)
        for index, units in enumerate(self.config.dense_after):
            specs += _dense_specs(f"dense_after{index}", width, units)
            width = units
        return specs + _head_specs(self.num_heads, width, self.num_outputs)

    def _all_modulation_specs(self) -> list[ModulationSpec]:
        specs = []
        for index, units in enumerate(self.config.dense_before):
            specs += _modulation_specs(f"dense_before{index}", units)
        for index, cell in enumerate(self._cells):
            for direction in self._directions:
                specs += _modulation_specs(f"recurrent{index}/{direction}", cell.num_units)
        for index, units in enumerate(self.config.dense_after):
            specs += _modulation_specs(f"dense_after{index}", units)
        return specs

    def __call__(
        self,
        weights: Weights,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        head_ids: tf.Tensor,
        *,
        last_steps: tf.Tensor | int | None = None,
        truncate: int | None = None,
        per_sequence_squares: bool = False,
    ) -> Outputs:
        """Run the network.

        Args:
          weights: Tensors by the names of `weight_specs`, and of `modulation_specs` where units are modulated. Of the
            heads, [K, F, C] and [K, C], they may hold all or, as [1, F, C] and [1, C], only the one in use.
          inputs: [B, T, F].
          lengths: [B] int32; the backward direction starts at step length - 1, and outputs beyond are 0.
          head_ids: Scalar head for the whole batch (cheaper: only that head is computed), or [B] one for each
            example. Ignored where the weights hold a single head.
          last_steps: S; what comes after the last recurrence (Elman output layer, dense layers, heads) is computed for
            the last S of the T steps only. None: for all.
          truncate: k, for truncated backpropagation: states and outputs that recurrent layers compute in steps
            t < T - k pass no gradient on. T counts padding, and t is the order in which a direction reads.
          per_sequence_squares: The gradient of a kernel or bias is sum_b (dL_b/dW)^2 over the sequences b of the
            batch, for losses that are sums over sequences of L_b. Gains and shifts are constants then. Memory grows by
            the batch size times the size of the largest kernel.
        """
        gradients = PER_SEQUENCE_SQUARES if per_sequence_squares else SUMS
        x = tf.transpose(inputs, [1, 0, 2])  # [T, B, F]
        for index in range(len(self.config.dense_before)):
            x = self._dense(weights, f"dense_before{index}", x, gradients)
        hidden, states = [], []
        steps = tf.shape(x)[0]
        for index, cell in enumerate(self._cells):
            is_last = index == len(self._cells) - 1
            first = steps - last_steps if is_last and last_steps is not None else None
            x, layer_states = self._recurrent_layer(
                weights, f"recurrent{index}", cell, x, lengths, gradients, truncate, first
            )
            hidden.append(x)
            states += layer_states
        for index in range(len(self.config.dense_after)):
            x = self._dense(weights, f"dense_after{index}", x, gradients)
        logits = self._head(weights, x, tf.convert_to_tensor(head_ids), gradients)
        return Outputs(
            _batch_major(logits),
            tuple(map(_batch_major, hidden)),
            tuple(map(_batch_major, states)),
            _batch_major(x),
        )

    def _dense(self, weights: Weights, name: str, x: tf.Tensor, gradients: WeightGradients) -> tf.Tensor:
        sums = gradients.linear(x, weights[f"{name}/kernel"], weights[f"{name}/bias"])
        return self._activation(_modulate(weights, name, sums))

    def _recurrent_layer(
        self,
        weights: Weights,
        name: str,
        cell: Cell,
        x: tf.Tensor,
        lengths: tf.Tensor,
        gradients: WeightGradients,
        truncate: int | None,
        first: tf.Tensor | None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Outputs [T, B, directions * H] with 0 at padded steps, and each direction's states; from step `first` on."""
        outputs, states = [], []
        unrolled = self._unroll_directions(weights, name, cell, x, lengths, gradients, truncate)
        for direction, (hidden, cell_state) in zip(self._directions, unrolled, strict=True):
            scope, state = f"{name}/{direction}", hidden if cell_state is None else cell_state
            if truncate is None:
                hidden, state = (_in_time(each, direction, lengths, first) for each in (hidden, state))
                output = _outputs(cell, weights, scope, hidden, gradients)
            else:  # outputs of the first steps pass no gradient to the output layer either
                output = _outputs(cell, weights, scope, hidden, gradients)
                output, state = (
                    _in_time(_detach_before_last(each, truncate), direction, lengths, first)
                    for each in (output, state)
                )
            outputs.append(output)
            states.append(state)
        mask = tf.cast(tf.range(tf.shape(x)[0])[:, tf.newaxis] < tf.cast(lengths, tf.int32), x.dtype)  # [T, B]
        output = tf.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return output * mask[first:, :, tf.newaxis], states

    def _unroll_directions(
        self,
        weights: Weights,
        name: str,
        cell: Cell,
        x: tf.Tensor,
        lengths: tf.Tensor,
        gradients: WeightGradients,
        truncate: int | None,
    ) -> list[Unrolled]:
        """States of each direction in the order in which it reads."""
        recurrences = [
            cell.recurrence(
                weights, f"{name}/{direction}", _reverse(x, lengths) if direction == "backward" else x, gradients
            )
            for direction in self._directions
        ]
        if len(recurrences) > 1 and cell.num_units <= self._together_up_to:
            return unroll_together(cell, recurrences, gradients, truncate)
        return [unroll(cell, each, gradients, truncate) for each in recurrences]

    def _head(
        self, weights: Weights, x: tf.Tensor, head_ids: tf.Tensor, gradients: WeightGradients
    ) -> tf.Tensor:
        return _modulate(weights, "head", self._select_head(weights, x, head_ids, gradients))

    def _select_head(
        self, weights: Weights, x: tf.Tensor, head_ids: tf.Tensor, gradients: WeightGradients
    ) -> tf.Tensor:
        kernel, bias = weights["head/kernel"], weights["head/bias"]  # [K, F, C], [K, C]
        if kernel.shape[0] == 1:
            return gradients.linear(x, kernel[0], bias[0])
        # Selections are products with 0 and 1, so squares of gradients pass through them as gradients do.
        selection = tf.one_hot(head_ids, self.num_heads, dtype=x.dtype)
        if head_ids.shape.rank == 0:  # A product, not a slice, whose gradient XLA would compile for each head anew.
            return gradients.linear(x, tf.tensordot(selection, kernel, 1), tf.tensordot(selection, bias, 1))
        side_by_side = tf.reshape(tf.transpose(kernel, [1, 0, 2]), [kernel.shape[1], -1])  # [F, K * C]
        logits = gradients.linear(x, side_by_side, tf.reshape(bias, [-1]))
        logits = tf.reshape(logits, [*tf.unstack(tf.shape(x)[:2]), self.num_heads, self.num_outputs])
        return tf.einsum("tbkc,bk->tbc", logits, selection)


def _dense_specs(name: str, num_inputs: int, units: int) -> list[WeightSpec]:
    bound = 1.0 / math.sqrt(num_inputs)
    return [
        WeightSpec(f"{name}/kernel", (num_inputs, units), "kernel", num_inputs, bound),
        WeightSpec(f"{name}/bias", (units,), "bias", num_inputs, bound),
    ]


def _head_specs(num_heads: int, num_inputs: int, num_outputs: int) -> list[WeightSpec]:
    bound = 1.0 / math.sqrt(num_inputs)
    kernel, bias = (num_heads, num_inputs, num_outputs), (num_heads, num_outputs)
    return [
        WeightSpec("head/kernel", kernel, "kernel", num_inputs, bound, per_head=True),
        WeightSpec("head/bias", bias, "bias", num_inputs, bound, per_head=True),
    ]


def _modulation_specs(name: str, units: int) -> list[ModulationSpec]:
    return [ModulationSpec(f"{name}/gain", (units,), "gain"), ModulationSpec(f"{name}/shift", (units,), "shift")]


def _modulate(weights: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    modulation = Modulation.of(weights, name)
    return x if modulation is None else modulation.apply(x)


def _outputs(cell: Cell, weights: Weights, scope: str, hidden: tf.Tensor, gradients: WeightGradients) -> tf.Tensor:
    """What a layer passes on: h, or the result of the Elman cell's output layer."""
    return cell.outputs(weights, scope, hidden, gradients) if isinstance(cell, ElmanCell) else hidden


def _in_time(x: tf.Tensor, direction: str, lengths: tf.Tensor, first: tf.Tensor | None) -> tf.Tensor:
    """[T, ...] of a direction's reading in the order of time, from step `first` on."""
    return (_reverse(x, lengths) if direction == "backward" else x)[first:]


def _reverse(x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """[T, B, ...] with the first `lengths` steps of each sequence in reverse order."""
    return tf.reverse_sequence(x, lengths, seq_axis=0, batch_axis=1)


def _detach_before_last(x: tf.Tensor, steps: int) -> tf.Tensor:
    """The same [T, ...], whose first T - `steps` steps pass no gradient on."""
    first = tf.maximum(tf.shape(x)[0] - steps, 0)
    return tf.concat([tf.stop_gradient(x[:first]), x[first:]], axis=0)


def _batch_major(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, 2])
