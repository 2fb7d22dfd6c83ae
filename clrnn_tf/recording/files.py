"""Writes what a run gives into its directory while it goes on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping

import numpy as np

from clrnn_tf.config import Experiment
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.run_directory import RunDirectory, as_json, library_versions, write_bytes, write_text
from clrnn_tf.streams.tasks import TaskStream

SCHEMA_VERSION = 1


class FileRecorder(Observer):
    """Writes `metrics.jsonl` while tasks are trained, and the results files after each.

    Args:
      run: Where to write.
      experiment: Settings named in the results.
      facts: More facts for the results: parameters, compression ratio.
    """

    def __init__(self, run: RunDirectory, experiment: Experiment, facts: Mapping[str, float]) -> None:
        self._run, self._experiment, self._facts = run, experiment, facts
        self._data_source, self._data_facts = "", {}
        self._timing: list[dict[str, object]] = []
        self._kept_bytes: list[dict[str, int]] = []
        self._file: io.TextIOBase | None = None

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Open the log; when a run is continued, entries of tasks that were not finished are dropped first."""
        self._data_source, self._data_facts = stream.data_source, dict(stream.data_facts)
        if self._run.results.is_file():
            stored = json.loads(self._run.results.read_text(encoding="utf-8"))
            self._timing = stored["timing"]["tasks"][:first_task]
            self._kept_bytes = stored.get("kept_bytes", [])[:first_task]
        kept = []
        if self._run.metrics.is_file():
            lines = self._run.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["task_id"] < first_task]
        write_text(self._run.metrics, "".join(kept))
        self._file = self._run.metrics.open("a", encoding="utf-8")

    def trained(self, log: TrainingLog) -> None:
        """One line with the mean losses since the last."""
        self._write(
            "train",
            log.task.task_id,
            log.task.name,
            log.step,
            losses=log.losses,
            accuracy=log.accuracy,
            gradient_norm=log.gradient_norm,
            seconds_per_step=log.seconds_per_step,
        )

    def validated(self, log: ValidationLog) -> None:
        """One line with the validation scores."""
        self._write("validation", log.task.task_id, log.task.name, log.step, **log.evaluation.metrics)

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Write the results with the new row."""
        self._timing.append(
            {
                "task": result.task.name,
                "train_seconds": round(result.train_seconds, 3),
                "eval_seconds": round(result.eval_seconds, 3),
                "steps": result.steps,
            }
        )
        self._kept_bytes.append(result.kept_bytes)
        self._save(matrix)

    def run_ended(self, matrix: ResultMatrix) -> None:
        """Close the log."""
        self._close()

    def run_failed(self, error: BaseException) -> None:
        """Close the log."""
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, kind: str, task_id: int, task: str, step: int, **values: object) -> None:
        entry = {"kind": kind, "task_id": task_id, "task": task, "step": step, **values}
        self._file.write(as_json(entry))
        self._file.flush()

    def _save(self, matrix: ResultMatrix) -> None:
        confusions = {
            f"row{i}": np.stack([evaluation.confusion for evaluation in row])
            for i, row in [(-1, matrix.initial), *enumerate(matrix.rows)]
            if row[0].confusion is not None
        }
        if confusions:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **confusions)
            write_bytes(self._run.confusion, buffer.getvalue())
        results = {
            **_results_of(matrix),
            **self._facts,
            "benchmark": self._experiment.benchmark,
            "method": self._experiment.method,
            "seed": self._experiment.seed,
            "data_source": self._data_source,
            **({"data": self._data_facts} if self._data_facts else {}),
            "kept_bytes": self._kept_bytes,
            "versions": library_versions(),
            "timing": {
                "tasks": self._timing,
                "total_seconds": round(sum(t["train_seconds"] + t["eval_seconds"] for t in self._timing), 3),
            },
        }
        write_text(self._run.table, _table(matrix))
        write_text(self._run.results, as_json(results, indent=2))


def _results_of(matrix: ResultMatrix) -> dict[str, object]:
    results = {
        "schema_version": SCHEMA_VERSION,
        "finished": matrix.finished,
        "joint": matrix.joint,
        "num_tasks": matrix.num_tasks,
        "task_names": list(matrix.task_names),
        **matrix.summary(),
        "during_accuracy": matrix.during().tolist(),
        "final_accuracy": matrix.final().tolist(),
        "initial_accuracy": [evaluation.accuracy for evaluation in matrix.initial],
        "initial_loss": [evaluation.loss for evaluation in matrix.initial],
        "accuracy": matrix.scores("accuracy").tolist(),
        "loss": matrix.scores("loss").tolist(),
    }
    for name in matrix.further_metrics:
        results[f"during_{name}"] = matrix.during(name).tolist()
        results[f"final_{name}"] = matrix.final(name).tolist()
    further = {name: matrix.scores(name).tolist() for name in matrix.initial[0].further}
    if further:  # what is read back; the others follow from the confusion matrices
        results["further"] = further
        results["initial_further"] = {name: [score.further[name] for score in matrix.initial] for name in further}
    return results


def _table(matrix: ResultMatrix) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["after", *matrix.task_names])
    for name, row in zip(matrix.row_names, matrix.scores(), strict=False):
        writer.writerow([name, *(f"{score:.4f}" for score in row)])
    return buffer.getvalue()
