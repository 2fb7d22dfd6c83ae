"""The fill rule of the golden vectors, and published tensors ([out, in], two biases) as ours ([in, out], one)."""

import numpy as np
import tensorflow as tf


def fill(index, shape):
    return 0.5 * np.sin(1 + 0.37 * np.arange(np.prod(shape)) + 1.3 * index).reshape(shape)


def inputs(time=3, batch=2, features=3):
    """[B, T, F], from the time-major rule x_flat[k] = cos(0.2 k)."""
    flat = np.cos(0.2 * np.arange(time * batch * features))
    return flat.reshape(time, batch, features).transpose(1, 0, 2)


class Filled:
    """Makes tensors by the fill rule with a running index."""

    def __init__(self, start=0):
        self.index = start

    def __call__(self, *shape):
        value = fill(self.index, shape)
        self.index += 1
        return value


def elman_weights(make, scope, num_inputs, units):
    w_ih, b_ih = make(units, num_inputs), make(units)
    w_hh, b_hh = make(units, units), make(units)
    w_ho, b_ho = make(units, units), make(units)
    return {
        f"{scope}/kernel": w_ih.T, f"{scope}/recurrent_kernel": w_hh.T, f"{scope}/bias": b_ih + b_hh,
        f"{scope}/output_kernel": w_ho.T, f"{scope}/output_bias": b_ho,
    }  # fmt: skip


def lstm_weights(make, scope, num_inputs, units):
    w_ih, b_ih = make(4 * units, num_inputs), make(4 * units)
    w_hh, b_hh = make(4 * units, units), make(4 * units)
    return {f"{scope}/kernel": w_ih.T, f"{scope}/recurrent_kernel": w_hh.T, f"{scope}/bias": b_ih + b_hh}


def head_weights(make, num_inputs, outputs):
    kernel, bias = make(outputs, num_inputs), make(outputs)
    return {"head/kernel": kernel.T[np.newaxis], "head/bias": bias[np.newaxis]}


def tensors(weights):
    return {name: tf.constant(value, tf.float64) for name, value in weights.items()}


def time_major(outputs):
    """[B, T, C] as the golden vectors list it: flat [T, B, C]."""
    return np.asarray(outputs).transpose(1, 0, 2).ravel()
