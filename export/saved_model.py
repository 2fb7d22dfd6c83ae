"""One SavedModel per task: a graph with the task's weights frozen in, which loads without this package.

Axes B batch, T time, F features, C classes or outputs; B and T are free. Signature `serving_default`:

    inputs    `inputs` [B, T, F] float32 (or [B, T, G] int32 n-gram buckets), `lengths` [B] int32
    outputs   `logits` [B, T, C] float32, and
              softmax: `probabilities` [B, T, C], `classes` [B, T] int32
              sigmoid: `probabilities` [B, T, C], `bits` [B, T, C] int32
              (a linear output has logits alone)

Steps at and after a row's length mean nothing.

Signature `tag`, where inputs are words and outputs are classes with names:

    inputs    `words` [B, T] string, with composed letters (Unicode's NFC); a shorter row is filled up with ""
    outputs   `tags` [B, T] string, the names of the classes; "" in padding
              `classes` [B, T] int32; -1 in padding
              `probabilities` [B, T, C]; 0 in padding

A row ends with its last word that is not empty. An empty word before it is one without letters, and has a tag.

Signature `raw`, where sequences are standardised before the network reads them:

    inputs    `inputs` [B, T, R] float32 as measured, NaN where a value is missing, and `lengths` [B] int32
    outputs   those of `serving_default`; numbers also as `values`, in the units of the training data, and classes with
              names as `labels`, strings. Where a sequence has one label, they are of its last step: there is no T.

Beside the SavedModel, `metadata.json` says what it is, `labels.txt` has the names of the classes, one a line, and
`assets.extra/probes.npz` has requests with the answers to them, for `export.verify`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.model import TaskModel, append_task_id
from clrnn_tf.ngram_embedding import Table, look_up
from clrnn_tf.recording.events import Observer
from clrnn_tf.streams.inputs import without_padding
from clrnn_tf.streams.tasks import TaskStream
from export.all_tasks import export_all_tasks, largest_difference_of_all
from export.answering import tags_of
from export.probes import mixed_batch, recorded
from export.writing import metadata, remove, storable, write_servable


class ExportDiffersError(RuntimeError):
    """An export does not compute what the model computes.

    Example:
      >>> issubclass(ExportDiffersError, RuntimeError)
      True
    """


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
        self._ngrams = stream.ngrams
        self._table = None if model.embedding is None else _stored(model.embedding.table(task_id))
        # One graph of the network serves all signatures. AutoGraph, which nothing here needs, costs time to trace.
        self._logits = tf.function(self._logits_of, reduce_retracing=True, autograph=False)
        self.serve = tf.function(
            self._serve,
            input_signature=[
                tf.TensorSpec([None, None, stream.input_width], stream.input_dtype, name="inputs"),
                tf.TensorSpec([None], tf.int32, name="lengths"),
            ],
            autograph=False,
        )

        self.tag = None
        """Signature `tag`; None where there is none."""
        if stream.word_encoder is not None and stream.class_names:
            self._encoder = stream.word_encoder(task_id)
            self._class_names = stream.class_names
            spec = tf.TensorSpec([None, None], tf.string, name="words")
            self.tag = tf.function(self._tag, input_signature=[spec], autograph=False)

        self.raw = None
        """Signature `raw`; None where there is none."""
        if stream.sequence_coder is not None:
            self._coder = stream.sequence_coder(task_id)
            self._labels = tf.constant(stream.class_names) if stream.class_names else None
            spec = tf.TensorSpec([None, None, self._coder.num_inputs], tf.float32, name="inputs")
            self.raw = tf.function(
                self._serve_raw,
                input_signature=[spec, tf.TensorSpec([None], tf.int32, name="lengths")],
                autograph=False,
            )

    @property
    def raw_width(self) -> int | None:
        """Numbers of a step of the signature `raw`; None where there is none."""
        return None if self.raw is None else self._coder.num_inputs

    @property
    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """What the SavedModel offers, by name."""
        offered = {"serving_default": self.serve, "tag": self.tag, "raw": self.raw}
        return {name: signature for name, signature in offered.items() if signature is not None}

    def _serve(self, inputs: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self._logits(self._embed(without_padding(inputs, lengths)), lengths)
        return {"logits": logits, **self._outputs.predictions(logits)}

    def _serve_raw(self, inputs: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self._serve(self._coder.encode(inputs, lengths), lengths)
        if self._labels is not None and "classes" in outputs:
            outputs["labels"] = tf.gather(self._labels, outputs["classes"])
        return self._coder.decode(outputs, lengths)

    def _tag(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.shape(words)
        words = tf.pad(
            words, [[0, tf.cast(size == 0, tf.int32)] for size in tf.unstack(shape)]
        )  # the network wants one
        lengths = lengths_of(words)
        distinct, numbers = tf.unique(tf.reshape(words, [-1]))  # a text repeats most of its words
        embedded = self._embed(self._encoder(distinct[tf.newaxis]))[0]  # [V, F]
        inputs = without_padding(tf.gather(embedded, tf.reshape(numbers, tf.shape(words))), lengths)
        outputs = tags_of(self._outputs.predictions(self._logits(inputs, lengths)), lengths, self._class_names)
        return {name: value[: shape[0], : shape[1]] for name, value in outputs.items()}

    def _embed(self, inputs: tf.Tensor) -> tf.Tensor:
        if self._table is None or self._ngrams is None:
            return inputs
        return look_up(self._ngrams, self._table, inputs)

    def _logits_of(self, embedded: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        embedded = append_task_id(embedded, self._head, self._num_task_ids)
        weights = {name: tf.convert_to_tensor(value) for name, value in self._weights.items()}
        return self._network(weights, embedded, lengths, self._head).logits


def _stored(table: Table) -> Table:
    """The table in variables, which a SavedModel stores once."""
    return Table(*(None if part is None else tf.Variable(part, trainable=False) for part in table))


def lengths_of(words: tf.Tensor) -> tf.Tensor:
    """[B] int32: words [B, T] of each row up to the last one that is not empty."""
    places = tf.range(1, tf.shape(words)[1] + 1)
    return tf.reduce_max(tf.where(words != "", places, 0), axis=1)


def export_task(
    model: TaskModel, stream: TaskStream, task_id: int, directory: Path, accuracy: float | None = None
) -> Path:
    """Write the SavedModel of one task to `directory/NAME/1` (1 is the version that a server expects).

    It is written beside and renamed when it is whole.

    Args:
      model: The trained model.
      stream: Its tasks.
      task_id: The task.
      directory: Where to write.
      accuracy: On the task's test split in percent, for the metadata.

    Raises:
      OSError: It cannot be written.
    """
    frozen = FrozenTask(model, stream, task_id)
    name = stream[task_id].name
    facts = {"task": name, **metadata(stream, frozen.signatures, frozen.raw_width), "test_accuracy": accuracy}
    probes = recorded(frozen.signatures, mixed_batch(stream, [task_id]), [task.name for task in stream])
    module, traced = storable(frozen.signatures, frozen.submodules)
    return write_servable(module, traced, directory / name / "1", facts, stream.class_names, probes)


def largest_difference(model: TaskModel, stream: TaskStream, task_id: int, path: Path) -> float:
    """Largest absolute difference of logits at real steps between a SavedModel and the model, on test examples."""
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    batch = next(iter(stream[task_id].test.in_order(32, task_id)))
    expected = model(batch.inputs, batch.lengths, tf.constant(task_id)).logits
    received = served(inputs=batch.inputs, lengths=batch.lengths)["logits"]
    real = tf.sequence_mask(batch.lengths, tf.shape(expected)[1])[..., tf.newaxis]
    return float(np.max(np.abs(np.where(real, received - expected, 0.0))))


class Exporter(Observer):
    """Exports every task, and all in one, when a run has ended, and checks each export against the model.

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
        """Write and verify one SavedModel per task, and one for all tasks.

        Raises:
          ExportDiffersError: An export does not compute what the model computes.
        """
        stream = self._stream
        if stream is None:  # no run began
            return
        for task, accuracy in zip(stream, matrix.final(), strict=True):
            path = export_task(self._model, stream, task.task_id, self._directory, float(accuracy))
            self._require_equal(path, largest_difference(self._model, stream, task.task_id, path))
        path = export_all_tasks(self._model, stream, self._directory, matrix.final())
        served = tf.saved_model.load(str(path)).signatures["by_task_id"]
        self._require_equal(path, largest_difference_of_all(self._model, stream, served))

    def _require_equal(self, path: Path, difference: float) -> None:
        if not difference < 1e-3:
            remove(path)  # nobody must serve it, and the run is not finished with it
            raise ExportDiffersError(
                f"the export {path} differed from the model by {difference:g} in its logits, and was removed."
            )
        self.largest_difference = max(self.largest_difference, difference)
