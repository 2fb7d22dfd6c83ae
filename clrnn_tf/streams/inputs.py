"""What a benchmark says about the inputs of its tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from clrnn_tf.ranges import NonNegative, NonNegativeInt, PositiveInt, Settings


@dataclass(frozen=True)
class NgramInputs(Settings):
    """Inputs hold buckets of hashed features (character n-grams), embedded by trainable tables.

    Without real features beside them they are int32 [B, T, G]. With F real features they are float32 [B, T, F + G], the
    buckets coming last as whole numbers, which float32 holds exactly up to 2^24.

    Example:
      >>> from clrnn_tf import NgramInputs
      >>> NgramInputs(num_buckets=4096, num_ngrams=9, num_features=64).width
      73
    """

    section = "ngrams"
    num_buckets: PositiveInt
    """Rows of each task's table; bucket 0 is padding."""
    num_ngrams: PositiveInt
    """G: buckets per token."""
    num_features: NonNegativeInt = 0
    """F: real features before the buckets."""
    initial_std: NonNegative = 0.5
    """Standard deviation of the normal draws that tables start from."""
    tables: Literal["per_task", "shared"] = "per_task"
    """Whether every task has a table, or all tasks have one."""
    table_bytes: Literal[4, 1] = 4
    """Bytes of a number in the tables of learned tasks; 1 rounds them."""

    @property
    def dtype(self) -> tf.DType:
        """Of the inputs."""
        return tf.float32 if self.num_features else tf.int32

    @property
    def width(self) -> int:
        """Of the inputs: F + G."""
        return self.num_features + self.num_ngrams

    def split(self, inputs: tf.Tensor) -> tuple[tf.Tensor | None, tf.Tensor]:
        """Inputs [B, T, F + G] as features [B, T, F], None without any, and buckets [B, T, G] int32."""
        if not self.num_features:
            return None, inputs
        return inputs[..., : self.num_features], tf.cast(inputs[..., self.num_features :], tf.int32)


def without_padding(inputs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Inputs [B, T, ...] with 0 at and after each length, where they may hold anything (NaN, inf, -1)."""
    real = tf.sequence_mask(lengths, tf.shape(inputs)[1])  # [B, T]
    return tf.where(real[:, :, tf.newaxis], inputs, tf.zeros_like(inputs))


def every_step(inputs: tf.Tensor) -> tf.Tensor:
    """[B, T] ones for inputs [B, T, F]."""
    return tf.ones_like(inputs[..., 0])


@dataclass(frozen=True)
class InputModel(Settings):
    """What generative replay has to know of a benchmark's inputs.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import InputModel
      >>> model = InputModel("bernoulli", lambda inputs: tf.one_hot([2], 3))  # the last of three steps counts
      >>> model.loss_weights(tf.zeros([1, 3, 8])).numpy().tolist()
      [[0.0, 0.0, 1.0]]
    """

    section = "input_model"
    likelihood: Literal["gaussian", "bernoulli"] = "gaussian"
    """Noise of the inputs: `gaussian` for real features, `bernoulli` for bits."""
    loss_weights: Callable[[tf.Tensor], tf.Tensor] = every_step
    """Loss weights [B, T] of generated inputs [B, T, F]: the steps in which the network must answer as its teacher.
    Generated bits are probabilities."""
