"""``--infer-task``: how well a trained run does where nobody says which task a sequence comes from."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.progress import number_text
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.task_inference import InferenceScores, TaskInference


def infer_tasks(
    inference: TaskInference,
    stream: TaskStream,
    matrix: ResultMatrix,
    run: RunDirectory,
    batch_size: int,
    console: Console | None = None,
) -> InferenceScores:
    """Infer the task of every test sequence, print a table and write `task_inference` into the results.

    Args:
      inference: Of the trained model.
      stream: The tasks.
      matrix: Results of the finished run, for the accuracy with the task known.
      run: Where the results are.
      batch_size: Sequences per batch.
      console: Where to print.
    """
    scores = inference.evaluate(stream, batch_size)
    run.add_result("task_inference", scores.to_dict())
    (console or Console()).print(inference_table(scores, matrix.final()))
    return scores


def inference_table(scores: InferenceScores, known: np.ndarray) -> Table:
    """Tasks found, and accuracy with the inferred and with the known task, of each task and on average."""
    table = Table(title="task unknown: inferred from the entropy of the answers, %")
    for name in ("task", "task found", "accuracy, inferred", "accuracy, known", "mostly taken for"):
        table.add_column(name, justify="right" if name.startswith(("task found", "acc")) else "left")
    for name, found, joint, final, row in zip(
        scores.task_names, scores.found, scores.joint, known, scores.counts, strict=True
    ):
        taken_for = scores.task_names[int(np.argmax(row))]
        table.add_row(name, number_text(found), number_text(joint), number_text(final), taken_for)
    table.add_section()
    table.add_row("mean", *(number_text(float(each.mean())) for each in (scores.found, scores.joint, known)))
    chance = 100 / len(scores.task_names)
    table.caption = f"{scores.counts.sum()} sequences; chance finds {number_text(chance)} % of the tasks"
    return table
