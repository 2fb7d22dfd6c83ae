"""What the signatures of one task compute, in graphs that are traced once for all tasks.

They read what differs by task as inputs: the weights, the table of n-grams, the number of the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from clrnn_tf.model import append_task_id
from clrnn_tf.networks.weights import Weights
from clrnn_tf.ngram_embedding import Table, look_up
from clrnn_tf.outputs import OutputKind
from clrnn_tf.streams.inputs import NgramInputs, without_padding
from export.forward_network import ForwardNetwork

Outputs = dict[str, tf.Tensor]


class OfTask(NamedTuple):
    """What differs by task, as tensors."""

    weights: Weights
    """Of the main network, by name."""
    table: list[tf.Tensor]
    """Parts of the table of n-grams; empty without one."""
    task_id: tf.Tensor
    """Scalar int32."""


class Words(NamedTuple):
    """Words [B, T] of a request; each distinct one is encoded once. Neither B nor T is 0."""

    distinct: tf.Tensor
    """[V] string."""
    numbers: tf.Tensor
    """[B, T] int32, of each word among the distinct ones."""
    lengths: tf.Tensor
    """[B] int32."""
    given: tf.Tensor
    """[2] int32, B and T of the request, which may be 0."""


class TaskGraphs:
    """Graphs of the signatures of one task, for any task.

    Args:
      network: The network that is served.
      outputs: What its outputs mean.
      num_task_ids: See `TaskModel`.
      ngrams: How inputs are embedded; None where they are not.
      class_names: Names of the classes; empty without.
    """

    def __init__(
        self,
        network: ForwardNetwork,
        outputs: OutputKind,
        num_task_ids: int,
        ngrams: NgramInputs | None,
        class_names: tuple[str, ...],
    ) -> None:
        self._network, self._outputs, self._num_task_ids = network, outputs, num_task_ids
        self._ngrams, self._class_names = ngrams, class_names
        self.serve = tf.function(self._serve, autograph=False)
        """Logits and predictions of inputs [B, T, F or G] and lengths [B]."""
        self.read = tf.function(self._read, input_signature=[tf.TensorSpec([None, None], tf.string)], autograph=False)
        """`Words` of words [B, T], "" in padding."""
        self.tag = tf.function(self._tag, autograph=False)
        """Tags of `Words` and their encoded distinct words [V, F or G]."""

    def _serve(self, of: OfTask, inputs: tf.Tensor, lengths: tf.Tensor) -> Outputs:
        logits = self._logits(of, self._embed(of, without_padding(inputs, lengths)), lengths)
        return {"logits": logits, **self._outputs.predictions(logits)}

    def _read(self, words: tf.Tensor) -> Words:
        given = tf.shape(words)
        words = tf.pad(words, tf.stack([tf.zeros_like(given), tf.cast(given == 0, tf.int32)], axis=1))
        distinct, numbers = tf.unique(tf.reshape(words, [-1]))  # a text repeats most of its words
        return Words(distinct, tf.reshape(numbers, tf.shape(words)), lengths_of(words), given)

    def _tag(self, of: OfTask, words: Words, encoded: tf.Tensor) -> Outputs:
        embedded = self._embed(of, encoded[tf.newaxis])[0]  # [V, F]
        inputs = without_padding(tf.gather(embedded, words.numbers), words.lengths)
        predictions = self._outputs.predictions(self._logits(of, inputs, words.lengths))
        outputs = tags_of(predictions, words.lengths, self._class_names)
        rows, steps = tf.unstack(words.given)
        return {name: value[:rows, :steps] for name, value in outputs.items()}

    def _embed(self, of: OfTask, inputs: tf.Tensor) -> tf.Tensor:
        if self._ngrams is None or not of.table:
            return inputs
        return look_up(self._ngrams, Table(*of.table), inputs)

    def _logits(self, of: OfTask, embedded: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        embedded = append_task_id(embedded, of.task_id, self._num_task_ids)
        return self._network(of.weights, embedded, lengths, of.task_id).logits


def tags_of(predictions: Mapping[str, tf.Tensor], lengths: tf.Tensor, class_names: tuple[str, ...]) -> Outputs:
    """`tags`, `classes` and `probabilities` of classes that have names; "", -1 and 0 in padding."""
    real = tf.sequence_mask(lengths, tf.shape(predictions["classes"])[1])
    classes = tf.where(real, predictions["classes"], -1)
    return {
        "tags": tf.gather(tf.constant(["", *class_names]), classes + 1),
        "classes": classes,
        "probabilities": tf.where(real[..., tf.newaxis], predictions["probabilities"], 0.0),
    }


def lengths_of(words: tf.Tensor) -> tf.Tensor:
    """[B] int32: words [B, T] of each row up to the last one that is not empty."""
    places = tf.range(1, tf.shape(words)[1] + 1)
    return tf.reduce_max(tf.where(words != "", places, 0), axis=1)
