"""Unrolling of recurrent cells over time, time-major throughout: [T, B, ...].

Only the recurrent product stays in the loop. The backward pass walks back through time for the gradients dz of the
sums z_t = x_t W + b + h_{t-1} U, and then gets the recurrent kernel's gradient in one product over all steps:

    dU = sum_t h_{t-1}^T dz_t

`unroll` does this for any cell and differentiates its step automatically. `unroll_elman` here and
`clrnn_tf.networks.lstm` have the step's gradient written by hand, which is several times faster (`benchmarks/`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.networks.linear import SUMMED, LinearMaps
from clrnn_tf.networks.weights import Modulation


class Activation(NamedTuple):
    """A function and its derivative, the latter written in terms of the function's value."""

    apply: Callable[[tf.Tensor], tf.Tensor]
    derivative: Callable[[tf.Tensor], tf.Tensor]


class Recurrence(NamedTuple):
    """What one layer and direction unrolls; N numbers of a step: H for each gate."""

    projected: tf.Tensor
    """[T, B, N] contribution of the inputs, x_t W + b."""
    kernel: tf.Tensor
    """U [H, N]."""
    modulation: Modulation | None
    """Gain and shift that the step applies, both tensors, each [1, H]."""


class Unrolled(NamedTuple):
    """States at every step, each [T, B, H]."""

    hidden: tf.Tensor
    """h_t, what the next step's sums read."""
    state: tf.Tensor
    """What carries memory: the cell state where there is one, else h_t."""


Step = Callable[[tf.Tensor, tf.Tensor, tuple[tf.Tensor, ...], Modulation | None], tuple[tf.Tensor, ...]]


def unroll(
    step: Step, num_states: int, recurrence: Recurrence, maps: LinearMaps = SUMMED, truncate: int | None = None
) -> tuple[tf.Tensor, ...]:
    """Run a cell from a zero state over projected inputs; the step is differentiated automatically.

    Args:
      step: Next state from x_t W + b [B, N], h_{t-1} U [B, N], the state (h_{t-1}, ...) and the modulation. It reads no
        other weights.
      num_states: Number of tensors [B, H] of a state.
      recurrence: Projected inputs, recurrent kernel and modulation.
      maps: What the gradient of the recurrent kernel means.
      truncate: k; states of steps t < T - k pass no gradient to what they were computed from. None: all do.

    Returns:
      The states of all steps, `num_states` tensors [T, B, H].
    """

    def advance(projected: tf.Tensor, product: tf.Tensor, *state_and_modulation: tf.Tensor) -> list[tf.Tensor]:
        state, modulation = state_and_modulation[:num_states], state_and_modulation[num_states:]
        return list(step(projected, product, state, Modulation(*modulation) if modulation else None))

    @tf.custom_gradient
    def run(projected: tf.Tensor, kernel: tf.Tensor, *modulation: tf.Tensor):  # noqa: ANN202
        time, zero = tf.shape(projected)[0], tf.zeros_like(projected[0, :, : kernel.shape[0]])

        def forward(t, state, histories):  # noqa: ANN001, ANN202
            histories = [history.write(t, tensor) for history, tensor in zip(histories, state, strict=True)]
            return t + 1, advance(projected[t], tf.matmul(state[0], kernel), *state, *modulation), histories

        histories = [history_like(time, zero) for _ in range(num_states)]
        _, last, histories = loop(time, forward, tf.constant(0), [zero] * num_states, histories)
        before = [history.stack() for history in histories]

        def gradient(*d_states: tf.Tensor) -> tuple[tf.Tensor, ...]:
            def backward(t, d_state, d_modulation, d_projected, d_products):  # noqa: ANN001, ANN202
                state = [history[t] for history in before]
                inputs = [projected[t], tf.matmul(state[0], kernel), *state, *modulation]
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    after = advance(*inputs)
                d_after = [carried + given[t] for carried, given in zip(d_state, d_states, strict=True)]
                d_x, d_product, *d_rest = tape.gradient(after, inputs, d_after, unconnected_gradients="zero")
                d_state, d_more = d_rest[:num_states], d_rest[num_states:]
                d_state[0] += tf.matmul(d_product, kernel, transpose_b=True)
                d_modulation = [total + more for total, more in zip(d_modulation, d_more, strict=True)]
                return t - 1, d_state, d_modulation, d_projected.write(t, d_x), d_products.write(t, d_product)

            steps = steps_with_gradient(time, truncate)
            _, _, d_modulation, *d_histories = loop(
                steps,
                backward,
                time - 1,
                [zero] * num_states,
                [tf.zeros_like(tensor) for tensor in modulation],
                history_like(time, projected[0]),
                history_like(time, projected[0]),
            )
            d_projected, d_products = (only_last(history.stack(), steps, truncate) for history in d_histories)
            return d_projected, maps.kernel_gradient(before[0], d_products), *d_modulation

        pairs = zip(before, last, strict=True)
        states = [tf.concat([history[1:], end[tf.newaxis]], axis=0) for history, end in pairs]
        return tuple(states), gradient

    return tuple(run(recurrence.projected, recurrence.kernel, *(recurrence.modulation or ())))


def unroll_elman(
    activation: Activation, recurrence: Recurrence, maps: LinearMaps = SUMMED, truncate: int | None = None
) -> tf.Tensor:
    """h_t = phi(z_t) at every step, [T, B, H]; arguments as in `unroll`, no modulation."""

    @tf.custom_gradient
    def run(projected: tf.Tensor, kernel: tf.Tensor):  # noqa: ANN202
        hidden, before = _elman_forward(activation, projected, kernel)

        def gradient(d_hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            d_sums = _elman_backward(activation, hidden, kernel, d_hidden, truncate)
            return d_sums, maps.kernel_gradient(before, d_sums)

        return hidden, gradient

    return run(recurrence.projected, recurrence.kernel)


def _elman_forward(activation: Activation, projected: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """h_t and h_{t-1} of every step, each [T, B, H]."""
    time, zero = tf.shape(projected)[0], tf.zeros_like(projected[0])

    def body(t, hidden, steps, before):  # noqa: ANN001, ANN202
        before = before.write(t, hidden)
        hidden = activation.apply(steps.read(t) + tf.matmul(hidden, kernel))  # h_t = phi(x_t W + b + h_{t-1} U)
        return t + 1, hidden, steps.write(t, hidden), before

    _, _, hidden, before = loop(time, body, tf.constant(0), zero, filled(projected), history_like(time, zero))
    return hidden.stack(), before.stack()


def _elman_backward(
    activation: Activation, hidden: tf.Tensor, kernel: tf.Tensor, d_hidden: tf.Tensor, truncate: int | None
) -> tf.Tensor:
    """dz_t of every step, [T, B, H]."""
    time, transposed = tf.shape(hidden)[0], tf.linalg.matrix_transpose(kernel)

    def body(t, carried, d_sums):  # noqa: ANN001, ANN202
        d_sum = (d_sums.read(t) + carried) * activation.derivative(hidden[t])  # dz_t = dh_t phi'(z_t)
        return t - 1, tf.matmul(d_sum, transposed), d_sums.write(t, d_sum)  # dh_{t-1} += dz_t U^T

    steps = steps_with_gradient(time, truncate)
    _, _, d_sums = loop(steps, body, time - 1, tf.zeros_like(hidden[0]), filled(d_hidden))
    return only_last(d_sums.stack(), steps, truncate)


def history_like(time: tf.Tensor, example: tf.Tensor) -> tf.TensorArray:
    """A history with room for a tensor like `example` at every step."""
    return tf.TensorArray(example.dtype, size=time, element_shape=example.shape, clear_after_read=False)


def filled(steps: tf.Tensor) -> tf.TensorArray:
    """A history that holds `steps` [T, ...] and may be overwritten step by step, in place where XLA compiles."""
    return history_like(tf.shape(steps)[0], steps[0]).unstack(steps)


def loop(steps: tf.Tensor, body: Callable[..., tuple], first: tf.Tensor, *states: object) -> tuple:
    """Run `body` for `steps` steps, from step number `first` on. Returns the next step's number and the states."""
    return tf.while_loop(lambda *_: True, body, (first, *states), maximum_iterations=steps)


def steps_with_gradient(time: tf.Tensor, truncate: int | None) -> tf.Tensor:
    """Number of steps at the end that pass a gradient on."""
    return time if truncate is None else tf.minimum(time, truncate)


def only_last(history: tf.Tensor, steps: tf.Tensor, truncate: int | None) -> tf.Tensor:
    """[T, ...] with zeros before the last `steps`."""
    if truncate is None:
        return history
    time = tf.shape(history)[0]
    is_last = tf.reshape(tf.range(time) >= time - steps, [-1] + [1] * (history.shape.rank - 1))
    return tf.where(is_last, history, 0.0)
