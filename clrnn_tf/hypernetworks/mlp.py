"""The multilayer perceptron of a hypernetwork, on variables that are passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from clrnn_tf.config import HypernetworkConfig

_ACTIVATIONS = {
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "elu": tf.nn.elu,
    "linear": tf.identity,
}


@dataclass(frozen=True)
class MLP:
    """L layers x_{l+1} = act(x_l A_l + b_l), the last one without activation, on inputs [n, N, width].

    Dropout acts on the activations. A dropout key is [2] integers; without it nothing is dropped.
    """

    kernels: Sequence[keras.Variable]
    biases: Sequence[keras.Variable]
    """Empty for layers without biases."""
    config: HypernetworkConfig

    @property
    def num_layers(self) -> int:
        """L."""
        return len(self.kernels)

    def add_bias(self, x: tf.Tensor, index: int) -> tf.Tensor:
        """`x` plus the bias of layer `index`, if there is one."""
        return x + self.biases[index].value if self.config.use_bias else x

    def last_inputs(self, sums: tf.Tensor, dropout_key: tf.Tensor | None) -> tf.Tensor:
        """Inputs of the last layer [n, N, H] from the sums [n, N, width] of the first.

        With a single layer, the sums are the outputs already and are returned unchanged.
        """
        last = self.num_layers - 1
        for index in range(1, last):
            hidden = self._dropout(self._activation(sums), index, dropout_key)
            sums = self.add_bias(product(hidden, self.kernels[index].value), index)
        return self._dropout(self._activation(sums), last, dropout_key) if last else sums

    def outputs(self, last_inputs: tf.Tensor) -> tf.Tensor:
        """Outputs [n, N, chunk size] from the result of `last_inputs`."""
        last = self.num_layers - 1
        return self.add_bias(product(last_inputs, self.kernels[last].value), last) if last else last_inputs

    def _activation(self, x: tf.Tensor) -> tf.Tensor:
        return _ACTIVATIONS[self.config.activation](x)

    def _dropout(self, x: tf.Tensor, index: int, key: tf.Tensor | None) -> tf.Tensor:
        if key is None or self.config.dropout == 0.0:
            return x
        layer_key = tf.random.experimental.stateless_fold_in(tf.cast(key, tf.int32), index)
        return tf.nn.experimental.stateless_dropout(x, self.config.dropout, seed=layer_key)


def product(rows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[n, N, A] times [A, B] as one flat product. A batched one would have n separate gradients of the kernel."""
    n, chunks, width = tf.shape(rows)[0], rows.shape[1], rows.shape[2]
    return tf.reshape(tf.matmul(tf.reshape(rows, [-1, width]), kernel), [n, chunks, kernel.shape[1]])
