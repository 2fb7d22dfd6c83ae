"""Which classes of AudioSet are used, and which clips show one of them (Kemker et al. 2018; Ehret et al. 2021).

Candidates are the leaves of the ontology that carry no restriction and whose labels were found right in at least 70 %
of the checks. A clip counts where exactly one of its labels is a candidate. The 100 candidates with the most clips are
taken, and clips are then those with exactly one label among these 100. Classes are numbered in the ontology's order.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require

FILES = ("ontology.json", "class_labels_indices.csv", "confidence_data.csv")
_LEAST_QUALITY = 70.0  # percent


class Candidates(NamedTuple):
    """Classes that can be used, in the order of the ontology."""

    numbers: np.ndarray
    """[C] number of each class in the labels of clips."""
    names: tuple[str, ...]
    num_labels: int
    """Classes of AudioSet: labels of clips are below."""


def read_candidates(directory: Path) -> Candidates:
    """Read the candidates from `ontology.json`, `class_labels_indices.csv` and `confidence_data.csv`.

    Raises:
      ConfigurationError: A file is missing or damaged.
    """
    for name in FILES:
        require((directory / name).is_file(), f"{directory} has no {name}, which comes with AudioSet. Put it there.")
    numbers = _label_numbers(directory / FILES[1])
    quality = _label_quality(directory / FILES[2])
    try:
        entries = json.loads((directory / FILES[0]).read_text(encoding="utf-8"))
        chosen = [
            (numbers[entry["id"]], str(entry["name"]))
            for entry in entries
            if not entry["restrictions"]
            and not entry["child_ids"]
            and quality.get(entry["name"], 0.0) >= _LEAST_QUALITY
            and entry["id"] in numbers
        ]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigurationError(f"{directory / FILES[0]} is no ontology of AudioSet ({error!r}).") from None
    require(bool(chosen), f"{directory} names no class that can be used.")
    return Candidates(np.array([number for number, _ in chosen]), tuple(name for _, name in chosen), len(numbers))


def classes_of_clips(rows: np.ndarray, labels: np.ndarray, numbers: np.ndarray, num_clips: int) -> np.ndarray:
    """The class of each clip that has exactly one label among `numbers`, as an index into them, else -1; [N].

    Args:
      rows: [L] clip of each label.
      labels: [L].
      numbers: [C] labels of the classes.
      num_clips: N.

    Example: of three clips, the first has one of the classes 7 and 9, the second has both, the third has none.
      >>> import numpy as np
      >>> rows, labels = np.array([0, 0, 1, 1, 2]), np.array([9, 4, 7, 9, 4])
      >>> classes_of_clips(rows, labels, np.array([7, 9]), num_clips=3).tolist()
      [1, -1, -1]
    """
    order = np.argsort(numbers)
    places = np.minimum(np.searchsorted(numbers, labels, sorter=order), len(numbers) - 1)
    classes = order[places]
    known = numbers[classes] == labels
    counts = np.bincount(rows[known], minlength=num_clips)
    found = np.full(num_clips, -1)
    found[rows[known]] = classes[known]
    return np.where(counts == 1, found, -1)


def most_frequent(classes: np.ndarray, num_candidates: int, num_classes: int) -> np.ndarray:
    """The `num_classes` candidates with the most clips, in ascending order; of equal ones the first.

    Args:
      classes: [N] candidate of each clip, or -1.
      num_candidates: C.
      num_classes: How many are wanted.

    Raises:
      ConfigurationError: Fewer have any clips.
    """
    counts = np.bincount(classes[classes >= 0], minlength=num_candidates)
    found = int(np.sum(counts > 0))
    require(
        found >= num_classes,
        f"data.num_classes must be at most {found}, the classes that have clips. Received: {num_classes}.",
    )
    return np.sort(np.argsort(-counts, kind="stable")[:num_classes])


def _label_numbers(path: Path) -> dict[str, int]:
    """Number of each class by its id."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["mid"]: int(row["index"]) for row in csv.DictReader(file)}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path} must have the columns index and mid. Received: {error!r}.") from None


def _label_quality(path: Path) -> dict[str, float]:
    """Percent of right labels by the name of the class; those that were not checked are left out."""
    quality = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except ValueError:
        raise ConfigurationError(f"{path} must be text in UTF-8.") from None
    for number, line in enumerate(lines, 1):
        name, _, rest = line.partition("\t")
        value = rest.partition("\t")[0]
        try:
            if value != "-":
                quality[name] = float(value.removesuffix("%"))
        except ValueError:
            raise ConfigurationError(
                f"{path}, line {number}: a name, a tab and percent are wanted. Received: {line[:60]!r}."
            ) from None
    return quality
