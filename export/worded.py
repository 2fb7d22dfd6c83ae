"""A model that reads words where the trained one reads numbers. Each task turns words into numbers in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import tensorflow as tf

from clrnn_tf.model import TaskModel, append_task_id
from clrnn_tf.outputs import OutputName
from clrnn_tf.streams.inputs import without_padding


class WordedModel(TaskModel):
    """A model of words [B, T], strings, each of which is encoded once.

    Args:
      model: Reads numbers.
      encoders: By task; each turns words [1, V] into `Batch.inputs` [1, V, F] (`TaskStream.word_encoder`).
    """

    def __init__(self, model: TaskModel, encoders: Sequence[tf.Module]) -> None:
        outputs = cast(OutputName, model.outputs.name)
        super().__init__(model.network, model.source, outputs, model.embedding, model.num_task_ids)
        self._encoded_by = [_function_of(encoder) for encoder in encoders]

    def embed(
        self, inputs: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor, dropout_key: tf.Tensor | None = None
    ) -> tf.Tensor:
        """What the network reads of words [B, T] of one task, [B, T, F]."""
        words, places = tf.unique(tf.reshape(inputs, [-1]))  # a text repeats most of its words
        encoded = tf.switch_case(task_id, [lambda of=encoder: of(words) for encoder in self._encoded_by])
        embedded = self._embedded(encoded, tf.fill([tf.size(words)], task_id))
        return self._at(places, embedded, inputs, lengths, task_id)

    def embed_mixed(self, words: tf.Tensor, lengths: tf.Tensor, task_ids: tf.Tensor) -> tf.Tensor:
        """What the network reads of words [B, T] whose rows are of tasks [B], [B, T, F]; neither B nor T is 0."""
        flat, tasks = tf.reshape(words, [-1]), tf.repeat(task_ids, tf.shape(words)[1])
        _, places = tf.unique(tf.strings.join([tf.strings.as_string(tasks), flat], separator=" "))
        last = tf.math.unsorted_segment_max(tf.range(tf.size(places)), places, tf.reduce_max(places) + 1)
        tasks = tf.gather(tasks, last)
        embedded = self._embedded(self._encoded(tf.gather(flat, last), tasks), tasks)
        return self._at(places, embedded, words, lengths, task_ids)

    def _encoded(self, words: tf.Tensor, tasks: tf.Tensor) -> tf.Tensor:
        """Inputs [V, F] of words [V] of tasks [V]. A task that is not there costs next to nothing."""
        places, parts = [], []
        for task_id, encoder in enumerate(self._encoded_by):
            own = tf.where(tasks == task_id)[:, 0]
            made = encoder.get_concrete_function()
            nothing = tf.zeros([0, *made.output_shapes[1:]], made.output_dtypes)
            encoded = tf.cond(
                tf.size(own) > 0,
                lambda own=own, of=encoder: of(tf.gather(words, own)),
                lambda nothing=nothing: nothing,
            )
            parts.append(encoded)
            places.append(tf.cast(own, tf.int32))
        return tf.dynamic_stitch(places, parts)

    def _embedded(self, encoded: tf.Tensor, tasks: tf.Tensor) -> tf.Tensor:
        """[V, F] of inputs [V, F or G] of tasks [V]."""
        return encoded if self.embedding is None else self.embedding(encoded[:, tf.newaxis], tasks)[:, 0]

    def _at(
        self, places: tf.Tensor, embedded: tf.Tensor, words: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor
    ) -> tf.Tensor:
        """[B, T, F] of the embedded words [V, F], and the number of the word at each place [B * T]."""
        inputs = without_padding(tf.gather(embedded, tf.reshape(places, tf.shape(words))), lengths)
        return append_task_id(inputs, task_id, self.num_task_ids)


def _function_of(encoder: tf.Module) -> tf.types.experimental.PolymorphicFunction:
    """An encoder of words [V], traced once for all signatures that call it."""

    def encode(words: tf.Tensor) -> tf.Tensor:
        return encoder(words[tf.newaxis])[0]

    return tf.function(encode, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
