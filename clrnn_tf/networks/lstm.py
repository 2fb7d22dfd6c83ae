"""Long short-term memory: one step, and its unrolling with a gradient written by hand.

Half of the time goes into moving histories through memory. So the forward pass stores the slopes of the gates, which
the backward pass needs. They overwrite the sums that they were computed from, and gradients overwrite slopes.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.networks.linear import SUMMED, LinearMaps
from clrnn_tf.networks.unrolling import (
    Activation,
    Recurrence,
    filled,
    history_like,
    loop,
    only_last,
    steps_with_gradient,
)
from clrnn_tf.networks.weights import Modulation


class LSTMState(NamedTuple):
    """State of an LSTM, each [B, H]."""

    hidden: tf.Tensor
    cell: tf.Tensor


class LSTMStep(NamedTuple):
    """What an LSTM computes in one step, each [B, H]."""

    state: LSTMState
    i: tf.Tensor
    f: tf.Tensor
    g: tf.Tensor
    o: tf.Tensor
    value: tf.Tensor
    """phi(gain c + shift)."""


def lstm_step(
    activation: Activation, sums: tf.Tensor, cell: tf.Tensor, modulation: Modulation | None = None
) -> LSTMStep:
    """One step of an LSTM from the sums z_t [B, 4H] of its gates (i, f, g, o) and the cell state c_{t-1} [B, H]."""
    i, f, g, o = tf.split(sums, 4, axis=-1)
    i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    cell = f * cell + i * g
    value = activation.apply(cell if modulation is None else modulation.apply(cell))
    return LSTMStep(LSTMState(o * value, cell), i, f, g, o, value)


class Histories(NamedTuple):
    """What the backward pass of an LSTM reads of every step: [T, B, H], `slopes` [T, B, 4H]."""

    slopes: tf.Tensor | tf.TensorArray
    """dc_t / dz_t for the gates i, f and g, dh_t / dz_t for the gate o."""
    hidden: tf.Tensor | tf.TensorArray
    """h_t."""
    cell: tf.Tensor | tf.TensorArray
    """c_t."""
    hidden_before: tf.Tensor | tf.TensorArray
    """h_{t-1}."""
    forget: tf.Tensor | tf.TensorArray
    """f_t = dc_t / dc_{t-1}."""
    value_slope: tf.Tensor | tf.TensorArray
    """o phi' = dh_t / d(gain c_t + shift)."""

    def write(self, t: tf.Tensor, entries: Histories) -> Histories:
        """The histories, with the entries of step t."""
        return Histories(*(history.write(t, entry) for history, entry in zip(self, entries, strict=True)))

    def stack(self) -> Histories:
        """As tensors."""
        return Histories(*(history.stack() for history in self))


def unroll_lstm(
    activation: Activation, recurrence: Recurrence, maps: LinearMaps = SUMMED, truncate: int | None = None
) -> LSTMState:
    """The states of an LSTM at every step, each [T, B, H]; arguments as in `unroll`."""

    @tf.custom_gradient
    def run(projected: tf.Tensor, kernel: tf.Tensor, *gain_and_shift: tf.Tensor):  # noqa: ANN202
        modulation = Modulation(*gain_and_shift) if gain_and_shift else None
        histories = _lstm_forward(activation, Recurrence(projected, kernel, modulation))

        def gradient(d_hidden: tf.Tensor, d_cell: tf.Tensor) -> tuple[tf.Tensor, ...]:
            d_states = LSTMState(d_hidden, d_cell)
            d_sums, d_values = _lstm_backward(histories, kernel, modulation, d_states, truncate)
            d_kernel = maps.kernel_gradient(histories.hidden_before, d_sums)
            if d_values is None:
                return d_sums, d_kernel
            d_gain, d_shift = _over_sequences(d_values * histories.cell), _over_sequences(d_values)
            return d_sums, d_kernel, d_gain, d_shift

        return (histories.hidden, histories.cell), gradient

    return LSTMState(*run(recurrence.projected, recurrence.kernel, *(recurrence.modulation or ())))


def _lstm_forward(activation: Activation, recurrence: Recurrence) -> Histories:
    projected, kernel, modulation = recurrence
    time, zero = tf.shape(projected)[0], tf.zeros_like(projected[0, :, : kernel.shape[0]])

    def body(t, before, histories):  # noqa: ANN001, ANN202
        sums = histories.slopes.read(t) + tf.matmul(before.hidden, kernel)  # z_t = x_t W + b + h_{t-1} U
        state, i, f, g, o, value = lstm_step(activation, sums, before.cell, modulation)
        slopes = [
            g * i * (1.0 - i),  # dc_t / dz_i = g i'
            before.cell * f * (1.0 - f),  # dc_t / dz_f = c_{t-1} f'
            i * (1.0 - g * g),  # dc_t / dz_g = i g'
            value * o * (1.0 - o),  # dh_t / dz_o = phi o'
        ]
        value_slope = o * activation.derivative(value)  # dh_t / d(gain c_t + shift) = o phi'
        entries = Histories(tf.concat(slopes, axis=-1), *state, before.hidden, f, value_slope)
        return t + 1, state, histories.write(t, entries)

    histories = Histories(filled(projected), *(history_like(time, zero) for _ in range(5)))
    _, _, histories = loop(time, body, tf.constant(0), LSTMState(zero, zero), histories)
    return histories.stack()


def _lstm_backward(
    histories: Histories, kernel: tf.Tensor, modulation: Modulation | None, d_states: LSTMState, truncate: int | None
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """dz_t [T, B, 4H], and the gradients of gain c_t + shift [T, B, H] where there is a modulation."""
    zero, transposed = tf.zeros_like(histories.cell[0]), tf.linalg.matrix_transpose(kernel)
    time = tf.shape(histories.cell)[0]

    def body(t, carried, d_sums, d_values):  # noqa: ANN001, ANN202
        d_hidden = carried.hidden + d_states.hidden[t]
        d_value = d_hidden * histories.value_slope[t]  # by gain c_t + shift
        d_cell = carried.cell + d_states.cell[t] + (d_value if modulation is None else d_value * modulation.gain)
        d_sum = tf.concat([d_cell, d_cell, d_cell, d_hidden], axis=-1) * d_sums.read(t)  # dz_t
        carried = LSTMState(
            tf.matmul(d_sum, transposed),  # dh_{t-1} = dz_t U^T
            d_cell * histories.forget[t],  # dc_{t-1} = dc_t f_t
        )
        return t - 1, carried, d_sums.write(t, d_sum), [history.write(t, d_value) for history in d_values]

    steps = steps_with_gradient(time, truncate)
    d_values = [] if modulation is None else [history_like(time, zero)]
    _, _, d_sums, d_values = loop(steps, body, time - 1, LSTMState(zero, zero), filled(histories.slopes), d_values)
    d_sums, *d_values = (only_last(history.stack(), steps, truncate) for history in (d_sums, *d_values))
    return d_sums, d_values[0] if d_values else None


def _over_sequences(d_values: tf.Tensor) -> tf.Tensor:
    """sum_{t,b} of [T, B, H] as [1, H]."""
    return tf.reduce_sum(d_values, axis=[0, 1], keepdims=True)[0]
