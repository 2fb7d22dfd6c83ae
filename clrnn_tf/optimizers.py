"""Adam as the paper uses it, with public state, so that methods can look ahead and runs can be resumed."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import tensorflow as tf

from clrnn_tf.config import TrainConfig

_BETA2 = 0.999
_EPSILON = 1e-8


@tf.autograph.experimental.do_not_convert
def clip_by_global_norm(gradients: Sequence[tf.Tensor], clip_norm: float | None) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Gradients scaled by min(1, clip_norm / (norm + 1e-6)), and their global L2 norm before that."""
    norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients]))
    if clip_norm is None:
        return list(gradients), norm
    factor = tf.minimum(1.0, clip_norm / (norm + 1e-6))
    return [gradient * factor for gradient in gradients], norm


def learning_rate_at(config: TrainConfig, step: tf.Tensor) -> tf.Tensor:
    """Learning rate of step number `step` (from 0): warm-up, then constant, linear or half-cosine decay to 0."""
    step = tf.cast(step, tf.float32)
    remaining = max(config.steps - config.warmup_steps, 1)
    progress = tf.clip_by_value((step - config.warmup_steps) / remaining, 0.0, 1.0)
    decay = {
        "constant": tf.ones_like(progress),
        "linear": 1.0 - progress,
        "cosine": 0.5 * (1.0 + tf.cos(math.pi * progress)),
    }[config.learning_rate_schedule]
    warmup = tf.minimum(1.0, (step + 1.0) / max(config.warmup_steps, 1))
    return config.learning_rate * warmup * decay


class Optimizer(abc.ABC, tf.Module):
    """What the training step and the methods need of an optimizer."""

    variables_to_train: list[tf.Variable]
    """What is optimised; gradients come in the same order."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Forget everything about earlier gradients: every task starts with a fresh optimizer."""

    @abc.abstractmethod
    def state_variables(self) -> list[tf.Variable]:
        """What it knows about earlier gradients, in a fixed order; a checkpoint inside a task holds it."""

    @abc.abstractmethod
    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, accept: tf.Tensor) -> None:
        """Take one step, or change nothing where `accept` (scalar bool) is false."""

    @abc.abstractmethod
    def look_ahead(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> list[tf.Tensor]:
        """How `apply` would change the variables, decay included; nothing is changed.

        Args:
          gradients: Of the first variables, or of all.
          learning_rate: Scalar.
        """


def make_optimizer(variables: Sequence[tf.Variable], config: TrainConfig) -> Optimizer:
    """The optimizer that the settings ask for; Adam is the only one so far."""
    return Adam(variables, config)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015) with PyTorch's placement of epsilon.

        m <- b1 m + (1 - b1) g;   v <- b2 v + (1 - b2) g^2
        x <- x - lr * (m / (1 - b1^k)) / (sqrt(v / (1 - b2^k)) + eps),     b2 = 0.999, eps = 1e-8

    Keras' Adam adds its epsilon before the bias correction, which matters for small gradients. With `l2`, l2 * x is
    added to g first (coupled, as published); with `weight_decay`, x also shrinks by lr * weight_decay * x (AdamW).
    Neither changes entries that have had no gradient since the last `reset`, such as embeddings and heads of other
    tasks.

    Args:
      variables: What is optimised, in a fixed order.
      config: Gives `adam_beta1`, `weight_decay` and `l2`.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import Adam, TrainConfig
      >>> x = tf.Variable([1.0, -2.0])
      >>> optimizer = Adam([x], TrainConfig())
      >>> optimizer.apply([tf.constant([0.5, -0.5])], tf.constant(0.1), accept=tf.constant(True))
      >>> x.numpy().round(3).tolist() == [0.8999999761581421, -1.899999976158142]
      True
    """

    def __init__(self, variables: Sequence[tf.Variable], config: TrainConfig) -> None:
        super().__init__()
        self.variables_to_train = list(variables)
        self._beta1, self._weight_decay, self._l2 = config.adam_beta1, config.weight_decay, config.l2
        self.first_moments = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables_to_train]
        self.second_moments = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.variables_to_train]
        self.count = tf.Variable(0, trainable=False, dtype=tf.int32)

    def reset(self) -> None:
        """Forget all moments."""
        for moment in (*self.first_moments, *self.second_moments):
            moment.assign(tf.zeros_like(moment))
        self.count.assign(0)

    def state_variables(self) -> list[tf.Variable]:
        """Both moments of every variable, and the number of steps."""
        return [*self.first_moments, *self.second_moments, self.count]

    @tf.autograph.experimental.do_not_convert
    def apply(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor, accept: tf.Tensor) -> None:
        """See `Optimizer.apply`."""
        corrections = self._bias_corrections()
        for variable, m, v, gradient in zip(
            self.variables_to_train, self.first_moments, self.second_moments, gradients, strict=True
        ):
            new_m, new_v, step = self._step(variable, m, v, gradient, corrections)
            for target, value in ((m, new_m), (v, new_v), (variable, variable - learning_rate * step)):
                target.assign(tf.where(accept, value, target))
        self.count.assign_add(tf.cast(accept, tf.int32))

    def look_ahead(self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor) -> list[tf.Tensor]:
        """See `Optimizer.look_ahead`."""
        corrections = self._bias_corrections()
        states = zip(self.variables_to_train, self.first_moments, self.second_moments, gradients, strict=False)
        return [-learning_rate * self._step(*state, corrections)[2] for state in states]

    def _bias_corrections(self) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.cast(self.count + 1, tf.float32)
        return 1.0 - tf.pow(self._beta1, count), 1.0 - tf.pow(_BETA2, count)

    def _step(
        self,
        variable: tf.Variable,
        m: tf.Variable,
        v: tf.Variable,
        gradient: tf.Tensor,
        corrections: tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """New moments, and the step before it is scaled by the learning rate."""
        touched = tf.cast(tf.logical_or(v > 0, gradient != 0), variable.dtype) if self._decays else 1.0
        if self._l2:
            gradient = gradient + self._l2 * variable * touched
        new_m = self._beta1 * m + (1.0 - self._beta1) * gradient
        new_v = _BETA2 * v + (1.0 - _BETA2) * tf.square(gradient)
        step = (new_m / corrections[0]) / (tf.sqrt(new_v / corrections[1]) + _EPSILON)
        if self._weight_decay:
            step += self._weight_decay * variable * touched
        return new_m, new_v, step

    @property
    def _decays(self) -> bool:
        return bool(self._weight_decay or self._l2)
