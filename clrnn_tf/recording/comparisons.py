"""What a run is compared with in its report: other runs, publications, a perceptron."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.run_directory import RunDirectory

PERCEPTRON = "UDPipe 1 (perceptron)"
_FIELDS = {"task", "treebank", "fingerprint", "accuracy", "accuracy_with_vector"}


@dataclass(frozen=True)
class Comparison:
    """A row to compare a run with; accuracies in percent, None where the source gives none."""

    label: str
    during: float | None
    final: float | None
    forgetting: float | None
    source: str
    """Where the numbers come from: a run directory with its data source, or a publication with its settings."""
    matrix: ResultMatrix | None = None
    """All scores of a run; None for a publication."""
    method: str = ""
    """The method of a run, which has its colour."""
    task_accuracy: Mapping[str, float] | None = None
    """By task name, of models that each learned one task; a report gives their mean over the tasks of its run."""

    def over(self, names: Sequence[str]) -> Comparison:
        """The row beside a run of the named tasks."""
        if self.task_accuracy is None:
            return self
        common = [self.task_accuracy[name] for name in names if name in self.task_accuracy]
        mean = sum(common) / len(common) if common else None
        lacking = "" if len(common) == len(names) else f"; mean of {len(common)} of {len(names)} tasks"
        return replace(self, during=mean, final=mean, source=self.source + lacking)


def comparisons_from(path: Path) -> list[Comparison]:
    """The rows of a run directory, or of a file that `python -m trainers.perceptron` has written.

    Such a file has two rows where it knows word vectors, because networks are not scored on words without one.

    Raises:
      ConfigurationError: There are no results at `path`.
    """
    if not path.is_file():
        return [comparison_from_run(path)]
    tasks = perceptron_results(path)["tasks"]
    treebanks = ", ".join(entry["treebank"] for entry in tasks)
    rows = []
    for words, name in (("", "accuracy"), (", words with a vector", "accuracy_with_vector")):
        accuracy = {entry["task"]: entry[name] for entry in tasks if entry[name] is not None}
        if accuracy:
            source = f"{path}, one model for each task; data: {treebanks}"
            rows.append(Comparison(f"{PERCEPTRON}{words}", None, None, None, source, task_accuracy=accuracy))
    return rows


def comparison_from_run(path: Path) -> Comparison:
    """The numbers of another run.

    Raises:
      ConfigurationError: There are no results at `path`.
    """
    run = RunDirectory(path)
    matrix, results = run.load(), run.read_results()
    unfinished = "" if results["finished"] else ", unfinished"
    return Comparison(
        label=results["method"],
        during=results["mean_during_accuracy"],
        final=results["mean_final_accuracy"],
        forgetting=results["forgetting"],
        source=f"run {path}, seed {results['seed']}{unfinished}; data: {results['data_source']}",
        matrix=matrix,
        method=results["method"],
    )


def perceptron_results(path: Path) -> dict:
    """The file that `python -m trainers.perceptron` has written.

    Raises:
      ConfigurationError: It is not such a file.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as results of a perceptron: {error}.") from None
    tasks = results.get("tasks") if isinstance(results, dict) and results.get("method") == "perceptron" else None
    is_one = isinstance(tasks, list) and all(isinstance(task, dict) and task.keys() >= _FIELDS for task in tasks)
    require(is_one, f"{path} must be a file that python -m trainers.perceptron has written. Received: another one.")
    return results
