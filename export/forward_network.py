"""The main network as it is served: forward only, in one graph that all signatures call.

A network in training keeps what its backward pass reads, and has gradients that are written by hand. A SavedModel would
store them, and who loads it would build them again. Neither is needed to answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from clrnn_tf.networks.cells import Cell, ElmanCell, LSTMCell
from clrnn_tf.networks.layers import Direction, Reading, RecurrentLayer
from clrnn_tf.networks.linear import SUMMED
from clrnn_tf.networks.network import Outputs, RecurrentNetwork
from clrnn_tf.networks.unrolling import history_like, loop
from clrnn_tf.networks.weights import Weights, require_weights

_UNROLL_BY_STEPS = (Cell.unroll, ElmanCell.unroll, LSTMCell.unroll)
"""What these compute is `Cell.step` again and again."""


class ForwardNetwork(RecurrentNetwork):
    """A network that gives the logits and features of `network`, from the same operations.

    Its graph is traced once for each combination of shapes. It reads the weights as inputs, so that one graph serves
    all tasks. A cell with an `unroll` of its own is unrolled by that.

    Args:
      network: The main network.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import NetworkConfig, RecurrentNetwork, SharedWeights
      >>> network = RecurrentNetwork(NetworkConfig(hidden_sizes=(5,)), num_features=3, num_outputs=2, num_tasks=1)
      >>> weights = SharedWeights(network.weight_specs)(tf.constant(0))
      >>> given = weights, tf.ones([6, 7, 3]), tf.fill([6], 7), tf.constant(0)
      >>> bool(tf.reduce_all(ForwardNetwork(network)(*given).logits == network(*given).logits))
      True
    """

    def __init__(self, network: RecurrentNetwork) -> None:
        vars(self).update(vars(network))
        self._traced = tf.function(self._run, autograph=False)

    def __call__(
        self, weights: Weights, inputs: tf.Tensor, lengths: tf.Tensor, head_ids: tf.Tensor, **options: object
    ) -> Outputs:
        """Logits and features; arguments as those of `RecurrentNetwork`, without options.

        Raises:
          ValueError: The weights lack a tensor, or there are options.
        """
        if options:
            raise ValueError(f"a served network has no options. Received: {', '.join(options)}.")
        require_weights(weights, self.weight_specs)
        tensors = [tf.convert_to_tensor(value) for value in (inputs, lengths, head_ids)]
        read = {name: tf.convert_to_tensor(weight) for name, weight in weights.items()}
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
        of_weights = {name: tf.TensorSpec(weight.shape, weight.dtype) for name, weight in read.items()}
        logits, features = self._traced.get_concrete_function(of_weights, *specs)(read, *tensors)
        return Outputs(logits, (), (), features)

    def _run(
        self, weights: Weights, inputs: tf.Tensor, lengths: tf.Tensor, head_ids: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits [B, T, C] and features [B, T, U]."""
        x = tf.transpose(inputs, [1, 0, 2])  # [T, B, F]
        for dense in self.dense_before:
            x = dense(weights, x, SUMMED)
        for layer in self.recurrent:
            x = _read(layer, weights, x, lengths)
        for dense in self.dense_after:
            x = dense(weights, x, SUMMED)
        logits = self.heads(weights, x, head_ids, SUMMED)
        return tf.transpose(logits, [1, 0, 2]), tf.transpose(x, [1, 0, 2])


def _read(layer: RecurrentLayer, weights: Weights, x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Outputs [T, B, directions * H] of a recurrent layer, 0 in padding."""
    if type(layer.cell).unroll not in _UNROLL_BY_STEPS:
        return layer(weights, x, Reading(lengths, SUMMED))[0]
    parts = [_read_in(direction, layer, weights, x, lengths) for direction in layer.scopes]
    output = tf.concat(parts, axis=-1) if len(parts) > 1 else parts[0]
    mask = tf.transpose(tf.sequence_mask(lengths, tf.shape(x)[0], x.dtype))  # [T, B]
    return output * mask[:, :, tf.newaxis]


def _read_in(
    direction: Direction, layer: RecurrentLayer, weights: Weights, x: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Outputs [T, B, H] of one direction."""

    def in_order(x: tf.Tensor) -> tf.Tensor:
        return tf.reverse_sequence(x, lengths, seq_axis=0, batch_axis=1) if direction == "backward" else x

    own = layer.cell_weights(direction, weights)
    return layer.cell.outputs(own, in_order(_hidden(layer.cell, own, in_order(x))), SUMMED)


def _hidden(cell: Cell, weights: Weights, x: tf.Tensor) -> tf.Tensor:
    """h_t [T, B, H] of all steps."""
    projected, kernel, modulation = cell.recurrence(weights, x, SUMMED)
    time, zero = tf.shape(projected)[0], tf.zeros_like(projected[0, :, : cell.num_units])

    def body(t: tf.Tensor, state: Sequence[tf.Tensor], history: tf.TensorArray) -> tuple:
        after = cell.step(tf.gather(projected, t), tf.matmul(state[0], kernel), tuple(state), modulation)
        return t + 1, list(after), history.write(t, after[0])

    *_, history = loop(time, body, tf.constant(0), [zero] * cell.num_states, history_like(time, zero))
    return history.stack()
