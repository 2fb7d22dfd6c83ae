"""The main network: dense layers, stacked recurrent layers in one or both directions, dense layers, task heads.

It owns no variables: every call gets its weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.cells import ACTIVATIONS, CELLS, ElmanCell, LSTMCell, project_inputs
from clrnn_tf.config import NetworkConfig
from clrnn_tf.recurrent import unroll
from clrnn_tf.weights import Weights, WeightSpec


class Outputs(NamedTuple):
    """What the main network computed; B batch, T time, C outputs of a head, H units."""

    logits: tf.Tensor
    """[B, T, C] of each example's own head; padded steps hold the head's bias response and mean nothing."""
    hidden: tuple[tf.Tensor, ...]
    """[B, T, H] outputs of each recurrent layer ([B, T, 2H] when bidirectional), 0 at padded steps."""
    states: tuple[tf.Tensor, ...]
    """[B, T, H] internal state that recurs, per recurrent layer and direction: Elman h, LSTM c."""


class RecurrentNetwork:
    """A recurrent network as a pure function of its weights.

    Args:
      config: Sizes and kinds of layers.
      num_features: F, width of the inputs.
      num_outputs: C, outputs of one head.
      num_tasks: K; multi-head networks have K heads.
    """

    def __init__(self, config: NetworkConfig, num_features: int, num_outputs: int, num_tasks: int) -> None:
        self.config = config
        self.num_features = num_features
        self.num_outputs = num_outputs
        self.num_heads = num_tasks if config.heads == "multi" else 1
        self._activation = ACTIVATIONS[config.activation].apply
        self._directions = ("forward", "backward") if config.direction == "bidirectional" else (config.direction,)
        self._cells = [CELLS[config.cell](units, config.activation) for units in config.hidden_sizes]
        self.weight_specs = tuple(self._all_specs())

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
        return specs + _dense_specs("head", width, self.num_heads * self.num_outputs)

    def __call__(self, weights: Weights, inputs: tf.Tensor, lengths: tf.Tensor, head_ids: tf.Tensor) -> Outputs:
        """Run the network.

        Args:
          weights: Tensors by the names of `weight_specs`.
          inputs: [B, T, F].
          lengths: [B] int32; the backward direction starts at step length - 1, and outputs beyond are 0.
          head_ids: Scalar head for the whole batch (cheaper: only that head is computed), or [B] one for each
            example. Ignored with a single head.
        """
        x = tf.transpose(inputs, [1, 0, 2])  # [T, B, F]
        for index in range(len(self.config.dense_before)):
            x = self._activation(_dense(weights, f"dense_before{index}", x))
        hidden, states = [], []
        for index, cell in enumerate(self._cells):
            x, layer_states = self._recurrent_layer(weights, f"recurrent{index}", cell, x, lengths)
            hidden.append(x)
            states += layer_states
        for index in range(len(self.config.dense_after)):
            x = self._activation(_dense(weights, f"dense_after{index}", x))
        logits = self._head(weights, x, tf.convert_to_tensor(head_ids))
        return Outputs(_batch_major(logits), tuple(map(_batch_major, hidden)), tuple(map(_batch_major, states)))

    def _recurrent_layer(
        self, weights: Weights, name: str, cell: ElmanCell | LSTMCell, x: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        outputs, states = [], []
        for direction in self._directions:
            scope = f"{name}/{direction}"
            projected = project_inputs(weights, scope, x)
            if direction == "backward":
                projected = tf.reverse_sequence(projected, lengths, seq_axis=0, batch_axis=1)
            hidden, cell_state = unroll(cell, projected, weights[f"{scope}/recurrent_kernel"])
            output, state = hidden, hidden if cell_state is None else cell_state
            if direction == "backward":
                output, state = (
                    tf.reverse_sequence(each, lengths, seq_axis=0, batch_axis=1) for each in (output, state)
                )
            if isinstance(cell, ElmanCell):
                output = cell.outputs(weights, scope, output)
            outputs.append(output)
            states.append(state)
        mask = tf.sequence_mask(lengths, tf.shape(x)[0], dtype=x.dtype)  # [B, T]
        output = tf.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return output * tf.transpose(mask)[:, :, tf.newaxis], states

    def _head(self, weights: Weights, x: tf.Tensor, head_ids: tf.Tensor) -> tf.Tensor:
        kernel, bias = weights["head/kernel"], weights["head/bias"]
        if self.num_heads == 1:
            return tf.matmul(x, kernel) + bias
        selection = tf.one_hot(head_ids, self.num_heads, dtype=x.dtype)
        if head_ids.shape.rank == 0:  # A product, not a slice, whose gradient XLA would compile for each head anew.
            kernel = tf.linalg.matvec(self._by_head(kernel, transpose=True), selection)  # [F, C]
            bias = tf.linalg.matvec(self._by_head(bias, transpose=True), selection)  # [C]
            return tf.matmul(x, kernel) + bias
        logits = self._by_head(tf.matmul(x, kernel) + bias)  # [T, B, K, C]
        return tf.einsum("tbkc,bk->tbc", logits, selection)

    def _by_head(self, x: tf.Tensor, transpose: bool = False) -> tf.Tensor:
        """[..., K * C] as [..., K, C], or [..., C, K]."""
        x = tf.reshape(x, tf.concat([tf.shape(x)[:-1], [self.num_heads, self.num_outputs]], axis=0))
        return tf.linalg.matrix_transpose(x) if transpose else x


def orthogonal_penalty(weights: Weights, specs: tuple[WeightSpec, ...]) -> tf.Tensor:
    """Sum ||U^T U - I||_F^2 over the hidden-to-hidden matrices (the four gates' blocks of an LSTM, each alone)."""
    penalty = tf.constant(0.0, next(iter(weights.values())).dtype)
    for spec in specs:
        if spec.kind != "recurrent":
            continue
        size = spec.shape[0]
        for block in tf.split(weights[spec.name], spec.shape[1] // size, axis=1):
            error = tf.matmul(block, block, transpose_a=True) - tf.eye(size, dtype=block.dtype)
            penalty += tf.reduce_sum(tf.square(error))
    return penalty


def _dense_specs(name: str, num_inputs: int, units: int) -> list[WeightSpec]:
    bound = 1.0 / math.sqrt(num_inputs)
    return [
        WeightSpec(f"{name}/kernel", (num_inputs, units), "kernel", num_inputs, bound),
        WeightSpec(f"{name}/bias", (units,), "bias", num_inputs, bound),
    ]


def _dense(weights: Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    return tf.matmul(x, weights[f"{name}/kernel"]) + weights[f"{name}/bias"]


def _batch_major(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, 2])
