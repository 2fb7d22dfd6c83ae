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

import tensorflow as tf

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.model import TaskModel
from clrnn_tf.recording.events import Observer
from clrnn_tf.streams.tasks import TaskStream
from export.all_tasks import export_all_tasks, largest_difference_of_all
from export.parts import Parts, largest_at_real_steps
from export.probes import mixed_batch, recorded
from export.task_graphs import OfTask, Outputs
from export.unoptimized import unoptimized
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
      parts: What it has in common with other exports; its own by default.
    """

    def __init__(self, model: TaskModel, stream: TaskStream, task_id: int, parts: Parts | None = None) -> None:
        super().__init__()
        parts = parts or Parts(model, stream)
        self._graphs, self._task_id = parts.graphs, tf.constant(task_id)
        self._weights = {name: tf.Variable(value) for name, value in model.source(self._task_id).items()}
        table = () if model.embedding is None else model.embedding.table(task_id)
        self._table = [tf.Variable(part, trainable=False) for part in table if part is not None]
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
            self._encoder = parts.encoder(task_id)
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

    def _serve(self, inputs: tf.Tensor, lengths: tf.Tensor) -> Outputs:
        return self._graphs.serve(self._read(), inputs, lengths)

    def _serve_raw(self, inputs: tf.Tensor, lengths: tf.Tensor) -> Outputs:
        outputs = self._serve(self._coder.encode(inputs, lengths), lengths)
        if self._labels is not None and "classes" in outputs:
            outputs["labels"] = tf.gather(self._labels, outputs["classes"])
        return self._coder.decode(outputs, lengths)

    def _tag(self, words: tf.Tensor) -> Outputs:
        read = self._graphs.read(words)
        return self._graphs.tag(self._read(), read, self._encoder(read.distinct[tf.newaxis])[0])

    def _read(self) -> OfTask:
        weights = {name: tf.convert_to_tensor(weight) for name, weight in self._weights.items()}
        return OfTask(weights, list(map(tf.convert_to_tensor, self._table)), self._task_id)


@unoptimized()
def export_task(
    model: TaskModel,
    stream: TaskStream,
    task_id: int,
    directory: Path,
    accuracy: float | None = None,
    parts: Parts | None = None,
) -> Path:
    """Write the SavedModel of one task to `directory/NAME/1` (1 is the version that a server expects).

    It is written beside and renamed when it is whole.

    Args:
      model: The trained model.
      stream: Its tasks.
      task_id: The task.
      directory: Where to write.
      accuracy: On the task's test split in percent, for the metadata.
      parts: What the exports of several tasks have in common; its own by default.

    Raises:
      OSError: It cannot be written.
    """
    parts = parts or Parts(model, stream)
    frozen = FrozenTask(model, stream, task_id, parts)
    name = stream[task_id].name
    facts = {"task": name, **metadata(stream, frozen.signatures, frozen.raw_width), "test_accuracy": accuracy}
    probes = recorded(frozen.signatures, mixed_batch(parts, [task_id]), [task.name for task in stream])
    module, traced = storable(frozen.signatures, frozen.submodules)
    return write_servable(module, traced, directory / name / "1", facts, stream.class_names, probes)


@unoptimized()
def largest_difference(
    model: TaskModel, stream: TaskStream, task_id: int, path: Path, parts: Parts | None = None
) -> float:
    """Largest absolute difference of logits at real steps between a SavedModel and the model, on test examples."""
    parts = parts or Parts(model, stream)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    inputs, lengths = parts.examples(task_id)
    received = served(inputs=tf.constant(inputs), lengths=tf.constant(lengths))["logits"].numpy()
    return largest_at_real_steps(received, parts.expected(task_id), lengths)


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

    @unoptimized()
    def run_ended(self, matrix: ResultMatrix) -> None:
        """Write and verify one SavedModel per task, and one for all tasks.

        Raises:
          ExportDiffersError: An export does not compute what the model computes.
        """
        stream = self._stream
        if stream is None:  # no run began
            return
        model, directory, parts = self._model, self._directory, Parts(self._model, stream)
        for task, accuracy in zip(stream, matrix.final(), strict=True):
            path = export_task(model, stream, task.task_id, directory, float(accuracy), parts)
            self._require_equal(path, largest_difference(model, stream, task.task_id, path, parts))
        path = export_all_tasks(model, stream, directory, matrix.final(), parts=parts)
        served = tf.saved_model.load(str(path)).signatures["by_task_id"]
        self._require_equal(path, largest_difference_of_all(model, stream, served, None, parts))

    def _require_equal(self, path: Path, difference: float) -> None:
        if not difference < 1e-3:
            remove(path)  # nobody must serve it, and the run is not finished with it
            raise ExportDiffersError(
                f"the export {path} differed from the model by {difference:g} in its logits, and was removed."
            )
        self.largest_difference = max(self.largest_difference, difference)
