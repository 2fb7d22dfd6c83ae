"""One SavedModel for all tasks of a run: each row of a request says its task, and rows may be of different tasks.

The source of the weights is inside (a hypernetwork; shared, masked or modulated weights; a network per task), and
weights are generated once for each distinct task of a request. Axes B batch, T time, F features, C outputs, S numbers
of a state; B and T are free, and may be 0. Signatures:

    serving_default    `inputs` [B, T, F], `lengths` [B] int32, `task` [B] string, the names of the tasks
    by_task_id         the same, with `task_id` [B] int32 for `task`
    unknown_task       `inputs`, `lengths`: the task of each row is inferred (`clrnn_tf.task_inference`)
    step               `inputs` [B, F], one step of each row; `state` [B, S], zeros to begin with; `task` [B] string
    tag                `words` [B, T] string, `lengths` [B] int32, `task` [B] string
    tag_unknown_task   `words`, `lengths`
    raw                `inputs` [B, T, R] float32 as measured, NaN where a value is missing, `lengths`, `task`

Outputs are those of the model of one task (`export.saved_model`), and

    `error` [B] string       "", or what is wrong with the row, whose other outputs are NaN, -1 or "" then
    `state` [B, S]           of `step`: what the next step of the row goes on from
    `task` [B] string, `task_id` [B] int32, `task_probability` [B]     where the task is inferred

With the mean entropy H_k of the answers as task k, p_k = exp(-H_k) / sum_j exp(-H_j), and the task of the highest p is
taken. `unknown_task` is there where tasks can be told apart by entropy, `step` where the network reads forward only,
`tag` where inputs are words, and `raw` where sequences are standardised before the network reads them. Every signature
is told the lengths, because a server that batches requests pads them with their first element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from clrnn_tf.model import TaskModel
from clrnn_tf.streams.tasks import TaskStream
from export import row_errors
from export.answering import Answering
from export.parts import Parts, largest_at_real_steps
from export.probes import mixed_batch, recorded
from export.task_graphs import Outputs
from export.task_weights import MOST_KEPT_BYTES, TaskWeights
from export.unoptimized import unoptimized
from export.writing import metadata, storable, write_servable

ALL_TASKS = "all-tasks"
"""Name of the model of all tasks. No task has it: their names are letters, digits and `_`."""


class AllTasks:
    """The signatures of a trained model of all its tasks.

    They are of the model as it is now: the SavedModel is written before the model is trained on.

    Args:
      model: The trained model.
      stream: Says what the inputs look like, and the names of the tasks.
      num_tasks: K, the tasks that are learned, the first ones of the stream; all by default.
      most_kept_bytes: Memory that the weights of all tasks may take. Where they fit, they are made once, when a
        servable is loaded; else those of the tasks of a request are made for the request.
      parts: What it has in common with the exports of single tasks; its own by default.
    """

    def __init__(
        self,
        model: TaskModel,
        stream: TaskStream,
        num_tasks: int | None = None,
        most_kept_bytes: int = MOST_KEPT_BYTES,
        parts: Parts | None = None,
    ) -> None:
        self._answering = Answering(parts or Parts(model, stream), num_tasks or len(stream), most_kept_bytes)
        self.names = self._answering.names
        """Of the tasks, by their ids."""
        self.functions = _functions(self._answering)
        """What the SavedModel offers, by name."""

    @property
    def raw_width(self) -> int | None:
        """Numbers of a step of the signature `raw`; None where there is none."""
        return None if self._answering.measured is None else self._answering.measured.width

    @property
    def state_size(self) -> int | None:
        """S; None where there is no signature `step`."""
        return self._answering.network.state_size if "step" in self.functions else None

    @property
    def weights(self) -> TaskWeights:
        """What the weights come from."""
        return self._answering.weights

    def storable(self) -> tuple[tf.Module, dict[str, tf.types.experimental.ConcreteFunction]]:
        """The traced functions, and a module that holds what they read: nothing else of the model is stored."""
        kept = [self._answering.ids, *self._answering.encoders, *self.weights.kept()]
        return storable(self.functions, kept)


def _functions(answering: Answering) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    stream, names = answering.stream, answering.names
    inputs = tf.TensorSpec([None, None, stream.input_width], stream.input_dtype, name="inputs")
    lengths, words = (
        tf.TensorSpec([None], tf.int32, name="lengths"),
        tf.TensorSpec([None, None], tf.string, name="words"),
    )
    task, task_id = tf.TensorSpec([None], tf.string, name="task"), tf.TensorSpec([None], tf.int32, name="task_id")

    def serving_default(inputs: tf.Tensor, lengths: tf.Tensor, task: tf.Tensor) -> Outputs:
        return answering.numeric(inputs, lengths, *answering.found(task))

    def by_task_id(inputs: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor) -> Outputs:
        return answering.numeric(inputs, lengths, task_id, row_errors.unknown_ids(task_id, len(names)))

    functions = {
        "serving_default": _function(serving_default, inputs, lengths, task),
        "by_task_id": _function(by_task_id, inputs, lengths, task_id),
    }
    if answering.can_infer:
        functions["unknown_task"] = _function(answering.unknown, inputs, lengths)
    if answering.network.reads_forward:

        def step(inputs: tf.Tensor, state: tf.Tensor, task: tf.Tensor) -> Outputs:
            return answering.step(inputs, state, *answering.found(task))

        features = tf.TensorSpec([None, stream.input_width], stream.input_dtype, name="inputs")
        state = tf.TensorSpec([None, answering.network.state_size], tf.float32, name="state")
        functions["step"] = _function(step, features, state, task)
    measured = answering.measured
    if measured is not None:

        def raw(inputs: tf.Tensor, lengths: tf.Tensor, task: tf.Tensor) -> Outputs:
            return answering.raw(measured, inputs, lengths, *answering.found(task))

        as_measured = tf.TensorSpec([None, None, measured.width], tf.float32, name="inputs")
        functions["raw"] = _function(raw, as_measured, lengths, task)
    if answering.encoders:

        def tag(words: tf.Tensor, lengths: tf.Tensor, task: tf.Tensor) -> Outputs:
            return answering.tag(words, lengths, *answering.found(task))

        functions["tag"] = _function(tag, words, lengths, task)
        if answering.can_infer:
            functions["tag_unknown_task"] = _function(answering.tag_unknown, words, lengths)
    return functions


def _function(function: Callable[..., Outputs], *signature: tf.TensorSpec) -> tf.types.experimental.PolymorphicFunction:
    return tf.function(function, input_signature=signature, autograph=False)


@unoptimized()
def export_all_tasks(
    model: TaskModel,
    stream: TaskStream,
    directory: Path,
    accuracies: Iterable[float] = (),
    num_tasks: int | None = None,
    most_kept_bytes: int = MOST_KEPT_BYTES,
    parts: Parts | None = None,
) -> Path:
    """Write the SavedModel of all tasks to `directory/all-tasks/1` (1 is the version that a server expects).

    Args:
      model: The trained model.
      stream: Its tasks.
      directory: Where to write.
      accuracies: On the tasks' test splits in percent, by task id, for the metadata.
      num_tasks: The tasks that are learned, the first ones of the stream; all by default.
      most_kept_bytes: See `AllTasks`.
      parts: What it has in common with the exports of single tasks; its own by default.

    Raises:
      OSError: It cannot be written.
    """
    parts = parts or Parts(model, stream)
    tasks = AllTasks(model, stream, num_tasks, most_kept_bytes, parts)
    module, traced = tasks.storable()
    facts = {
        "tasks": tasks.names,
        **metadata(stream, traced, tasks.raw_width),
        "state_size": tasks.state_size,
        "kept_weights_bytes": tasks.weights.num_bytes,
        "test_accuracy": dict(zip(tasks.names, map(float, accuracies), strict=False)),
    }
    probes = recorded(tasks.functions, mixed_batch(parts, range(len(tasks.names))), tasks.names)
    with tasks.weights.stored():
        return write_servable(module, traced, directory / ALL_TASKS / "1", facts, stream.class_names, probes)


@unoptimized()
def largest_difference_of_all(
    model: TaskModel,
    stream: TaskStream,
    by_task_id: Callable[..., Outputs],
    num_tasks: int | None = None,
    parts: Parts | None = None,
) -> float:
    """Largest absolute difference of logits at real steps between a signature and the model, on mixed test examples.

    Args:
      model: The trained model.
      stream: Its tasks.
      by_task_id: The signature of that name.
      num_tasks: The tasks that are compared, the first ones of the stream; all by default.
      parts: What the exports have in common; its own by default.
    """
    parts = parts or Parts(model, stream)
    batch = mixed_batch(parts, range(num_tasks or len(stream)))
    names = ("inputs", "lengths", "task_id")
    answers = by_task_id(**{name: tf.constant(value) for name, value in zip(names, batch, strict=True)})
    received, expected = answers["logits"].numpy(), np.zeros_like(answers["logits"])
    for task_id in sorted(set(batch.task_ids)):
        rows = np.flatnonzero(batch.task_ids == task_id)
        logits = parts.expected(int(task_id))[: len(rows), : expected.shape[1]]
        expected[rows, : logits.shape[1]] = logits
    return largest_at_real_steps(received, expected, batch.lengths)
