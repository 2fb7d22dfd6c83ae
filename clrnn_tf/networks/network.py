"""The main network: dense layers, stacked recurrent layers in one or both directions, dense layers, task heads.

It owns no variables: every call gets its weights.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.config import NetworkConfig
from clrnn_tf.errors import require
from clrnn_tf.networks.cells import CELLS
from clrnn_tf.networks.layers import DenseLayer, Direction, Heads, Reading, RecurrentLayer
from clrnn_tf.networks.linear import SQUARED_PER_SEQUENCE, SUMMED
from clrnn_tf.networks.weights import Weights, WeightSpec, require_heads_last, require_weights


class Outputs(NamedTuple):
    """What the main network computed; B batch, T time, C outputs of a head, H units.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import NetworkConfig, RecurrentNetwork, SharedWeights
      >>> network = RecurrentNetwork(NetworkConfig(hidden_sizes=(5,)), num_features=3, num_outputs=2, num_tasks=1)
      >>> weights = SharedWeights(network.weight_specs)(tf.constant(0))
      >>> outputs = network(weights, tf.ones([6, 7, 3]), tf.fill([6], 7), tf.constant(0))
      >>> outputs.hidden[0].shape
      TensorShape([6, 7, 5])
    """

    logits: tf.Tensor
    """[B, S, C] of the head of each example, for the last S steps (all T, unless fewer are asked for). Values at padded
    steps mean nothing."""
    hidden: tuple[tf.Tensor, ...]
    """[B, T, H] outputs of each recurrent layer ([B, T, 2H] when bidirectional), 0 at padded steps; of the last layer S
    steps."""
    states: tuple[tf.Tensor, ...]
    """[B, T, H] internal state that recurs, per recurrent layer and direction: Elman h, LSTM c; S steps as `hidden`."""
    features: tf.Tensor
    """[B, S, U] what the heads read: the last layer before them."""


class RecurrentNetwork:
    """A recurrent network as a pure function of its weights.

    The weights may also hold any of the tensors of `modulation_specs` and `head_modulation_specs`. A missing gain is 1,
    a missing shift 0.

    Args:
      config: Sizes and kinds of layers.
      num_features: F, width of the inputs.
      num_outputs: C, outputs of one head.
      num_tasks: K; multi-head networks have K heads.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import NetworkConfig, RecurrentNetwork, SharedWeights
      >>> network = RecurrentNetwork(NetworkConfig(hidden_sizes=(5,)), num_features=3, num_outputs=2, num_tasks=4)
      >>> weights = SharedWeights(network.weight_specs)(tf.constant(0))
      >>> inputs, lengths = tf.ones([6, 7, 3]), tf.fill([6], 7)  # sequences, steps, features
      >>> network(weights, inputs, lengths, head_ids=tf.constant(1)).logits.shape
      TensorShape([6, 7, 2])
    """

    def __init__(self, config: NetworkConfig, num_features: int, num_outputs: int, num_tasks: int) -> None:
        sizes = {"num_features": num_features, "num_outputs": num_outputs, "num_tasks": num_tasks}
        for name, size in sizes.items():
            require(size > 0, f"{name} must be above 0. Received: {size}.")
        require(config.cell in CELLS, f"network.cell must be {' or '.join(CELLS)}. Received: {config.cell!r}.")
        self.config = config
        self.num_features = num_features
        self.num_outputs = num_outputs
        self.num_heads = num_tasks if config.heads == "multi" else 1
        self._make_layers()
        specs: list[WeightSpec] = []
        width = num_features
        body: list[DenseLayer | RecurrentLayer] = [*self.dense_before, *self.recurrent, *self.dense_after]
        for layer in body:
            specs += layer.weight_specs(width)
            width = layer.num_outputs
        self.head_specs = tuple(self.heads.weight_specs(width))
        """Kernel and bias of the heads."""
        self.weight_specs = (*specs, *self.head_specs)
        """All tensors; those of the heads come last."""
        require_heads_last(self.weight_specs)
        self.modulation_specs = tuple(spec for layer in body for spec in layer.modulation_specs())
        """Gain and shift of every hidden layer, in the order of the layers."""
        self.head_modulation_specs = tuple(self.heads.modulation_specs())
        """Gain and shift of the logits of the head in use, [C] each."""

    def _make_layers(self) -> None:
        config = self.config
        directions: tuple[Direction, ...] = ("forward", "backward")
        if config.direction != "bidirectional":
            directions = (config.direction,)
        self.dense_before = [
            DenseLayer(f"dense_before{index}", units, config.activation)
            for index, units in enumerate(config.dense_before)
        ]
        self.recurrent = [
            RecurrentLayer(f"recurrent{index}", CELLS[config.cell](units, config.activation), directions, config.biases)
            for index, units in enumerate(config.hidden_sizes)
        ]
        self.dense_after = [
            DenseLayer(f"dense_after{index}", units, config.activation)
            for index, units in enumerate(config.dense_after)
        ]
        self.heads = Heads(self.num_heads, self.num_outputs)

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
        dropout: tuple[float, tf.Tensor] | None = None,
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
          dropout: Rate of dropout of what the heads read, and its seed [2]; nothing is dropped without it.

        Raises:
          ValueError: The weights lack a tensor.
        """
        require_weights(weights, self.weight_specs)
        maps = SQUARED_PER_SEQUENCE if per_sequence_squares else SUMMED
        reading = Reading(lengths, maps, truncate)
        x = _swap_batch_and_time(inputs)  # [T, B, F]
        for dense in self.dense_before:
            x = dense(weights, x, maps)
        first_step = None if last_steps is None else tf.shape(x)[0] - last_steps
        hidden, states = [], []
        for recurrent in self.recurrent:
            if recurrent is self.recurrent[-1]:
                reading = reading._replace(first_step=first_step)
            x, layer_states = recurrent(weights, x, reading)
            hidden.append(x)
            states += layer_states
        for dense in self.dense_after:
            x = dense(weights, x, maps)
        if dropout is not None:
            rate, key = dropout
            x = tf.nn.experimental.stateless_dropout(x, rate, seed=key)
        logits = self.heads(weights, x, head_ids, maps)
        return Outputs(
            _swap_batch_and_time(logits),
            tuple(map(_swap_batch_and_time, hidden)),
            tuple(map(_swap_batch_and_time, states)),
            _swap_batch_and_time(x),
        )


def _swap_batch_and_time(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, 2])
