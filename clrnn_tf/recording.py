"""The directory of a run: settings, logs, results, TensorBoard events, checkpoints, exports.

    config.yaml     settings that rebuild the run, and under `provenance` the data source and library versions
    metrics.jsonl   one line for each log entry and validation
    results.json    results after each task; everything outside `timing` is equal for equal runs
    results.csv     the accuracy matrix
    confusion.npz   confusion matrices behind the weighted F1 (softmax only)
    report.html     the report; tensorboard/, checkpoints/, export/

Files are replaced whole (written beside, then renamed), so that a run killed at any moment leaves readable ones.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import yaml

import clrnn_tf
from clrnn_tf.config import ConfigurationError, Experiment, require
from clrnn_tf.events import Observer, TaskResult, TrainingLog, ValidationLog
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.tasks import TaskStream

SCHEMA_VERSION = 1


def library_versions() -> dict[str, str]:
    """Versions that decide numbers."""
    return {"clrnn_tf": clrnn_tf.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}


class RunDirectory:
    """Paths of a run, and the rules of writing to them.

    Args:
      path: An existing run directory; make a new one with `create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.jsonl"
        self.results = path / "results.json"
        self.table = path / "results.csv"
        self.confusion = path / "confusion.npz"
        self.checkpoints = path / "checkpoints"
        self.tensorboard = path / "tensorboard"
        self.export = path / "export"

    @classmethod
    def create(
        cls, path: Path, experiment: Experiment, provenance: Mapping[str, object], overwrite: bool = False
    ) -> RunDirectory:
        """Make a run directory and write its `config.yaml`.

        Args:
          path: Where; must be missing or empty, unless `overwrite`.
          experiment: The settings.
          provenance: Facts that are no settings: data source, preset.
          overwrite: Replace a run that is there. Anything that is no run is left alone.

        Raises:
          ConfigurationError: There is something at `path`.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            is_run = (path / "config.yaml").is_file()
            require(is_run, f"{path} exists and is no run of ours. Choose another directory with --out.")
            require(
                overwrite,
                f"{path} holds a run already. Continue it with --resume, choose another directory with --out, or "
                "replace it with --overwrite.",
            )
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        settings = {**experiment.to_dict(), "provenance": {**provenance, "versions": library_versions()}}
        write_text(run.config, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        return run

    @classmethod
    def open(cls, path: Path, experiment: Experiment) -> RunDirectory:
        """The run directory at `path`, to continue it with the same settings.

        Raises:
          ConfigurationError: There is no run, or its settings differ; the message names those that do.
        """
        run = cls(path)
        require(run.config.is_file(), f"no run to continue in {path}: it has no config.yaml.")
        stored = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        differences = [
            f"{name} (stored {old!r}, now {new!r})"
            for name, (old, new) in _differences(stored, experiment.to_dict()).items()
        ]
        require(
            not differences,
            f"the run in {path} has other settings: {', '.join(differences)}. Leave them out, or choose another --out.",
        )
        return run

    def require_data_source(self, present: str) -> None:
        """Require that a continued run sees the data that it began with, as far as their description tells."""
        stored = yaml.safe_load(self.config.read_text(encoding="utf-8"))["provenance"]["data_source"]
        require(
            stored == present,
            f"the run in {self.path} began with data: {stored}. Received: {present}. Name its directory by --data-dir.",
        )

    def load(self) -> ResultMatrix | None:
        """Results so far, or None before the first task was finished."""
        if not self.results.is_file():
            return None
        try:
            return _matrix_of(json.loads(self.results.read_text(encoding="utf-8")), self._confusions())
        except (json.JSONDecodeError, KeyError, OSError, ValueError) as error:
            raise ConfigurationError(f"{self.results} is damaged ({error}). Start the run anew.") from None

    def _confusions(self) -> Mapping[str, np.ndarray]:
        if not self.confusion.is_file():
            return {}
        with np.load(self.confusion) as stored:
            return dict(stored)


class FileRecorder(Observer):
    """Writes `metrics.jsonl` while tasks are trained, and the results files after each.

    Args:
      run: Where to write.
      experiment: Settings named in the results.
      facts: More facts for the results: parameters, compression ratio.
    """

    def __init__(self, run: RunDirectory, experiment: Experiment, facts: Mapping[str, float]) -> None:
        self._run, self._experiment, self._facts = run, experiment, facts
        self._data_source = ""
        self._timing: list[dict[str, object]] = []
        self._kept_bytes: list[dict[str, int]] = []
        self._file: io.TextIOBase | None = None

    def run_began(self, stream: TaskStream, first_task: int, matrix: ResultMatrix) -> None:
        """Open the log; when a run is continued, entries of tasks that were not finished are dropped first."""
        self._data_source = stream.data_source
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
            "train", log.task.task_id, log.task.name, log.step, losses=log.losses, accuracy=log.accuracy,
            gradient_norm=log.gradient_norm, seconds_per_step=log.seconds_per_step,
        )  # fmt: skip

    def validated(self, log: ValidationLog) -> None:
        """One line with the validation scores."""
        evaluation = log.evaluation
        scores = {"loss": evaluation.loss, "accuracy": evaluation.accuracy}
        self._write("validation", log.task.task_id, log.task.name, log.step, **scores)

    def task_learned(self, result: TaskResult, matrix: ResultMatrix) -> None:
        """Write the results with the new row."""
        self._timing.append(
            {"task": result.task.name, "train_seconds": round(result.train_seconds, 3),
             "eval_seconds": round(result.eval_seconds, 3), "steps": result.steps}
        )  # fmt: skip
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
        self._file.write(json.dumps(_without_nan(entry)) + "\n")
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
            "kept_bytes": self._kept_bytes,
            "versions": library_versions(),
            "timing": {
                "tasks": self._timing,
                "total_seconds": round(sum(t["train_seconds"] + t["eval_seconds"] for t in self._timing), 3),
            },
        }
        write_text(self._run.table, _table(matrix))
        write_text(self._run.results, json.dumps(_without_nan(results), indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace a text file whole, or leave it as it is."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file whole, or leave it as it is."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


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
    if matrix.rows[0][0].confusion is not None:
        results["during_weighted_f1"] = matrix.during("weighted_f1").tolist()
        results["final_weighted_f1"] = matrix.final("weighted_f1").tolist()
    return results


def _matrix_of(results: Mapping[str, object], confusions: Mapping[str, np.ndarray]) -> ResultMatrix:
    def row(number: int, losses: list, accuracies: list) -> list[Evaluation]:
        counts = confusions.get(f"row{number}", [None] * len(losses))
        return [
            Evaluation(loss, math.nan if accuracy is None else accuracy, confusion)
            for loss, accuracy, confusion in zip(losses, accuracies, counts, strict=True)
        ]

    return ResultMatrix(
        task_names=tuple(results["task_names"]),
        initial=row(-1, results["initial_loss"], results["initial_accuracy"]),
        rows=[
            row(number, losses, accuracies)
            for number, (losses, accuracies) in enumerate(zip(results["loss"], results["accuracy"], strict=True))
        ],
        joint=results.get("joint", False),
    )


def _table(matrix: ResultMatrix) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["after", *matrix.task_names])
    for name, row in zip(matrix.row_names, matrix.scores(), strict=False):
        writer.writerow([name, *(f"{score:.4f}" for score in row)])
    return buffer.getvalue()


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _differences(stored: object, present: object, name: str = "") -> dict[str, tuple[object, object]]:
    """Settings of `present` whose stored value is another, by dotted name."""
    if isinstance(present, Mapping) and isinstance(stored, Mapping):
        found = {}
        for key, value in present.items():
            found.update(_differences(stored.get(key), value, f"{name}.{key}" if name else key))
        return found
    return {} if stored == present else {name: (stored, present)}
