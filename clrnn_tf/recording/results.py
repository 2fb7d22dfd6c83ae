"""`results.json` and `confusion.npz`: what is in them, and how the scores are read back.

Beside the keys of `Results` there are `mean_during_NAME`, `mean_final_NAME`, `during_NAME` and `final_NAME` for every
further metric of the output kind. A number that is nan is written as null.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np

from clrnn_tf.metrics import Evaluation, ResultMatrix

SCHEMA_VERSION = 1
_MOST = 2**64  # of whole numbers

Scores = list[float | None]
"""One number for each task; percent."""


class TaskTiming(TypedDict):
    """How long one task took."""

    task: str
    train_seconds: float
    eval_seconds: float
    steps: int


class Timing(TypedDict):
    """The part of the results that differs between equal runs."""

    tasks: list[TaskTiming]
    total_seconds: float
    compile_seconds: NotRequired[float]
    """Since the run was begun or last continued; see `TaskResult.compile_seconds`."""
    compile_share: NotRequired[float]
    """Of steps, validations and tests since then, those before training included."""


class InferenceResults(TypedDict):
    """Scores with the task inferred; see `InferenceScores.to_dict`."""

    inference_accuracy: Scores
    joint_accuracy: Scores
    inferred_counts: list[list[int]]


class Results(TypedDict):
    """`results.json`."""

    schema_version: int
    finished: bool
    joint: NotRequired[bool]
    num_tasks: int
    task_names: list[str]
    mean_during_accuracy: float | None
    mean_final_accuracy: float | None
    worst_final_accuracy: float | None
    forgetting: float | None
    backward_transfer: float | None
    forward_transfer: float | None
    during_accuracy: Scores
    final_accuracy: Scores
    initial_accuracy: Scores
    initial_loss: Scores
    accuracy: list[Scores]
    """Row i: after learning task i, on every task."""
    loss: list[Scores]
    """Null, like the accuracy, where a task was not there yet; see `clrnn_tf.extension`."""
    loss_unit: NotRequired[str]
    """Of the loss, in words: `nats`, `mean squared error`, ..."""
    further: NotRequired[dict[str, list[Scores]]]
    """As `accuracy`, for metrics that an output kind adds."""
    initial_further: NotRequired[dict[str, Scores]]
    num_parameters: float
    num_main_network_weights: float
    num_table_parameters: NotRequired[float]
    table_bytes: NotRequired[float]
    """Of the tables that n-grams are embedded by, of all tasks; not among the parameters above."""
    compression_ratio: NotRequired[float]
    separate_networks_bytes: NotRequired[float]
    benchmark: str
    method: str
    seed: int
    data_source: str
    data: NotRequired[dict[str, object]]
    """Facts about the data: `fingerprint`, `licence`, `coverage`, and `classes`, the names of each task's own."""
    class_names: NotRequired[list[str]]
    """Where all tasks have the same."""
    kept_bytes: NotRequired[list[dict[str, int]]]
    """After each task, in bytes by purpose."""
    task_inference: NotRequired[InferenceResults]
    versions: dict[str, str]
    timing: Timing


def checked_results(results: object) -> Results:
    """`results`, as read from a file, if every entry that a run writes is there, and every one is of its type.

    Raises:
      ValueError: Something is missing or of another kind.
    """
    if not isinstance(results, dict):
        raise ValueError("no entries by name")
    missing = [name for name in _required(Results) if name not in results]
    if missing:
        raise ValueError(f"without {', '.join(missing)}")
    for name, hint in typing.get_type_hints(Results).items():
        if name in results and not _is_of(results[name], hint):
            raise ValueError(f"{name} is no number" if hint in (float, float | None) else f"{name} is of another kind")
    seconds = [task[name] for task in results["timing"]["tasks"] for name in ("train_seconds", "eval_seconds")]
    if not all(map(math.isfinite, seconds)):
        raise ValueError("timing does not hold the seconds of tasks")
    return typing.cast(Results, results)


def _is_of(value: object, hint: Any) -> bool:
    """Whether a value as JSON has it is of a type, all that it holds included."""
    inner = typing.get_args(hint)
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint)
        return (
            isinstance(value, dict)
            and value.keys() >= set(_required(hint))
            and all(_is_of(value[name], hints[name]) for name in value.keys() & hints.keys())
        )
    if typing.get_origin(hint) is list:
        return isinstance(value, list) and all(_is_of(item, inner[0]) for item in value)
    if typing.get_origin(hint) is dict:
        return isinstance(value, dict) and all(_is_of(item, inner[1]) for item in value.values())
    if inner:  # one of several types
        return any(_is_of(value, each) for each in inner)
    if hint in (int, float):
        return is_number(value) and (hint is float or isinstance(value, int))
    return isinstance(value, hint)


def is_number(value: object) -> bool:
    """Whether a value as JSON has it is a number that fits into a float."""
    return type(value) is float or (type(value) is int and abs(value) <= _MOST)


def _required(entries: type) -> list[str]:
    """Names that a typed dictionary must have.

    `__required_keys__` does not know, as the types of this file are read as text.
    """
    hints = typing.get_type_hints(entries, include_extras=True)
    return [name for name, hint in hints.items() if typing.get_origin(hint) is not NotRequired]


def scores_of(matrix: ResultMatrix) -> dict[str, object]:
    """The entries of `results.json` that hold scores."""
    results: dict[str, object] = {
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
        "loss_unit": matrix.loss_unit,
    }
    for name in matrix.further_metrics:
        results[f"during_{name}"] = matrix.during(name).tolist()
        results[f"final_{name}"] = matrix.final(name).tolist()
    further = {name: matrix.scores(name).tolist() for name in matrix.initial[0].further}
    if further:  # what is read back; the others follow from the confusion matrices
        results["further"] = further
        results["initial_further"] = {name: [score.further[name] for score in matrix.initial] for name in further}
    return results


def confusions_of(matrix: ResultMatrix) -> dict[str, np.ndarray]:
    """The arrays of `confusion.npz`: `row-1` before training, `row0` after the first task; [K, C, C] each."""
    arrays = {}
    for number, row in [(-1, matrix.initial), *enumerate(matrix.rows)]:
        confusions = [evaluation.confusion for evaluation in row if evaluation.confusion is not None]
        if confusions:
            arrays[f"row{number}"] = np.stack(confusions)
    return arrays


def matrix_of(results: Results, confusions: Mapping[str, np.ndarray]) -> ResultMatrix:
    """The scores, read back from the two files."""

    def row(number: int, losses: Scores, accuracies: Scores) -> list[Evaluation]:
        stored = confusions.get(f"row{number}")
        counts: Sequence[np.ndarray | None] = [None] * len(losses) if stored is None else list(stored)
        if number < 0:
            further = results.get("initial_further", {})
        else:
            further = {name: rows[number] for name, rows in results.get("further", {}).items()}
        return [
            Evaluation(
                _or_nan(loss),
                _or_nan(accuracy),
                confusion,
                {name: _or_nan(scores[k]) for name, scores in further.items()},
            )
            for k, (loss, accuracy, confusion) in enumerate(zip(losses, accuracies, counts, strict=True))
        ]

    return ResultMatrix(
        task_names=tuple(results["task_names"]),
        initial=row(-1, results["initial_loss"], results["initial_accuracy"]),
        rows=[
            row(number, losses, accuracies)
            for number, (losses, accuracies) in enumerate(zip(results["loss"], results["accuracy"], strict=True))
        ],
        joint=results.get("joint", False),
        loss_unit=results.get("loss_unit", "nats" if confusions else ""),  # older results of numbers do not say it
    )


def further_means(results: Results) -> dict[str, float | None]:
    """Mean final score of every metric besides loss and accuracy, by its name."""
    prefix = "mean_final_"
    return {
        key.removeprefix(prefix): value if isinstance(value, float) else None
        for key, value in results.items()
        if key.startswith(prefix) and key != "mean_final_accuracy"
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
