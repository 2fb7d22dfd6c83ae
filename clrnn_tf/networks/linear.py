"""Linear maps over sequences, and what the gradient of a weight means: a sum over sequences, or a sum of squares.

The diagonal of the empirical Fisher information needs, for each weight, sum_b (dL_b/dW)^2 over the sequences b of a
batch, where automatic differentiation gives sum_b dL_b/dW. Every weight of the main network is used in one linear map.
With its inputs X_b [T, in] and the gradients D_b [T, out] of its outputs, the gradient of one sequence is
X_b^T D_b: one batched product for all sequences, squared and summed. What flows back to the inputs is the ordinary
gradient, so all layers get their squares in a single backward pass. Memory grows by B * in * out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


def linear(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """X W + b of [T, B, in], [in, out] and [out], as one product (and one for each gradient) over T * B rows.

    Where the outputs are wider than the inputs, the bias becomes one more row of the kernel, with an input of 1.
    This saves two passes over all outputs: one to add the bias, and one to sum its gradient.
    """
    if kernel.shape[0] >= kernel.shape[1]:
        return tf.tensordot(x, kernel, axes=1) + bias
    x = tf.concat([x, tf.ones_like(x[..., :1])], axis=-1)
    return tf.tensordot(x, tf.concat([kernel, bias[tf.newaxis]], axis=0), axes=1)


def linear_with_squares(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """`linear` whose gradients for W and b are sums of squares of each sequence's gradient."""

    @tf.custom_gradient
    def run(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor):  # noqa: ANN202
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            d_bias = tf.reduce_sum(tf.square(tf.reduce_sum(upstream, axis=0)), axis=0)
            d_x = tf.tensordot(upstream, tf.transpose(kernel), axes=1)
            return d_x, squared_kernel_gradient(x, upstream), d_bias

        return linear(x, kernel, bias), gradient

    return run(x, kernel, bias)


def scale_columns(kernel: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    """W diag(g) of [in, out] and [out]."""
    return kernel * gain


def scale_columns_with_squares(kernel: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    """`scale_columns` for a product whose gradient is a sum of squares; g is a constant."""
    gain = tf.stop_gradient(gain)

    @tf.custom_gradient
    def run(kernel: tf.Tensor):  # noqa: ANN202
        return kernel * gain, lambda upstream: upstream * tf.square(gain)

    return run(kernel)


def kernel_gradient(inputs: tf.Tensor, d_outputs: tf.Tensor) -> tf.Tensor:
    """sum_{t,b} x^T d of [T, B, in] and [T, B, out], as one product [in, out]."""
    return tf.matmul(_rows(inputs), _rows(d_outputs), transpose_a=True)


def squared_kernel_gradient(inputs: tf.Tensor, d_outputs: tf.Tensor) -> tf.Tensor:
    """sum_b (sum_t x^T d)^2 of [T, B, in] and [T, B, out]: [in, out]."""
    return tf.reduce_sum(tf.square(tf.einsum("tbi,tbo->bio", inputs, d_outputs)), axis=0)


def _rows(x: tf.Tensor) -> tf.Tensor:
    """[T, B, n] as [T * B, n]."""
    return tf.reshape(x, [-1, x.shape[-1]])


class LinearMaps(NamedTuple):
    """The linear maps of a network. What the gradients of weights mean does not change the values."""

    linear: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    """X W + b."""
    scale_columns: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    """W diag(g)."""
    kernel_gradient: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    """The gradient of W in X W, from X and the gradient of the product."""


SUMMED = LinearMaps(linear, scale_columns, kernel_gradient)
SQUARED_PER_SEQUENCE = LinearMaps(linear_with_squares, scale_columns_with_squares, squared_kernel_gradient)
