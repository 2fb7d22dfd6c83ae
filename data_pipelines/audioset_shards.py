"""AudioSet's TFRecord shards: clips as `SequenceExample`s, read and parsed in parallel by tf.data.

A record holds `labels` (int64) and `video_id`, and for each second of sound a string of 128 bytes in `audio_embedding`.
Shards are read twice: first only the labels, from which the classes follow; then the features of the clips that are
used. So memory holds no other features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.audio_clips import NUM_FEATURES, NUM_FRAMES, AudioClips, check_classes, divided
from data_pipelines.audioset_classes import classes_of_clips, most_frequent, read_candidates

_BATCH = 128
_OPEN_FILES = 16
_ERRORS = (tf.errors.DataLossError, tf.errors.InvalidArgumentError)


class Labels(NamedTuple):
    """Labels of all clips, and where the clips are."""

    places: np.ndarray
    """[N, 2] shard and record of each clip, in ascending order."""
    complete: np.ndarray
    """[N] bool: whether it has ten frames."""
    rows: np.ndarray
    """[L] clip of each label."""
    labels: np.ndarray
    """[L]."""


def find_shards(directory: Path) -> list[Path]:
    """The shards below a directory, in the order of their paths."""
    return sorted(path for path in directory.rglob("*.tfrecord") if path.is_file())


def read_shards(directory: Path, num_classes: int, most: int, seed: int) -> AudioClips:
    """The clips of the most frequent classes.

    Args:
      directory: With the shards, in any folders below, and the files of `data_pipelines.audioset_classes`.
      num_classes: Published: 100.
      most: Clips of a class; published: 1,000.
      seed: Of the choice of these clips, and of the test clips among them.

    Raises:
      ConfigurationError: A file is missing or damaged, or classes have too few clips. The message names file and
        record.
    """
    paths = find_shards(directory)
    require(bool(paths), f"no .tfrecord files below {directory}. Name the directory that holds AudioSet's shards.")
    candidates = read_candidates(directory)
    found = read_labels(paths, candidates.num_labels)

    def classes_among(numbers: np.ndarray) -> np.ndarray:
        classes = classes_of_clips(found.rows, found.labels, numbers, len(found.places))
        return np.where(found.complete, classes, -1)

    chosen = most_frequent(classes_among(candidates.numbers), len(candidates.names), num_classes)
    classes = classes_among(candidates.numbers[chosen])
    train, test = divided(classes, num_classes, seed, most)
    used = np.sort(np.concatenate([train, test]))
    clips = AudioClips(
        read_features(paths, found.places[used]),
        classes[used].astype(np.int32),
        np.searchsorted(used, train),
        np.searchsorted(used, test),
        tuple(candidates.names[number] for number in chosen),
    )
    check_classes(clips, str(directory), " Get more shards, or take fewer classes (data.num_classes).")
    return clips


def read_labels(paths: Sequence[Path], num_labels: int) -> Labels:
    """The labels of all clips.

    Raises:
      ConfigurationError: A shard is damaged, or a label is not below `num_labels`.
    """

    def parse(place: tf.Tensor, records: tf.Tensor) -> tuple[tf.Tensor, ...]:
        labels, frames, counts = _parsed(records)
        real = tf.sequence_mask(counts, tf.shape(frames)[1])
        wrong = tf.reduce_any(real & (tf.strings.length(frames) != NUM_FEATURES), axis=1)
        return place, counts, wrong, labels.values, labels.row_lengths()

    places, counts, wrong, labels, per_clip = _gathered(_records(paths).map(parse, tf.data.AUTOTUNE), paths)
    rows = np.repeat(np.arange(len(places)), per_clip)
    _refuse(
        np.flatnonzero(wrong),
        places,
        paths,
        f"frames of audio_embedding must be {NUM_FEATURES} bytes, and others came.",
    )
    bad = np.flatnonzero((labels < 0) | (labels >= num_labels))
    _refuse(rows[bad], places, paths, f"labels must be in [0, {num_labels - 1}]. Received: {labels[bad][:1]}.")
    order = np.lexsort(places.T[::-1])
    of_clip = np.empty_like(order)
    of_clip[order] = np.arange(len(order))
    return Labels(places[order], counts[order] == NUM_FRAMES, of_clip[rows], labels)


def read_features(paths: Sequence[Path], places: np.ndarray) -> np.ndarray:
    """Features [N, 10, 128] uint8 of the clips at `places` [N, 2], which ascend."""
    per_shard = np.bincount(places[:, 0], minlength=len(paths))
    wanted = tf.RaggedTensor.from_row_lengths(places[:, 1], per_shard)

    def is_wanted(place: tf.Tensor, record: tf.Tensor) -> tf.Tensor:
        del record
        return tf.reduce_any(wanted[place[0]] == place[1])

    def parse(place: tf.Tensor, records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        _, frames, _ = _parsed(records)
        return place, tf.io.decode_raw(frames[:, :NUM_FRAMES], tf.uint8, fixed_length=NUM_FEATURES)

    found, features = _gathered(_records(paths, is_wanted).map(parse, tf.data.AUTOTUNE), paths)
    return features[np.lexsort(found.T[::-1])]


def _records(paths: Sequence[Path], is_wanted: Callable[..., tf.Tensor] | None = None) -> tf.data.Dataset:
    """Batches of (shard and record [B, 2], serialised clips [B]); shards are read several at a time."""

    def of_shard(number: tf.Tensor, path: tf.Tensor) -> tf.data.Dataset:
        numbered = tf.data.TFRecordDataset(path).enumerate()
        return numbered.map(lambda record, clip: (tf.stack([number, record]), clip))

    shards = tf.data.Dataset.from_tensor_slices([str(path) for path in paths]).enumerate()
    records = shards.interleave(of_shard, cycle_length=_OPEN_FILES, num_parallel_calls=tf.data.AUTOTUNE)
    return (records.filter(is_wanted) if is_wanted else records).batch(_BATCH)


def _parsed(records: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
    """Labels, frames [B, T] as strings, and their numbers [B]."""
    context, sequences, lengths = tf.io.parse_sequence_example(
        records,
        context_features={"labels": tf.io.RaggedFeature(tf.int64)},
        sequence_features={"audio_embedding": tf.io.FixedLenSequenceFeature([], tf.string)},
    )
    return context["labels"], sequences["audio_embedding"], lengths["audio_embedding"]


def _gathered(batches: tf.data.Dataset, paths: Sequence[Path]) -> list[np.ndarray]:
    """The fields of all batches, one after another."""
    try:
        parts = list(batches.as_numpy_iterator())
    except _ERRORS as error:
        raise ConfigurationError(_damage(paths, error)) from None
    require(bool(parts), f"there is no clip in {paths[0]} and {len(paths) - 1} other shards.")
    return [np.concatenate(field) for field in zip(*parts, strict=True)]


def _damage(paths: Sequence[Path], error: Exception) -> str:
    """Which record of which shard cannot be read: found by reading one by one."""
    for path in paths:
        number = 0
        try:
            for record in tf.data.TFRecordDataset(str(path)):
                _parsed(record[tf.newaxis])
                number += 1
        except tf.errors.DataLossError:
            return f"{path}, record {number}: the shard is damaged or cut off. Get it again."
        except tf.errors.InvalidArgumentError:
            return f"{path}, record {number}: a SequenceExample with labels and audio_embedding was wanted."
    return f"shards cannot be read: {' '.join(str(error).split())[:200]}"


def _refuse(clips: np.ndarray, places: np.ndarray, paths: Sequence[Path], message: str) -> None:
    """Raise `ConfigurationError` with file and record of the first of the clips, if there are any."""
    if len(clips):
        shard, record = places[clips[0]]
        raise ConfigurationError(f"{paths[shard]}, record {record}: {message}")
