"""Unrolling of recurrent cells over time, with gradients written by hand.

Time-major throughout: [T, B, ...]. Only the recurrent product stays in the loop. The backward pass keeps the
activations of the forward pass, walks back through time for the gradients of the gates' sums, and then gets the
recurrent kernel's gradient in one large product over all time steps:

    dU = sum_t h_{t-1}^T dz_t

which is several times faster than automatic differentiation of the loop (`benchmarks/`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.cells import ElmanCell, LSTMCell, LSTMState


class Unrolled(NamedTuple):
    """States at every step, each [T, B, H]."""

    hidden: tf.Tensor
    cell: tf.Tensor | None
    """None for cells that have no cell state."""


def unroll(cell: ElmanCell | LSTMCell, projected: tf.Tensor, recurrent_kernel: tf.Tensor) -> Unrolled:
    """Run `cell` from a zero state over projected inputs [T, B, gates * H]."""
    if isinstance(cell, LSTMCell):
        return Unrolled(*_unroll_lstm(cell, projected, recurrent_kernel))
    return Unrolled(_unroll_elman(cell, projected, recurrent_kernel), None)


def _unroll_elman(cell: ElmanCell, projected: tf.Tensor, recurrent_kernel: tf.Tensor) -> tf.Tensor:
    @tf.custom_gradient
    def run(projected: tf.Tensor, recurrent_kernel: tf.Tensor):  # noqa: ANN202
        time, hidden0 = tf.shape(projected)[0], tf.zeros_like(projected[0])

        def forward(t: tf.Tensor, hidden: tf.Tensor, history: tf.TensorArray):  # noqa: ANN202
            hidden = cell.step(projected[t], recurrent_kernel, hidden)
            return t + 1, hidden, history.write(t, hidden)

        _, _, history = _loop(time, forward, hidden0, [hidden0])
        hiddens = history.stack()

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            kernel_transposed = tf.transpose(recurrent_kernel)

            def backward(k: tf.Tensor, carried: tf.Tensor, history: tf.TensorArray):  # noqa: ANN202
                t = time - 1 - k
                d_sum = (upstream[t] + carried) * cell.activation.derivative(hiddens[t])
                return k + 1, tf.matmul(d_sum, kernel_transposed), history.write(t, d_sum)

            _, _, history = _loop(time, backward, hidden0, [hidden0])
            d_sums = history.stack()
            return d_sums, _recurrent_gradient(hiddens, d_sums)

        return hiddens, gradient

    return run(projected, recurrent_kernel)


def _unroll_lstm(
    cell: LSTMCell, projected: tf.Tensor, recurrent_kernel: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    @tf.custom_gradient
    def run(projected: tf.Tensor, recurrent_kernel: tf.Tensor):  # noqa: ANN202
        time, sums0 = tf.shape(projected)[0], tf.zeros_like(projected[0])
        state0 = sums0[:, : cell.num_units]

        def forward(t, hidden, cell_state, hiddens, cells, gates):  # noqa: ANN001, ANN202
            state, gate = cell.step(projected[t], recurrent_kernel, LSTMState(hidden, cell_state))
            return (
                t + 1, state.hidden, state.cell,
                hiddens.write(t, state.hidden), cells.write(t, state.cell), gates.write(t, gate),
            )  # fmt: skip

        _, _, _, *histories = _loop(time, forward, (state0, state0), [state0, state0, sums0])
        hiddens, cells, gates = (history.stack() for history in histories)

        def gradient(d_hiddens: tf.Tensor, d_cells: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            kernel_transposed = tf.transpose(recurrent_kernel)

            def backward(k, d_hidden, d_cell, history):  # noqa: ANN001, ANN202
                t = time - 1 - k
                i, f, g, o = tf.split(gates[t], 4, axis=-1)
                value = cell.activation.apply(cells[t])
                before = tf.where(t > 0, cells[tf.maximum(t - 1, 0)], state0)
                d_hidden = d_hidden + d_hiddens[t]
                d_cell = d_cell + d_cells[t] + d_hidden * o * cell.activation.derivative(value)
                d_sum = tf.concat(
                    [
                        d_cell * g * i * (1.0 - i),
                        d_cell * before * f * (1.0 - f),
                        d_cell * i * (1.0 - g * g),
                        d_hidden * value * o * (1.0 - o),
                    ],
                    axis=-1,
                )
                return k + 1, tf.matmul(d_sum, kernel_transposed), d_cell * f, history.write(t, d_sum)

            *_, history = _loop(time, backward, (state0, state0), [sums0])
            d_sums = history.stack()
            return d_sums, _recurrent_gradient(hiddens, d_sums)

        return (hiddens, cells), gradient

    return run(projected, recurrent_kernel)


def _loop(
    time: tf.Tensor,
    body: Callable[..., tuple],
    states: tf.Tensor | tuple[tf.Tensor, ...],
    histories: list[tf.Tensor],
) -> tuple:
    """Run `body` for counters 0..time-1; one history per tensor in `histories` is shaped like it at every step."""
    states = states if isinstance(states, tuple) else (states,)
    arrays = tuple(
        tf.TensorArray(example.dtype, size=time, element_shape=example.shape) for example in histories
    )
    return tf.while_loop(
        lambda counter, *_: counter < time,
        body,
        (tf.constant(0), *states, *arrays),
        maximum_iterations=time,
    )


def _recurrent_gradient(hiddens: tf.Tensor, d_sums: tf.Tensor) -> tf.Tensor:
    """sum_t h_{t-1}^T dz_t with h_{-1} = 0, as one product over (T-1) * B rows."""
    before = tf.reshape(hiddens[:-1], [-1, tf.shape(hiddens)[-1]])
    after = tf.reshape(d_sums[1:], [-1, tf.shape(d_sums)[-1]])
    return tf.matmul(before, after, transpose_a=True)
