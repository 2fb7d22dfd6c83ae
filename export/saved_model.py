"""One SavedModel per task: a graph with the task's weights frozen in, which loads without this package.

Signature `serving_default`, axes B batch, T time, F features, C classes or outputs:

    inputs    `inputs` [B, T, F] float32 (or [B, T, G] int32 n-gram buckets), `lengths` [B] int32
    outputs   `logits` [B, T, C] float32, and
              softmax: `probabilities` [B, T, C], `classes` [B, T] int32
              sigmoid: `probabilities` [B, T, C], `bits` [B, T, C] int32
              (a linear output has logits alone)

Steps at and after a row's length mean nothing. B and T are free.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.model import NgramEmbedding, TaskModel, append_task_id
from clrnn_tf.recording.events import Observer
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.tasks import TaskStream


class FrozenTask(tf.Module):
    """A trained model for one task, holding a copy of the weights generated for it and nothing else.

    Args:
      model: The trained model; later changes of its variables do not reach the frozen one.
      stream: Says what the inputs look like.
      task_id: The task.
    """

    def __init__(self, model: TaskModel, stream: TaskStream, task_id: int) -> None:
        super().__init__()
        self._network, self._outputs = model.network, model.outputs
        self._head = tf.constant(task_id)
        self._num_task_ids = model.num_task_ids
        self._weights = {name: tf.Variable(value) for name, value in model.source(tf.constant(task_id)).items()}
        self._table = None
        if stream.ngrams is not None and model.embedding is not None:
            start = task_id * stream.ngrams.num_buckets
            self._table = tf.Variable(model.embedding.table[start : start + stream.ngrams.num_buckets])
        width = stream.num_features if stream.ngrams is None else stream.ngrams.num_ngrams
        dtype = tf.float32 if stream.ngrams is None else tf.int32
        self.serve = tf.function(
            self._serve,
            input_signature=[
                tf.TensorSpec([None, None, width], dtype, name="inputs"),
                tf.TensorSpec([None], tf.int32, name="lengths"),
            ],
        )

    def _serve(self, inputs: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = without_padding(inputs, lengths)
        if self._table is not None:
            inputs = NgramEmbedding.look_up(self._table, inputs)
        inputs = append_task_id(inputs, self._head, self._num_task_ids)
        weights = {name: tf.convert_to_tensor(value) for name, value in self._weights.items()}
        logits = self._network(weights, inputs, lengths, self._head).logits
        return {"logits": logits, **self._outputs.predictions(logits)}


def export_task(model: TaskModel, stream: TaskStream, task_id: int, directory: Path) -> Path:
    """Write the SavedModel of one task to `directory/NAME/1` (1 is the version that a server expects).

    It is written beside and renamed when it is whole.

    Raises:
      OSError: It cannot be written.
    """
    frozen = FrozenTask(model, stream, task_id)
    name = stream[task_id].name
    path, beside = directory / name / "1", directory / f".{name}.tmp"
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(beside)
    try:
        tf.saved_model.save(frozen, str(beside), signatures={"serving_default": frozen.serve})
    except tf.errors.OpError as error:
        raise OSError(f"{path} could not be written: {str(error).partition(chr(10))[0]}") from None
    _remove(path)
    beside.rename(path)
    return path


def is_whole(path: Path) -> bool:
    """Whether there is a SavedModel at `path` that can be loaded."""
    try:
        tf.saved_model.load(str(path))
    except Exception:  # noqa: BLE001 - damage shows as almost anything
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def largest_difference(model: TaskModel, stream: TaskStream, task_id: int, path: Path) -> float:
    """Largest absolute difference of logits at real steps between a SavedModel and the model, on test examples."""
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    batch = next(iter(stream[task_id].test.in_order(32, task_id)))
    expected = model(batch.inputs, batch.lengths, tf.constant(task_id)).logits
    received = served(inputs=batch.inputs, lengths=batch.lengths)["logits"]
    real = tf.sequence_mask(batch.lengths, tf.shape(expected)[1])[..., tf.newaxis]
    return float(np.max(np.abs(np.where(real, received - expected, 0.0))))


class Exporter(Observer):
    """Exports every task when a run has ended, and checks each export against the model.

    Args:
      model: The model that is trained.
      directory: Where the SavedModels go.
    """

    def __init__(self, model: TaskModel, directory: Path) -> None:
        self._model, self._directory = model, directory
        self._stream: TaskStream | None = None
        self.largest_difference = 0.0

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Remember the stream."""
        self._stream = stream

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Write and verify one SavedModel per task.

        Raises:
          RuntimeError: An export does not compute what the model computes.
        """
        stream = self._stream
        if stream is None:  # no run began
            return
        for task in stream:
            path = export_task(self._model, stream, task.task_id, self._directory)
            difference = largest_difference(self._model, stream, task.task_id, path)
            if not difference < 1e-3:
                raise RuntimeError(f"the export {path} differs from the model by {difference:g} in its logits.")
            self.largest_difference = max(self.largest_difference, difference)
