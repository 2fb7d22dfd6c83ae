"""Task ids and the embeddings of tasks, which may lie in several variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


class Embeddings(NamedTuple):
    """Embeddings of all tasks: `of_tasks` [K, E] and `of_chunks` [K, N, C]; [0] where unused."""

    of_tasks: tf.Tensor
    of_chunks: tf.Tensor

    def by_task(self) -> np.ndarray:
        """[K, E + N C]: all numbers of each task."""
        used = [values.numpy() for values in self if values.shape.rank > 1]
        return np.concatenate([values.reshape(len(values), -1) for values in used], axis=1)


def concatenated(variables: Sequence[keras.Variable]) -> tf.Tensor:
    """Values of `variables` along the first axis; [0] for none."""
    return tf.concat([variable.value for variable in variables], 0) if variables else tf.zeros([0])


def assign_rows(variables: Sequence[keras.Variable], values: tf.Tensor) -> None:
    """Give `variables` the values whose `concatenated` is `values`."""
    first = 0
    for variable in variables:
        variable.assign(values[first : first + variable.shape[0]])
        first += variable.shape[0]


def checked_task_ids(task_id: object, num_tasks: int) -> tf.Tensor | keras.KerasTensor:
    """`task_id` as int32, a scalar or [B]; Keras' symbolic tensors are returned unchanged.

    Raises:
      ValueError: The shape is wrong, or an id is no integer in [0, num_tasks). Ids that are known only when the program
        runs are not checked.
    """
    if isinstance(task_id, keras.KerasTensor):
        return task_id
    ids = tf.convert_to_tensor(task_id)
    if ids.shape.rank not in (0, 1, None):
        raise ValueError(f"task_id must be a scalar or have shape [B]. Received: shape {tuple(ids.shape)}.")
    known = tf.get_static_value(ids)
    if known is not None:
        wrong = known[(known != np.floor(known)) | (known < 0) | (known >= num_tasks)]
        if wrong.size:
            raise ValueError(f"task_id must be in [0, {num_tasks}). Received: {wrong.flat[0]}.")
    return tf.cast(ids, tf.int32)
