"""The main network on rows of different tasks: batched products, with the weights of each block's task.

It computes what `RecurrentNetwork` computes, with the layers and cells of that network, for the N * R rows of
`RowBlocks`: kernels and biases have an axis [N, ...] in front, gains and shifts one of rows [N * R, ...]. Recurrences
go on from a given state and return the one that they end in, so that a sequence can be read step by step.

A cell is unrolled by its `step`. One that reads other weights than `Cell` says is not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.networks.layers import RecurrentLayer
from clrnn_tf.networks.linear import LinearMaps
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.unrolling import history_like, loop
from clrnn_tf.networks.weights import Modulation, Weights, modulate, within
from export.row_blocks import RowBlocks


class Answers(NamedTuple):
    """What the network computed for a batch."""

    logits: tf.Tensor
    """[B, T, C]."""
    state: tf.Tensor
    """[B, S], after the last step."""


class MixedNetwork:
    """A network on rows of different tasks.

    Args:
      network: The main network.
    """

    def __init__(self, network: RecurrentNetwork) -> None:
        self._network = network
        self._modulation = {spec.name for spec in (*network.modulation_specs, *network.head_modulation_specs)}
        self._state_sizes = [size for layer in network.recurrent for size in _state_sizes(layer)]

    @property
    def state_size(self) -> int:
        """S, the numbers that are carried from step to step: the states of all layers and directions."""
        return sum(self._state_sizes)

    @property
    def reads_forward(self) -> bool:
        """Whether it can be asked step by step."""
        return self._network.config.direction == "forward"

    def __call__(
        self, weights: Weights, blocks: RowBlocks, inputs: tf.Tensor, lengths: tf.Tensor, state: tf.Tensor
    ) -> Answers:
        """Answer a batch.

        Args:
          weights: Of the task of each block, by name, [N, ...]; of the heads, [N, 1, ...], that of the task.
          blocks: How its rows are cut into blocks.
          inputs: [B, T, F], as `TaskModel.embed` gives them.
          lengths: [B] int32.
          state: [B, S] that the sequences go on from; zeros to begin with.
        """
        weights, lengths = self._of_rows(weights, blocks), blocks.of(lengths)
        x = tf.transpose(blocks.of(inputs), [1, 0, 2])  # [T, N * R, F]
        states = tf.split(blocks.of(state), self._state_sizes, axis=-1)
        after: list[tf.Tensor] = []
        for dense in self._network.dense_before:
            x = dense(weights, x, _MAPS)
        for layer in self._network.recurrent:
            count = len(_state_sizes(layer))
            x, ends = _read(layer, weights, x, lengths, states[:count])
            states, after = states[count:], [*after, *ends]
        for dense in self._network.dense_after:
            x = dense(weights, x, _MAPS)
        head = within(weights, self._network.heads.name)
        logits = modulate(head, _linear(x, head["kernel"], head["bias"]))
        return Answers(blocks.undo(tf.transpose(logits, [1, 0, 2])), blocks.undo(tf.concat(after, axis=-1)))

    def _of_rows(self, weights: Weights, blocks: RowBlocks) -> Weights:
        """The weights of each block without the axis of heads, and gains and shifts of each row."""
        own = {spec.name: weights[spec.name][:, 0] for spec in self._network.head_specs}
        size = tf.shape(blocks.rows)[1]
        of_rows = {name: tf.repeat(weights[name], size, axis=0) for name in weights if name in self._modulation}
        return {**weights, **own, **of_rows}


def _state_sizes(layer: RecurrentLayer) -> list[int]:
    return [layer.cell.num_units] * (layer.cell.num_states * len(layer.scopes))


def _read(
    layer: RecurrentLayer, weights: Weights, x: tf.Tensor, lengths: tf.Tensor, states: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Outputs [T, N * R, directions * H] of a recurrent layer, 0 in padding, and the states that it ends in."""
    own = [layer.weights_of(weights, direction) for direction in layer.scopes]
    hidden, ends = _unroll(layer, own, x, lengths, states)
    outputs = [layer.cell.outputs(of, h, _MAPS) for of, h in zip(own, hidden, strict=True)]
    mask = tf.cast(tf.range(tf.shape(x)[0])[:, tf.newaxis] < lengths, x.dtype)  # [T, N * R]
    return tf.concat(outputs, axis=-1) * mask[..., tf.newaxis], ends


def _unroll(
    layer: RecurrentLayer, own: Sequence[Weights], x: tf.Tensor, lengths: tf.Tensor, states: Sequence[tf.Tensor]
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Hidden states [T, N * R, H] of each direction, and the last states of all.

    Directions are read in one loop, as if they were more blocks: a step of a loop costs more than what it computes.
    """
    cell, is_backward = layer.cell, [direction == "backward" for direction in layer.scopes]
    projected = [_linear(x, of["kernel"], of["bias"]) for of in own]
    projected = tf.concat([_in_order(z, lengths, back) for z, back in zip(projected, is_backward, strict=True)], axis=1)
    kernel = tf.concat([of["recurrent_kernel"] for of in own], axis=0)
    modulation = _side_by_side([Modulation.of(of) for of in own])

    def body(t: tf.Tensor, state: Sequence[tf.Tensor], history: tf.TensorArray) -> tuple:
        by_block = tf.reshape(state[0], [tf.shape(kernel)[0], -1, cell.num_units])
        product = tf.reshape(tf.matmul(by_block, kernel), [-1, kernel.shape[2]])
        after = cell.step(projected[t], product, tuple(state), modulation)
        return t + 1, list(after), history.write(t, after[0])

    count, time = cell.num_states, tf.shape(x)[0]
    start = [tf.concat(states[number::count], axis=0) for number in range(count)]  # [directions * N * R, H]
    start = [tf.ensure_shape(state, [None, cell.num_units]) for state in start]
    _, after, history = loop(time, body, tf.constant(0), start, history_like(time, start[0]))
    hidden = tf.split(history.stack(), len(own), axis=1)
    ends = zip(*(tf.split(state, len(own), axis=0) for state in after), strict=True)  # by direction
    return [_in_order(h, lengths, back) for h, back in zip(hidden, is_backward, strict=True)], [
        state for of_direction in ends for state in of_direction
    ]


def _side_by_side(modulations: Sequence[Modulation | None]) -> Modulation | None:
    """Gains and shifts of the rows of all directions."""
    if any(modulation is None for modulation in modulations):
        return None
    parts = zip(*modulations, strict=True)
    return Modulation(*(None if part[0] is None else tf.concat(part, axis=0) for part in parts))


def _in_order(x: tf.Tensor, lengths: tf.Tensor, is_backward: bool) -> tf.Tensor:
    """[T, N * R, ...] as a direction reads it."""
    return tf.reverse_sequence(x, lengths, seq_axis=0, batch_axis=1) if is_backward else x


def _linear(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """X W + b of [T, N * R, in], [N, in, out] and [N, out], as one batched product over T * R rows of each block."""
    time, num_rows, num_blocks = tf.shape(x)[0], tf.shape(x)[1], tf.shape(kernel)[0]
    num_inputs, num_outputs = kernel.shape[1:]
    x = tf.transpose(tf.reshape(x, [time, num_blocks, -1, num_inputs]), [1, 0, 2, 3])  # [N, T, R, in]
    product = tf.matmul(tf.reshape(x, [num_blocks, -1, num_inputs]), kernel) + bias[:, tf.newaxis]
    product = tf.transpose(tf.reshape(product, [num_blocks, time, -1, num_outputs]), [1, 0, 2, 3])
    return tf.reshape(product, [time, num_rows, num_outputs])


def _not_served(*tensors: tf.Tensor) -> tf.Tensor:
    raise NotImplementedError("a served network has no gradients, and its cells apply gains in their steps.")


_MAPS = LinearMaps(_linear, _not_served, _not_served)
