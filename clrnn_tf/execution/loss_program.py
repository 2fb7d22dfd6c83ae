"""Losses whose gradients are taken in the program that computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

Structure = object  # nested dictionaries and tuples of tensors


class LossProgram:
    """A loss and its gradient as one XLA program.

    A tape around a compiled function makes two programs, one for the forward and one for the backward pass. What the
    first hands to the second goes through memory and cannot be overwritten, so the histories of a recurrence are
    copied. In one program they are not.

    Args:
      function: Returns the loss, a scalar, and any further values, which pass no gradient on.
      jit: Whether XLA compiles it.
      num_trained: Number of leading arguments (structures of tensors) to differentiate with respect to; the others are
        constants.
    """

    def __init__(self, function: Callable[..., tuple[tf.Tensor, ...]], jit: bool, num_trained: int = 1) -> None:
        self._function, self._num_trained = function, num_trained
        # without AutoGraph, which would take longer to convert the network than to trace it
        self.program = tf.function(self._loss_and_gradients, jit_compile=jit, autograph=False)

    def __call__(self, *arguments: Structure) -> tuple[tf.Tensor, ...]:
        """What the function returns, for a tape that watches the trained arguments."""
        trained, constants = arguments[: self._num_trained], arguments[self._num_trained :]

        @tf.custom_gradient
        def run(*tensors: tf.Tensor):  # noqa: ANN202
            packed = tf.nest.pack_sequence_as(trained, tensors)
            values, gradients = self.program(packed, constants)
            return values, lambda d_loss, *_: [d_loss * gradient for gradient in gradients]

        return run(*tf.nest.flatten(trained))

    def _loss_and_gradients(
        self, trained: tuple[Structure, ...], constants: tuple[Structure, ...]
    ) -> tuple[tuple[tf.Tensor, ...], list[tf.Tensor]]:
        tensors = tf.nest.flatten(trained)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            loss, *others = self._function(*trained, *constants)
        gradients = tape.gradient(loss, tensors, unconnected_gradients="zero")
        return (loss, *others), [tf.convert_to_tensor(gradient) for gradient in gradients]


def with_gradients(value: tf.Tensor, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable]) -> tf.Tensor:
    """`value` as a function of `variables` whose gradients are known."""

    @tf.custom_gradient
    def run(*values: tf.Tensor):  # noqa: ANN202
        del values
        return tf.stop_gradient(value), lambda upstream: [upstream * gradient for gradient in gradients]

    return run(*[tf.convert_to_tensor(variable) for variable in variables])
