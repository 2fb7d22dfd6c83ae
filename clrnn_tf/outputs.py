"""What the outputs of a head mean: classes, bits, numbers or a direction.

A kind of output is a class that says how outputs are scored, distilled, sampled and served. A new kind is one more
class here, with its name in `OutputName` and an entry in `OUTPUT_KINDS`.

Axes: B batch, T time, C outputs of a head. Entropies are in nats, and losses in the `loss_unit` of the kind.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require

OutputName = Literal["softmax", "sigmoid", "linear", "ring"]


class OutputKind(abc.ABC):
    """A kind of output. It has no state.

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf.outputs import OUTPUT_KINDS
      >>> kind = OUTPUT_KINDS["softmax"]
      >>> logits = tf.constant([[[0.0, 2.0], [3.0, 0.0]]])
      >>> kind.accuracy(logits, tf.constant([[1, 1]])).numpy()
      array([[1., 0.]], dtype=float32)
    """

    name: str
    target_dtype: tf.DType = tf.float32
    has_accuracy = True
    """Whether outputs are right or wrong. Where they are not, the loss is the only score."""
    loss_unit = "nats"
    """Of `losses`, in words."""
    has_probabilities = False
    """Whether the outputs are probabilities: have an `entropy`, and targets can be drawn by `sample`."""

    def target_shape(self, batch: int | None, time: int | None, num_outputs: int) -> tuple[int | None, ...]:
        """Shape of the targets of a batch."""
        return batch, time, num_outputs

    @abc.abstractmethod
    def losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Loss of each time step, [B, T], for logits [B, T, C]: of probabilities, the negative log-likelihood."""

    def sequence_losses(self, logits: tf.Tensor, targets: tf.Tensor, loss_weights: tf.Tensor) -> tf.Tensor:
        """Sum over time of the losses times their weights [B, T], [B]. A task's loss is the mean over sequences."""
        return tf.reduce_sum(self.losses(logits, targets) * loss_weights, axis=1)

    @abc.abstractmethod
    def accuracy(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Fraction of each time step that is right, [B, T] from 0 to 1."""

    @abc.abstractmethod
    def distillation(self, logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 2.0) -> tf.Tensor:
        """Distance of a student's outputs from its teacher's, [B, T]. No gradient reaches the teacher."""

    @abc.abstractmethod
    def predictions(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """What an exported model serves besides the logits, by name."""

    def entropy(self, logits: tf.Tensor) -> tf.Tensor:
        """Entropy of the predicted distribution, [B, T].

        Raises:
          ConfigurationError: The outputs are not probabilities.
        """
        self.require_probabilities("an entropy")
        raise NotImplementedError

    def sample(self, logits: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Targets drawn from the predicted distribution, a pure function of the key [2].

        Raises:
          ConfigurationError: The outputs are not probabilities.
        """
        self.require_probabilities("drawing targets")
        raise NotImplementedError

    def require_probabilities(self, purpose: str) -> None:
        """Require outputs that are probabilities; `purpose` begins the message: "task inference"."""
        require(
            self.has_probabilities, f"{purpose} needs outputs that are probabilities. Received: {self.name} outputs."
        )

    def statistics(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> dict[str, tf.Tensor]:
        """Sums over a batch that `metrics` are computed from; each step counts by its weight [B, T].

        Returns:
          Tensors by name. They are added up over the batches of a split.
        """
        return {
            "correct": tf.reduce_sum(self.accuracy(logits, targets) * weights),
            "scored": tf.reduce_sum(weights),
        }

    def no_statistics(self, num_outputs: int) -> dict[str, tf.Tensor]:
        """Zeros, to which the statistics of batches are added."""
        targets = tf.zeros(self.target_shape(0, 0, num_outputs), self.target_dtype)
        return self.statistics(tf.zeros([0, 0, num_outputs]), targets, tf.zeros([0, 0]))

    def metrics(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Metrics of a split in percent, by name; nan where undefined.

        `accuracy` must be there. Any other metric is logged, recorded, read back and reported under its name.
        """
        if not self.has_accuracy or not statistics["scored"]:
            return {"accuracy": math.nan}
        return {"accuracy": 100.0 * float(statistics["correct"]) / float(statistics["scored"])}


class Softmax(OutputKind):
    """One of C classes. Targets are class ids [B, T] int32."""

    name = "softmax"
    has_probabilities = True
    target_dtype = tf.int32

    def target_shape(self, batch: int | None, time: int | None, num_outputs: int) -> tuple[int | None, ...]:
        """[B, T]."""
        return batch, time

    def losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """-log p[target], with p = softmax(logits)."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)

    def accuracy(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """1 where the class of the largest logit is the target, else 0."""
        return tf.cast(tf.argmax(logits, axis=-1, output_type=targets.dtype) == targets, tf.float32)

    def distillation(self, logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 2.0) -> tf.Tensor:
        """-T^2 sum over classes of p* log p, p = softmax(logits / T), T the temperature (Hinton et al. 2015)."""
        teacher_logits = tf.stop_gradient(teacher_logits)
        logits, teacher_logits = logits / temperature, teacher_logits / temperature
        return temperature**2 * tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(teacher_logits), logits)

    def entropy(self, logits: tf.Tensor) -> tf.Tensor:
        """-sum over classes of p log p."""
        return tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(logits), logits)

    def sample(self, logits: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Classes drawn with probabilities p (the Gumbel-max trick)."""
        uniform = tf.random.stateless_uniform(tf.shape(logits), key, minval=1e-7, maxval=1.0)
        return tf.argmax(logits - tf.math.log(-tf.math.log(uniform)), axis=-1, output_type=tf.int32)

    def predictions(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """`probabilities` [B, T, C] and `classes` [B, T] int32."""
        classes = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {"probabilities": tf.nn.softmax(logits), "classes": classes}

    def statistics(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adds `confusion`."""
        confusion = self.confusion(logits, targets, weights)
        return {**super().statistics(logits, targets, weights), "confusion": confusion}

    def confusion(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """[C, C] weights of the steps by (true class, predicted class)."""
        classes = logits.shape[-1]
        true = tf.one_hot(targets, classes) * weights[..., tf.newaxis]
        predicted = tf.one_hot(tf.argmax(logits, axis=-1), classes)
        return tf.einsum("btc,btd->cd", true, predicted)


class Sigmoid(OutputKind):
    """C bits. Targets are 0 or 1, or probabilities, [B, T, C] float32."""

    name = "sigmoid"
    has_probabilities = True

    def losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Sum over bits of the cross-entropy with p = sigmoid(logits)."""
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits), axis=-1)

    def accuracy(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Share of right bits, where a bit is predicted to be 1 from a logit of 0 on."""
        return tf.reduce_mean(tf.cast((logits >= 0) == (targets > 0.5), tf.float32), axis=-1)

    def distillation(self, logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 2.0) -> tf.Tensor:
        """T^2 sum over bits of the cross-entropy of sigmoid(logits / T) with the teacher's, T the temperature."""
        teacher_logits = tf.stop_gradient(teacher_logits)
        logits, teacher_logits = logits / temperature, teacher_logits / temperature
        crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(teacher_logits), logits=logits)
        return temperature**2 * tf.reduce_sum(crossed, axis=-1)

    def entropy(self, logits: tf.Tensor) -> tf.Tensor:
        """-sum over bits of p log p + (1 - p) log(1 - p)."""
        crossed = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.sigmoid(logits), logits=logits)
        return tf.reduce_sum(crossed, axis=-1)

    def sample(self, logits: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Bits that are 1 with probabilities p."""
        uniform = tf.random.stateless_uniform(tf.shape(logits), key, minval=1e-7, maxval=1.0)
        return tf.cast(uniform < tf.sigmoid(logits), tf.float32)

    def predictions(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """`probabilities` [B, T, C] and `bits` [B, T, C] int32."""
        return {"probabilities": tf.sigmoid(logits), "bits": tf.cast(logits >= 0, tf.int32)}


class Linear(OutputKind):
    """C real numbers. Targets are [B, T, C] float32."""

    name = "linear"
    has_accuracy = False
    loss_unit = "mean squared error"

    def losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Mean over outputs of the squared error."""
        return tf.reduce_mean(tf.square(logits - targets), axis=-1)

    def accuracy(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """0: numbers are not right or wrong."""
        return tf.zeros_like(logits[..., 0])

    def distillation(self, logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 2.0) -> tf.Tensor:
        """Sum over outputs of the squared difference; there is no temperature."""
        return tf.reduce_sum(tf.square(logits - tf.stop_gradient(teacher_logits)), axis=-1)

    def predictions(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """None: the logits are the predictions."""
        return {}

    def statistics(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adds the squared errors, and sums and squares [C] of the targets."""
        weighted = weights[..., tf.newaxis]
        return {
            **super().statistics(logits, targets, weights),
            "squared_errors": tf.reduce_sum(tf.square(logits - targets) * weighted),
            "sums": tf.reduce_sum(targets * weighted, axis=(0, 1)),
            "squares": tf.reduce_sum(tf.square(targets) * weighted, axis=(0, 1)),
        }

    def metrics(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Adds `explained_variance`: 100 (1 - squared errors / squared distances of the targets from their means)."""
        scored, variation = float(statistics["scored"]), 0.0
        if scored:
            means = np.asarray(statistics["sums"], np.float64) / scored
            variation = float(np.sum(statistics["squares"] - scored * means**2))
        explained = 100.0 * (1.0 - float(statistics["squared_errors"]) / variation) if variation > 0 else math.nan
        return {**super().metrics(statistics), "explained_variance": explained}


class Ring(OutputKind):
    """A fixation unit and a ring of N units that prefer directions: where to look (Yang et al. 2019).

    Activities are sigmoid(logits). Unit 0 is active while the eye must stay where it is. Unit 1 + i prefers the
    direction 2 pi i / N, and the direction of the response is that of the ring's population vector. Targets are
    activities [B, T, 1 + N] float32.
    """

    name = "ring"
    loss_unit = "squared error of activities"
    fixation_weight = 2.0
    """Weight of the error of the fixation unit beside that of each other unit, as published."""
    tolerance = math.pi / 5
    """A response may be off by less than this: 36 degrees, as published."""

    def losses(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Mean over units of the squared error of the activity, which counts twice for the fixation unit."""
        squares = tf.square(tf.sigmoid(logits) - targets)
        return tf.reduce_mean(tf.concat([self.fixation_weight * squares[..., :1], squares[..., 1:]], axis=-1), axis=-1)

    def accuracy(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """1 where the network fixates as it should, or else responds within `tolerance` of the target's direction."""
        activities = tf.sigmoid(logits)
        fixates, should_fixate = activities[..., 0] > 0.5, targets[..., 0] > 0.5
        x, y = self._population_vector(activities)
        target_x, target_y = self._population_vector(targets)
        angle = tf.abs(tf.atan2(x * target_y - y * target_x, x * target_x + y * target_y))
        return tf.cast(tf.where(should_fixate, fixates, ~fixates & (angle < self.tolerance)), tf.float32)

    def distillation(self, logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 2.0) -> tf.Tensor:
        """The loss with the teacher's activities as targets; there is no temperature."""
        return self.losses(logits, tf.stop_gradient(tf.sigmoid(teacher_logits)))

    def predictions(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """`activities` [B, T, 1 + N], `fixates` [B, T] int32, `directions` [B, T] in radians from 0 to 2 pi."""
        activities = tf.sigmoid(logits)
        x, y = self._population_vector(activities)
        fixates = tf.cast(activities[..., 0] > 0.5, tf.int32)
        return {"activities": activities, "fixates": fixates, "directions": tf.math.floormod(tf.atan2(y, x), math.tau)}

    def _population_vector(self, activities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sum over the ring of activity times preferred direction: its x and its y, [B, T] each."""
        size = activities.shape[-1] - 1
        directions = (math.tau / size * np.arange(size)).astype(np.float32)
        ring = activities[..., 1:]
        return tf.reduce_sum(ring * np.cos(directions), axis=-1), tf.reduce_sum(ring * np.sin(directions), axis=-1)


OUTPUT_KINDS: dict[str, OutputKind] = {kind.name: kind for kind in (Softmax(), Sigmoid(), Linear(), Ring())}
"""Every kind of output by its name."""
