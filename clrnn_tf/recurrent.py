"""Unrolling of recurrent cells over time, with gradients written by hand.

Time-major throughout: [T, B, ...], or [T, D, B, ...] for D directions that run in one loop. Only the recurrent product
stays in the loop. The forward pass keeps the slopes of the gates while they are at hand; the backward pass walks back
through time for the gradients dz of the gates' sums, and then gets the recurrent kernel's gradient in one large product
over all time steps:

    dU = sum_t h_{t-1}^T dz_t

which is several times faster than automatic differentiation of the loop (`benchmarks/`). Half of the time goes into
moving histories through memory: slopes take the place of the sums that they came from, and gradients that of slopes.
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

        def forward(t, hidden, steps, before):  # noqa: ANN001, ANN202
            before = before.write(t, hidden)
            hidden = cell.step(steps.read(t), recurrent_kernel, hidden)
            return t + 1, hidden, steps.write(t, hidden), before

        histories = (_filled(projected), _history(time, hidden0))
        _, _, *histories = _loop(time, forward, tf.constant(0), hidden0, *histories)
        hiddens, before = (history.stack() for history in histories)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            kernel_transposed = tf.linalg.matrix_transpose(recurrent_kernel)

            def backward(t, carried, d_sums):  # noqa: ANN001, ANN202
                d_sum = (d_sums.read(t) + carried) * cell.activation.derivative(hiddens[t])
                return t - 1, tf.matmul(d_sum, kernel_transposed), d_sums.write(t, d_sum)

            steps = _steps_with_gradient(time, truncate)
            _, _, d_sums = _loop(steps, backward, time - 1, hidden0, _filled(upstream))
            d_sums = _only_last(d_sums.stack(), steps, truncate)
            return d_sums, gradients.kernel_gradient(before, d_sums)

        return hiddens, gradient

    return run(recurrence.projected, recurrence.kernel)


def _unroll_lstm(
    cell: LSTMCell, recurrence: Recurrence, gradients: WeightGradients, truncate: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    @tf.custom_gradient
    def run(projected: tf.Tensor, recurrent_kernel: tf.Tensor, *gain_and_shift: tf.Tensor):  # noqa: ANN202
        time, state0 = tf.shape(projected)[0], tf.zeros_like(projected[0][..., : cell.num_units])
        modulation = Modulation(*gain_and_shift) if gain_and_shift else None

        def forward(t, hidden, cell_state, steps, *histories):  # noqa: ANN001, ANN002, ANN202
            before = LSTMState(hidden, cell_state)
            state, gates, value = cell.step(steps.read(t), recurrent_kernel, before, modulation)
            i, f, g, o = gates
            slopes = [g * i * (1.0 - i), cell_state * f * (1.0 - f), i * (1.0 - g * g), value * o * (1.0 - o)]
            kept = (*state, hidden, f, o * cell.activation.derivative(value))
            written = (history.write(t, each) for history, each in zip(histories, kept, strict=True))
            return t + 1, *state, steps.write(t, tf.concat(slopes, axis=-1)), *written

        histories = (_filled(projected), *(_history(time, state0) for _ in range(5)))
        _, _, _, *histories = _loop(time, forward, tf.constant(0), state0, state0, *histories)
        sum_slopes, hiddens, cells, before, forget, value_slopes = (history.stack() for history in histories)

        def gradient(d_hiddens: tf.Tensor, d_cells: tf.Tensor) -> tuple[tf.Tensor, ...]:
            kernel_transposed = tf.linalg.matrix_transpose(recurrent_kernel)

            def backward(t, d_hidden, d_cell, d_sums, *d_values):  # noqa: ANN001, ANN002, ANN202
                d_hidden = d_hidden + d_hiddens[t]
                d_value = d_hidden * value_slopes[t]
                d_cell = d_cell + d_cells[t] + (d_value if modulation is None else d_value * modulation.gain)
                d_sum = tf.concat([d_cell, d_cell, d_cell, d_hidden], axis=-1) * d_sums.read(t)
                return (
                    t - 1, tf.matmul(d_sum, kernel_transposed), d_cell * forget[t],
                    d_sums.write(t, d_sum), *(each.write(t, d_value) for each in d_values),
                )  # fmt: skip

            steps = _steps_with_gradient(time, truncate)
            d_values = () if modulation is None else (_history(time, state0),)
            _, _, _, d_sums, *d_values = _loop(
                steps, backward, time - 1, state0, state0, _filled(sum_slopes), *d_values
            )
            d_sums = _only_last(d_sums.stack(), steps, truncate)
            d_kernel = gradients.kernel_gradient(before, d_sums)
            if modulation is None:
                return d_sums, d_kernel
            d_values = _only_last(d_values[0].stack(), steps, truncate)
            return d_sums, d_kernel, _over_sequences(d_values * cells), _over_sequences(d_values)

        return (hiddens, cells), gradient

    if recurrence.modulation is None:
        return run(recurrence.projected, recurrence.kernel)
    return run(recurrence.projected, recurrence.kernel, *recurrence.modulation)


def _history(time: tf.Tensor, example: tf.Tensor) -> tf.TensorArray:
    """Room for a tensor like `example` at every step."""
    return tf.TensorArray(example.dtype, size=time, element_shape=example.shape, clear_after_read=False)


def _filled(steps: tf.Tensor) -> tf.TensorArray:
    """A history that holds `steps` [T, ...] and may be overwritten step by step, in place where XLA compiles."""
    return _history(tf.shape(steps)[0], steps[0]).unstack(steps)


def _loop(steps: tf.Tensor, body: Callable[..., tuple], first: tf.Tensor, *states: tf.Tensor | tf.TensorArray) -> tuple:
    """Run `body` so many times, from step number `first` on; the step's number and the states afterwards."""
    return tf.while_loop(lambda *_: True, body, (first, *states), maximum_iterations=steps)


def _steps_with_gradient(time: tf.Tensor, truncate: int | None) -> tf.Tensor:
    return time if truncate is None else tf.minimum(time, truncate)


def _only_last(history: tf.Tensor, steps: tf.Tensor, truncate: int | None) -> tf.Tensor:
    """[T, ...] with zeros before the last `steps`."""
    if truncate is None:
        return history
    time = tf.shape(history)[0]
    is_last = tf.reshape(tf.range(time) >= time - steps, [-1] + [1] * (history.shape.rank - 1))
    return tf.where(is_last, history, 0.0)


def _over_sequences(d_values: tf.Tensor) -> tf.Tensor:
    """sum_{t,b} of [T, ..., B, H] as [..., 1, H]."""
    return tf.reduce_sum(d_values, axis=[0, -2], keepdims=True)[0]
