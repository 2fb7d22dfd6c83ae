"""The main network on rows of different tasks: batched products, with the weights of each block's task.

It computes what `RecurrentNetwork` computes, with the layers and cells of that network, for the N * R rows of
`RowBlocks`, from weights that have an axis of blocks [N, ...] in front. Recurrences go on from a given state and return
the one that they end in, so that a sequence can be read step by step. Sequences are batch-major here, so that all steps
of a block are rows of one product; only the loop over time is time-major.

A cell is unrolled by its `step`. One that reads other weights than `Cell` says is not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.networks.cells import Cell
from clrnn_tf.networks.layers import RecurrentLayer
from clrnn_tf.networks.linear import LinearMaps
from clrnn_tf.networks.network import RecurrentNetwork
from clrnn_tf.networks.unrolling import history_like, loop
from clrnn_tf.networks.weights import Modulation, Weights, modulate, within
from export.row_blocks import RowBlocks

_SMALL = 2**13  # numbers of a kernel; measured with 2**12, 2**14 and 2**16


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
        self._scopes = tuple(f"{_name(layer)}/" for layer in network.recurrent)
        self._state_sizes = [size for layer in network.recurrent for size in _state_sizes(layer)]

    @property
    def state_size(self) -> int:
        """S, the numbers that are carried from step to step: the states of all layers and directions."""
        return sum(self._state_sizes)

    @property
    def reads_forward(self) -> bool:
        """Whether it can be asked step by step."""
        return self._network.config.direction == "forward"

    def arranged(self, weights: Weights, task_id: tf.Tensor) -> Weights:
        """The weights of one task as `__call__` reads them, by name.

        Of recurrent layers, the directions are side by side, [directions, ...]: they are read in one loop, as if they
        were more blocks, because a step of a loop costs more than what it computes. Of heads there is the task's alone.
        """
        arranged = {name: weight for name, weight in weights.items() if not name.startswith(self._scopes)}
        for layer in self._network.recurrent:
            own = [layer.cell_weights(direction, weights) for direction in layer.scopes]
            arranged |= {f"{_name(layer)}/{name}": tf.stack([of[name] for of in own]) for name in own[0]}
        for spec in self._network.head_specs:
            heads = weights[spec.name]  # [K or 1, ...]
            arranged[spec.name] = tf.gather(heads, task_id) if heads.shape[0] > 1 else heads[0]
        return arranged

    def named(self, arranged: Weights) -> Weights:
        """Undoes `arranged` for weights of K tasks, [K, ...]: as the network names them, with one head.

        Of two biases, the first is the sum, and the second is 0.
        """
        weights = {name: weight for name, weight in arranged.items() if not name.startswith(self._scopes)}
        for layer in self._network.recurrent:
            for name, weight in within(arranged, _name(layer)).items():
                directions = tf.unstack(weight, axis=1)
                if name == "recurrent_bias":
                    directions = list(map(tf.zeros_like, directions))
                weights |= {f"{scope}/{name}": of for scope, of in zip(layer.scopes.values(), directions, strict=True)}
        return weights | {spec.name: weights[spec.name][:, tf.newaxis] for spec in self._network.head_specs}

    def __call__(
        self, weights: Weights, blocks: RowBlocks, inputs: tf.Tensor, lengths: tf.Tensor, state: tf.Tensor
    ) -> Answers:
        """Answer a batch.

        Args:
          weights: Of the task of each block, `arranged`, [N, ...].
          blocks: How its rows are cut into blocks.
          inputs: [B, T, F], as `TaskModel.embed` gives them.
          lengths: [B] int32.
          state: [B, S] that the sequences go on from; zeros to begin with.
        """
        x, lengths = blocks.of(inputs), blocks.of(lengths)  # [N * R, T, F]
        weights = _with_modulation_of_rows(weights, tf.shape(blocks.rows)[1])
        states = tf.split(blocks.of(state), self._state_sizes, axis=-1)
        after: list[tf.Tensor] = []
        for dense in self._network.dense_before:
            x = dense(weights, x, _MAPS)
        for layer in self._network.recurrent:
            count = len(_state_sizes(layer))
            x, ends = _read(layer, within(weights, _name(layer)), x, lengths, states[:count])
            states, after = states[count:], [*after, *ends]
        for dense in self._network.dense_after:
            x = dense(weights, x, _MAPS)
        head = within(weights, self._network.heads.name)
        logits = modulate(head, _linear(x, head["kernel"], head["bias"]))
        return Answers(blocks.undo(logits), blocks.undo(tf.concat(after, axis=-1)))


def _name(layer: RecurrentLayer) -> str:
    """Scope of a layer's weights, those of all directions."""
    return next(iter(layer.scopes.values())).rpartition("/")[0]


def _with_modulation_of_rows(weights: Weights, size: tf.Tensor) -> Weights:
    """Weights with gains and shifts of each of the R rows of a block, [N * R, 1, ...] instead of [N, ...]."""
    return {
        name: tf.repeat(weight, size, axis=0)[:, tf.newaxis] if name.endswith(("/gain", "/shift")) else weight
        for name, weight in weights.items()
    }


def _state_sizes(layer: RecurrentLayer) -> list[int]:
    return [layer.cell.num_units] * (layer.cell.num_states * len(layer.scopes))


def _read(
    layer: RecurrentLayer, weights: Weights, x: tf.Tensor, lengths: tf.Tensor, states: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Outputs [N * R, T, directions * H] of a recurrent layer, 0 in padding, and the states that it ends in."""
    weights = {name: tf.reshape(weight, [-1, *weight.shape[2:]]) for name, weight in weights.items()}
    is_backward = [direction == "backward" for direction in layer.scopes]
    num_blocks, count = tf.shape(weights["kernel"])[0] // len(is_backward), layer.cell.num_states
    read = _as_blocks([_in_order(x, lengths, back) for back in is_backward], num_blocks)
    start = [_as_blocks(states[number::count], num_blocks) for number in range(count)]
    hidden, after = _unroll(layer.cell, weights, read, start)
    outputs = _by_direction(layer.cell.outputs(weights, hidden, _MAPS), num_blocks, len(is_backward))
    ends = zip(*(_by_direction(state, num_blocks, len(is_backward)) for state in after), strict=True)
    output = tf.concat([_in_order(y, lengths, back) for y, back in zip(outputs, is_backward, strict=True)], axis=-1)
    mask = tf.sequence_mask(lengths, tf.shape(x)[1], x.dtype)
    return output * mask[..., tf.newaxis], [state for of_direction in ends for state in of_direction]


def _as_blocks(directions: Sequence[tf.Tensor], num_blocks: tf.Tensor) -> tf.Tensor:
    """Rows [N * R, ...] of each direction as rows of N * directions blocks of R."""
    rows = directions[0].shape[1:]
    split = [tf.reshape(rows_of, tf.concat([[num_blocks, -1], tf.shape(rows_of)[1:]], 0)) for rows_of in directions]
    together = tf.stack(split, axis=1)
    return tf.ensure_shape(tf.reshape(together, tf.concat([[-1], tf.shape(together)[3:]], 0)), [None, *rows])


def _by_direction(together: tf.Tensor, num_blocks: tf.Tensor, num_directions: int) -> list[tf.Tensor]:
    """Undoes `_as_blocks`."""
    sizes = tf.concat([[num_blocks, num_directions, -1], tf.shape(together)[1:]], 0)
    split = tf.unstack(tf.reshape(together, sizes), num_directions, axis=1)
    rows = [tf.reshape(rows_of, tf.concat([[-1], tf.shape(together)[1:]], 0)) for rows_of in split]
    return [tf.ensure_shape(rows_of, [None, *together.shape[1:]]) for rows_of in rows]


def _unroll(
    cell: Cell, weights: Weights, x: tf.Tensor, start: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Hidden states [rows, T, H] of all steps, and the last state; see `Cell`."""
    projected = tf.transpose(_linear(x, weights["kernel"], weights["bias"]), [1, 0, 2])  # [T, rows, ...]
    kernel, modulation = weights["recurrent_kernel"], _of_a_step(Modulation.of(weights))

    def body(t: tf.Tensor, state: Sequence[tf.Tensor], history: tf.TensorArray) -> tuple:
        by_block = tf.reshape(state[0], [tf.shape(kernel)[0], -1, cell.num_units])
        product = tf.reshape(_small_product(by_block, kernel), [-1, kernel.shape[2]])
        after = cell.step(projected[t], product, tuple(state), modulation)
        return t + 1, list(after), history.write(t, after[0])

    time = tf.shape(x)[1]
    _, after, history = loop(time, body, tf.constant(0), list(start), history_like(time, start[0]))
    return tf.transpose(history.stack(), [1, 0, 2]), after


def _small_product(rows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[N, R, in] times [N, in, out], for one step.

    TensorFlow has oneDNN compute every batched product but those of `BatchMatMulV3`. That costs a product of small
    kernels two to four times as long where there are few blocks, and saves half where kernels are large.
    """
    if kernel.shape[1] * kernel.shape[2] > _SMALL:
        return tf.matmul(rows, kernel)
    return tf.raw_ops.BatchMatMulV3(x=rows, y=kernel, Tout=kernel.dtype)


def _of_a_step(modulation: Modulation | None) -> Modulation | None:
    """Gains and shifts [rows, H] of rows, from those [rows, 1, H] of their steps."""
    return modulation and Modulation(*(None if part is None else part[:, 0] for part in modulation))


def _in_order(x: tf.Tensor, lengths: tf.Tensor, is_backward: bool) -> tf.Tensor:
    """[rows, T, ...] as a direction reads it."""
    return tf.reverse_sequence(x, lengths, seq_axis=1, batch_axis=0) if is_backward else x


def _linear(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """X W + b of [N * R, T, in], [N, in, out] and [N, out], as one batched product over R * T rows of each block."""
    num_inputs, num_outputs = kernel.shape[1:]
    rows = tf.reshape(x, [tf.shape(kernel)[0], -1, num_inputs])
    product = tf.matmul(rows, kernel) + bias[:, tf.newaxis]
    return tf.reshape(product, [-1, tf.shape(x)[1], num_outputs])


def _not_served(*tensors: tf.Tensor) -> tf.Tensor:
    raise NotImplementedError("a served network has no gradients, and its cells apply gains in their steps.")


_MAPS = LinearMaps(_linear, _not_served, _not_served)
