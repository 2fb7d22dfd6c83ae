"""What the exports of a run have in common: made once, when it is first asked for."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.model import TaskModel
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import TaskStream
from export.forward_network import ForwardNetwork
from export.task_graphs import TaskGraphs

MOST_EXAMPLES = 32
"""Of a task."""


class Examples(NamedTuple):
    """The first test examples of a task, at most 32."""

    inputs: np.ndarray
    """[B, T, F]."""
    lengths: np.ndarray
    """[B] int32."""


class Parts:
    """Parts of the exports of a trained model, as it is now: when it has been trained on, make others.

    Args:
      model: The trained model.
      stream: Its tasks.
    """

    def __init__(self, model: TaskModel, stream: TaskStream) -> None:
        self.model, self.stream = model, stream
        self.network = ForwardNetwork(model.network)
        self.graphs = TaskGraphs(self.network, model.outputs, model.num_task_ids, stream.ngrams, stream.class_names)
        self._answer = tf.function(
            lambda inputs, lengths, task_id: model(inputs, lengths, task_id).logits,
            input_signature=[
                tf.TensorSpec([None, None, stream.input_width], stream.input_dtype),
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([], tf.int32),
            ],
            autograph=False,
        )
        self.encoder = functools.cache(self._encoder)
        """From a task id to what turns words into inputs; its vectors are read from a file."""
        self.examples = functools.cache(self._examples)
        """By task id."""
        self.expected = functools.cache(self._expected)
        """By task id: the logits [B, T, C] that the model gives for the task's examples."""

    def _encoder(self, task_id: int) -> tf.Module:
        if self.stream.word_encoder is None:
            raise ValueError(f"the inputs of {self.stream.name} are no words.")
        return self.stream.word_encoder(task_id)

    def _examples(self, task_id: int) -> Examples:
        test = self.stream[task_id].test
        with tf.device("CPU:0"):
            if isinstance(test, ArraySplit):  # a dataset takes longer to set up than to read
                batch = test.first_in_order(MOST_EXAMPLES, task_id)
            else:
                batch = next(iter(test.in_order(MOST_EXAMPLES, task_id)))
        return Examples(batch.inputs.numpy(), batch.lengths.numpy())

    def _expected(self, task_id: int) -> np.ndarray:
        return self._answer(*map(tf.constant, (*self.examples(task_id), task_id))).numpy()


def largest_at_real_steps(received: np.ndarray, expected: np.ndarray, lengths: np.ndarray) -> float:
    """Largest absolute difference of logits [B, T, C] before the lengths [B]; NaN where either has one there."""
    real = np.arange(expected.shape[1]) < lengths[:, np.newaxis]
    return float(np.max(np.abs(received - expected)[real], initial=0.0))
