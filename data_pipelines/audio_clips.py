"""Clips of sound as frames of features, with their classes and their division into training and test clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.array_files import in_one_line, read_arrays

NUM_FRAMES, NUM_FEATURES = 10, 128
"""Frames of a clip (one a second), and features of a frame."""
_ARRAYS = ("x", "y", "train_idx", "test_idx", "meta")
_TEST_SHARE = 0.2


class AudioClips(NamedTuple):
    """Clips of several classes."""

    features: np.ndarray
    """[N, 10, 128] uint8."""
    labels: np.ndarray
    """[N] int32: number of the class."""
    train: np.ndarray
    """Indices of the training clips."""
    test: np.ndarray
    """Indices of the test clips."""
    class_names: tuple[str, ...]


def read_npz(path: Path) -> AudioClips:
    """Read `x` [N, 10, 128] uint8, `y` [N], `train_idx`, `test_idx` and `meta` (JSON with `class_names`).

    Raises:
      ConfigurationError: An array is missing or damaged; the message names the file and the clip.
    """
    try:
        arrays = read_arrays(path, _ARRAYS)
        features, labels, train, test, meta = (arrays[name] for name in _ARRAYS)
        names = tuple(map(str, json.loads(meta.tobytes())["class_names"]))
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} must hold {', '.join(_ARRAYS)}. Received: {error}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: meta must be JSON. Received: {in_one_line(error)}.") from None
    _check_features(features, f"{path}, x")
    _check_labels(labels, len(features), len(names), f"{path}, y")
    for name, indices in (("train_idx", train), ("test_idx", test)):
        _check_indices(indices, len(features), f"{path}, {name}")
    both = np.intersect1d(train, test)
    require(len(both) == 0, f"{path}: no clip may be in train_idx and test_idx. Received: clip {both[:1]} in both.")
    clips = AudioClips(features.astype(np.uint8), labels.astype(np.int32), train, test, names)
    check_classes(clips, str(path))
    return clips


def write_npz(path: Path, clips: AudioClips) -> None:
    """Write what `read_npz` reads."""
    meta = np.frombuffer(json.dumps({"class_names": clips.class_names}).encode(), np.uint8)
    arrays: dict[str, Any] = dict(zip(_ARRAYS, (*clips[:4], meta), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


def divided(labels: np.ndarray, num_classes: int, seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and test clips: of each class at most `most` clips in random order, the last fifth for tests.

    Args:
      labels: [N]; -1 for clips of no class.
      num_classes: C.
      seed: Of the order.
      most: Published: 1,000, of which 800 are for training.
    """
    rng = np.random.RandomState(seed)
    train, test = [], []
    for label in range(num_classes):
        chosen = rng.permutation(np.flatnonzero(labels == label))[:most]
        num_test = round(_TEST_SHARE * len(chosen))
        train.append(chosen[: len(chosen) - num_test])
        test.append(chosen[len(chosen) - num_test :])
    return np.concatenate(train), np.concatenate(test)


def limited(clips: AudioClips, per_class: int, where: str) -> AudioClips:
    """Clips with `per_class` of each class, a fifth of them for tests.

    Raises:
      ConfigurationError: A class has fewer; the message names it.
    """
    num_test = round(_TEST_SHARE * per_class)
    parts = []
    for indices, number, part in ((clips.train, per_class - num_test, "training"), (clips.test, num_test, "test")):
        labels = clips.labels[indices]
        counts = np.bincount(labels, minlength=len(clips.class_names))
        least = int(np.argmin(counts))
        require(
            counts[least] >= number,
            f"{where}: data.clips_per_class {per_class} takes {number} {part} clips of each class. Received: "
            f"{counts[least]} of class {least} ({clips.class_names[least]}).",
        )
        parts.append(np.concatenate([indices[labels == label][:number] for label in range(len(counts))]))
    return clips._replace(train=parts[0], test=parts[1])


def check_classes(clips: AudioClips, where: str, advice: str = "") -> None:
    """Refuse clips of which a class has none for training or for tests.

    Raises:
      ConfigurationError: There is such a class; the message names it.
    """
    for indices, part in ((clips.train, "training"), (clips.test, "test")):
        counts = np.bincount(clips.labels[indices], minlength=len(clips.class_names))
        empty = int(np.argmin(counts))
        require(
            counts[empty] > 0,
            f"{where}: every class needs {part} clips. Received: none of class {empty} "
            f"({clips.class_names[empty]}).{advice}",
        )


def _check_features(features: np.ndarray, where: str) -> None:
    require(
        features.ndim == 3 and features.shape[1:] == (NUM_FRAMES, NUM_FEATURES) and features.dtype.kind in "iuf",
        f"{where}: clips must be [N, {NUM_FRAMES}, {NUM_FEATURES}] numbers. Received: {features.dtype} of shape "
        f"{features.shape}.",
    )
    if features.dtype == np.uint8:
        return
    good = ((features >= 0) & (features <= 255)).all(axis=(1, 2))  # not so of NaN
    require(
        bool(good.all()),
        f"{where}, clip {int(np.argmin(good))}: features must be in [0, 255]. Received: another value.",
    )


def _check_labels(labels: np.ndarray, num_clips: int, num_classes: int, where: str) -> None:
    require(
        labels.shape == (num_clips,) and labels.dtype.kind in "iu",
        f"{where}: there must be a label for each of {num_clips} clips. Received: {labels.dtype} of shape "
        f"{labels.shape}.",
    )
    good = (labels >= 0) & (labels < num_classes)
    clip = int(np.argmin(good))
    require(
        bool(good.all()),
        f"{where}, clip {clip}: labels must be in [0, {num_classes - 1}], the classes of meta. "
        f"Received: {labels[clip]}.",
    )


def _check_indices(indices: np.ndarray, num_clips: int, where: str) -> None:
    require(
        indices.ndim == 1 and indices.dtype.kind in "iu" and len(np.unique(indices)) == len(indices) > 0,
        f"{where}: indices must be [n] whole numbers that differ. Received: {indices.dtype} of shape {indices.shape}.",
    )
    require(
        int(indices.min()) >= 0 and int(indices.max()) < num_clips,
        f"{where}: indices must be in [0, {num_clips - 1}]. Received: {indices.min()} to {indices.max()}.",
    )
