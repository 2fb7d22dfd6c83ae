"""What is wrong with rows of a request, found in the graph: a bad row gets an error and spoils no other row."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from clrnn_tf.streams.inputs import NgramInputs

FINE = ""
"""The error of a row that has none."""
_MOST_NAMES = 20
_LONGEST_NAME = 60  # characters of what was typed that an error repeats
_BLANKS = {tf.string: "", tf.int32: -1, tf.float32: float("nan")}


def none(num_rows: tf.Tensor) -> tf.Tensor:
    """[B] string: no errors."""
    return tf.fill([num_rows], FINE)


def first_of(*errors: tf.Tensor) -> tf.Tensor:
    """[B] string: of each row, the first error that it has."""
    first = errors[0]
    for error in errors[1:]:
        first = tf.where(first != FINE, first, error)
    return first


def unknown_names(task_ids: tf.Tensor, names: tf.Tensor, known: Sequence[str]) -> tf.Tensor:
    """Rows whose task, a string [B], was not found: their id [B] is -1."""
    listed = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    received = tf.strings.substr(_as_text(names), 0, _LONGEST_NAME, unit="UTF8_CHAR")
    return tf.where(task_ids < 0, tf.strings.join(["unknown task '", received, f"'. Known: {listed}."]), FINE)


def unknown_ids(task_ids: tf.Tensor, num_tasks: int) -> tf.Tensor:
    """Rows whose task id [B] is none."""
    wanted = f"task_id must be in [0, {num_tasks}). Received: "
    received = tf.strings.join([wanted, tf.strings.as_string(task_ids), "."])
    return tf.where((task_ids < 0) | (task_ids >= num_tasks), received, FINE)


def wrong_lengths(lengths: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
    """Rows that are longer than the T steps of the inputs, or shorter than 0."""
    wanted = tf.strings.join(["lengths must be in [0, ", tf.strings.as_string(time), "], the steps of the inputs. "])
    received = tf.strings.join([wanted, "Received: ", tf.strings.as_string(lengths), "."])
    return tf.where((lengths < 0) | (lengths > time), received, FINE)


def wrong_inputs(inputs: tf.Tensor, lengths: tf.Tensor, ngrams: NgramInputs | None) -> tf.Tensor:
    """Rows of inputs [B, T, F] that hold, before their padding, what is no number or no bucket of a table."""
    real = tf.sequence_mask(lengths, tf.shape(inputs)[1])[..., tf.newaxis]
    errors = [none(tf.shape(inputs)[0])]
    if inputs.dtype.is_floating:
        errors.append(not_finite("inputs", tf.where(real, inputs, 0.0)))
    if ngrams is not None:
        buckets = inputs[..., ngrams.num_features :]
        is_wrong = tf.reduce_any(real & ((buckets < 0) | (buckets >= ngrams.num_buckets)), axis=[1, 2])
        errors.append(tf.where(is_wrong, f"buckets of n-grams must be in [0, {ngrams.num_buckets}).", FINE))
    return first_of(*errors)


def not_finite(name: str, values: tf.Tensor) -> tf.Tensor:
    """Rows of values [B, ...] that hold NaN or infinity."""
    is_wrong = tf.reduce_any(~tf.math.is_finite(values), axis=list(range(1, values.shape.rank)))
    return tf.where(is_wrong, f"{name} must be finite numbers. Received: NaN or infinity.", FINE)


def wrong_words(words: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Rows of words [B, T] with one, before their padding, that is not UTF-8."""
    words = tf.where(tf.sequence_mask(lengths, tf.shape(words)[1]), words, "")
    return tf.where(
        tf.reduce_any(_as_text(words) != words, axis=1), "words must be UTF-8. Received: other bytes.", FINE
    )


def without_bad_rows(outputs: dict[str, tf.Tensor], errors: tf.Tensor) -> dict[str, tf.Tensor]:
    """Outputs [B, ...] and the errors: NaN, -1 or "" in rows that have one, which nobody can take for an answer."""
    is_bad, blanked = errors != FINE, {}
    for name, value in outputs.items():
        of_row = tf.reshape(is_bad, [-1] + [1] * (value.shape.rank - 1))
        blanked[name] = tf.where(of_row, tf.constant(_BLANKS[value.dtype], value.dtype), value)
    return {**blanked, "error": errors}


def _as_text(strings: tf.Tensor) -> tf.Tensor:
    """Strings in UTF-8: what is not becomes the sign for it. A server cannot write other bytes as JSON."""
    return tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace")
