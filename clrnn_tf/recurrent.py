"""Unrolling of recurrent cells over time, with gradients written by hand.

Time-major throughout: [T, B, ...], or [T, D, B, ...] for D directions that run in one loop. Only the recurrent product
stays in the loop. The backward pass keeps the activations of the forward pass, computes the slopes of all time steps
at once, walks back through time for the gradients of the gates' sums, and then gets the recurrent kernel's gradient in
one large product over all time steps:

    dU = sum_t h_{t-1}^T dz_t

which is several times faster than automatic differentiation of the loop (`benchmarks/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.cells import Cell, ElmanCell, LSTMCell, LSTMState, Modulation, Recurrence
from clrnn_tf.linear import SUMS, WeightGradients


class Unrolled(NamedTuple):
    """States at every step, each [T, B, H]."""

    hidden: tf.Tensor
    cell: tf.Tensor | None
    """None for cells that have no cell state."""


def unroll(
    cell: Cell, recurrence: Recurrence, gradients: WeightGradients = SUMS, truncate: int | None = None
) -> Unrolled:
    """Run `cell` from a zero state over projected inputs.

    Args:
      cell: The cell.
      recurrence: Projected inputs [T, B, gates * H] and recurrent kernel [H, gates * H]; or [T, D, B, gates * H] with
        one kernel for each direction [D, H, gates * H].
      gradients: What the gradient of the recurrent kernel means.
      truncate: k; states of steps t < T - k pass no gradient to what they were computed from. None: all do.
    """
    if isinstance(cell, LSTMCell):
        return Unrolled(*_unroll_lstm(cell, recurrence, gradients, truncate))
    return Unrolled(_unroll_elman(cell, recurrence, gradients, truncate), None)


def unroll_together(
    cell: Cell, recurrences: Sequence[Recurrence], gradients: WeightGradients = SUMS, truncate: int | None = None
) -> list[Unrolled]:
    """`unroll` of several directions in one loop: fewer, larger steps."""
    stacked = Recurrence(
        tf.stack([each.projected for each in recurrences], axis=1),
        tf.stack([each.kernel for each in recurrences]),
        _stack_modulations([each.modulation for each in recurrences], cell.num_units),
    )
    hidden, cell_state = unroll(cell, stacked, gradients, truncate)
    hiddens = tf.unstack(hidden, axis=1)
    cells = [None] * len(hiddens) if cell_state is None else tf.unstack(cell_state, axis=1)
    return [Unrolled(*each) for each in zip(hiddens, cells, strict=True)]


def _stack_modulations(modulations: list[Modulation | None], units: int) -> Modulation | None:
    present = [each for each in modulations if each is not None]
    if not present:
        return None
    none = Modulation(None, None).complete(units, present[0].gain.dtype)
    gains, shifts = zip(*(none if each is None else each for each in modulations), strict=True)
    return Modulation(tf.stack(gains), tf.stack(shifts))  # [D, 1, H]


def _unroll_elman(
    cell: ElmanCell, recurrence: Recurrence, gradients: WeightGradients, truncate: int | None
) -> tf.Tensor:
    @tf.custom_gradient
    def run(projected: tf.Tensor, recurrent_kernel: tf.Tensor):  # noqa: ANN202
        time, hidden0 = tf.shape(projected)[0], tf.zeros_like(projected[0])

        def forward(t: tf.Tensor, hidden: tf.Tensor, history: tf.TensorArray):  # noqa: ANN202
            hidden = cell.step(projected[t], recurrent_kernel, hidden)
            return t + 1, hidden, history.write(t, hidden)

        _, _, history = _loop(time, forward, hidden0, [hidden0])
        hiddens = history.stack()

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            steps = _steps_with_gradient(time, truncate)
            kernel_transposed = tf.linalg.matrix_transpose(recurrent_kernel)

            def backward(k: tf.Tensor, carried: tf.Tensor, history: tf.TensorArray):  # noqa: ANN202
                t = time - 1 - k
                d_sum = (upstream[t] + carried) * cell.activation.derivative(hiddens[t])
                return k + 1, tf.matmul(d_sum, kernel_transposed), history.write(steps - 1 - k, d_sum)

            _, _, history = _loop(steps, backward, hidden0, [hidden0])
            d_sums = _at_the_end(history.stack(), time, truncate)
            return d_sums, gradients.kernel_gradient(hiddens[:-1], d_sums[1:])

        return hiddens, gradient

    return run(recurrence.projected, recurrence.kernel)


def _unroll_lstm(
    cell: LSTMCell, recurrence: Recurrence, gradients: WeightGradients, truncate: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    @tf.custom_gradient
    def run(projected: tf.Tensor, recurrent_kernel: tf.Tensor, *gain_and_shift: tf.Tensor):  # noqa: ANN202
        time, sums0 = tf.shape(projected)[0], tf.zeros_like(projected[0])
        state0 = sums0[..., : cell.num_units]
        modulation = Modulation(*gain_and_shift) if gain_and_shift else None

        def forward(t, hidden, cell_state, hiddens, cells, gates):  # noqa: ANN001, ANN202
            state, gate = cell.step(projected[t], recurrent_kernel, LSTMState(hidden, cell_state), modulation)
            return (
                t + 1, state.hidden, state.cell,
                hiddens.write(t, state.hidden), cells.write(t, state.cell), gates.write(t, gate),
            )  # fmt: skip

        _, _, _, *histories = _loop(time, forward, (state0, state0), [state0, state0, sums0])
        hiddens, cells, gates = (history.stack() for history in histories)

        def gradient(d_hiddens: tf.Tensor, d_cells: tf.Tensor) -> tuple[tf.Tensor, ...]:
            steps = _steps_with_gradient(time, truncate)
            kernel_transposed = tf.linalg.matrix_transpose(recurrent_kernel)
            i, f, g, o = tf.split(gates, 4, axis=-1)
            values = cell.value(cells, modulation)
            before = tf.concat([state0[tf.newaxis], cells[:-1]], axis=0)
            value_slopes = o * cell.activation.derivative(values)
            sum_slopes = tf.concat(
                [g * i * (1.0 - i), before * f * (1.0 - f), i * (1.0 - g * g), values * o * (1.0 - o)], axis=-1
            )

            def backward(k, d_hidden, d_cell, history, *values_history):  # noqa: ANN001, ANN002, ANN202
                t = time - 1 - k
                d_hidden = d_hidden + d_hiddens[t]
                d_value = d_hidden * value_slopes[t]
                d_cell = d_cell + d_cells[t] + (d_value if modulation is None else d_value * modulation.gain)
                d_sum = tf.concat([d_cell, d_cell, d_cell, d_hidden], axis=-1) * sum_slopes[t]
                return (
                    k + 1, tf.matmul(d_sum, kernel_transposed), d_cell * f[t],
                    history.write(steps - 1 - k, d_sum),
                    *(each.write(steps - 1 - k, d_value) for each in values_history),
                )  # fmt: skip

            shapes = [sums0] if modulation is None else [sums0, state0]
            _, _, _, history, *values_history = _loop(steps, backward, (state0, state0), shapes)
            d_sums = _at_the_end(history.stack(), time, truncate)
            d_kernel = gradients.kernel_gradient(hiddens[:-1], d_sums[1:])
            if modulation is None:
                return d_sums, d_kernel
            d_values = values_history[0].stack()
            return d_sums, d_kernel, _over_sequences(d_values * cells[time - steps :]), _over_sequences(d_values)

        return (hiddens, cells), gradient

    if recurrence.modulation is None:
        return run(recurrence.projected, recurrence.kernel)
    return run(recurrence.projected, recurrence.kernel, *recurrence.modulation)


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


def _steps_with_gradient(time: tf.Tensor, truncate: int | None) -> tf.Tensor:
    return time if truncate is None else tf.minimum(time, truncate)


def _at_the_end(last_steps: tf.Tensor, time: tf.Tensor, truncate: int | None) -> tf.Tensor:
    """[T, ...] from its last steps, with zeros before them."""
    if truncate is None:
        return last_steps
    paddings = [[time - tf.shape(last_steps)[0], 0]] + [[0, 0]] * (last_steps.shape.rank - 1)
    return tf.pad(last_steps, paddings)


def _over_sequences(d_values: tf.Tensor) -> tf.Tensor:
    """sum_{t,b} of [T, ..., B, H] as [..., 1, H]."""
    return tf.reduce_sum(d_values, axis=[0, -2], keepdims=True)[0]
