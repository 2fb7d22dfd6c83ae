"""Writes the log and the results of a run into its directory."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clrnn_tf.config import Experiment
from clrnn_tf.durable_files import sync_file, write_bytes, write_text
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.recording.results import TaskTiming, confusions_of, scores_of
from clrnn_tf.recording.run_directory import RunDirectory, as_json, library_versions
from clrnn_tf.streams.tasks import TaskStream


class FileRecorder(Observer):
    """Writes `metrics.jsonl` while tasks are trained, and the results files after each.

    Args:
      run: Where to write.
      experiment: Settings named in the results.
      facts: More facts for the results: parameters, compression ratio.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> import tempfile
      >>> from pathlib import Path
      >>> from clrnn_tf import FileRecorder, RunDirectory, learn
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     run = RunDirectory.create(Path(folder) / "run", experiment, {"data_source": stream.data_source})
      ...     trainer.observers.append(FileRecorder(run, experiment, trainer.method.facts()))
      ...     matrix = learn(stream, trainer)
      ...     run.read_results()["num_tasks"]
      2
    """

    def __init__(self, run: RunDirectory, experiment: Experiment, facts: Mapping[str, float]) -> None:
        self._run, self._experiment, self._facts = run, experiment, facts
        self._data: dict[str, object] = {"data_source": ""}
        self._timing: list[TaskTiming] = []
        self._kept_bytes: list[dict[str, int]] = []
        self._log_size = 0  # of what a continued run goes on with

    def recorded(self) -> dict[str, int]:
        """The size of the log."""
        return {self._run.metrics.name: sync_file(self._run.metrics)}

    def rewind(self, recorded: Mapping[str, int]) -> None:
        """Cut the log to what it was at the checkpoint; begin it anew, with a warning, where it is missing.

        Raises:
          ConfigurationError: It is damaged.
        """
        log, size = self._run.metrics, recorded.get(self._run.metrics.name, 0)
        if size and not log.is_file():
            warnings.warn(f"{log} is missing; curves in the report have gaps.", stacklevel=2)
        elif size:
            _require_entries(log, size)
            os.truncate(log, size)
            self._log_size = size

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Begin the log, or go on with it where a run is continued."""
        self._data = {"data_source": stream.data_source}
        if stream.data_facts:
            self._data["data"] = dict(stream.data_facts)
        if stream.class_names:
            self._data["class_names"] = list(stream.class_names)
        if self._run.results.is_file():
            stored = self._run.read_results()
            self._timing = stored["timing"]["tasks"][:first_task]
            self._kept_bytes = stored.get("kept_bytes", [])[:first_task]
        if self._log_size == 0:
            write_text(self._run.metrics, "")

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
        self._save(matrix, result)

    def _write(self, kind: str, task_id: int, task: str, step: int, **values: object) -> None:
        entry = {"kind": kind, "task_id": task_id, "task": task, "step": step, **values}
        with self._run.metrics.open("a", encoding="utf-8") as log:
            log.write(as_json(entry))

    def _save(self, matrix: ResultMatrix, latest: TaskResult) -> None:
        confusions: dict[str, Any] = confusions_of(matrix)  # NumPy's types allow no other keywords than its options
        if confusions:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **confusions)
            write_bytes(self._run.confusion, buffer.getvalue())
        results = {
            **scores_of(matrix),
            **self._facts,
            "benchmark": self._experiment.benchmark,
            "method": self._experiment.method,
            "seed": self._experiment.seed,
            **self._data,
            "kept_bytes": self._kept_bytes,
            "versions": library_versions(),
            "timing": {
                "tasks": self._timing,
                "total_seconds": round(sum(t["train_seconds"] + t["eval_seconds"] for t in self._timing), 3),
                "compile_seconds": round(latest.compile_seconds, 3),
                "compile_share": round(latest.compile_share, 3),
            },
        }
        write_text(self._run.table, _table(matrix))
        write_text(self._run.results, as_json(results, indent=2))


def _require_entries(log: Path, size: int) -> None:
    """Require that a log begins with `size` bytes of whole entries.

    Raises:
      ConfigurationError: It does not.
    """
    with log.open("rb") as file:
        content = file.read(size)
    try:
        if len(content) < size or content[-1:] not in (b"", b"\n"):
            raise ValueError(f"{size} bytes of whole lines were written, {len(content)} are there")
        for line in content.splitlines():
            json.loads(line)["task_id"]
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{log} is damaged ({error}). Remove it to go on.") from None


def _table(matrix: ResultMatrix) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["after", *matrix.task_names])
    for name, row in zip(matrix.row_names, matrix.scores(), strict=False):
        writer.writerow([name, *(f"{score:.4f}" for score in row)])
    return buffer.getvalue()
