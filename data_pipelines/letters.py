"""What the letters of a word say: hashed features, in TensorFlow operations alone so that an exported graph holds them.

A word becomes G bucket numbers, 0 where a feature is absent:

    the word itself, in small letters and with its digits as #
    its shape (`Xx`, `X`, `xd`, `d.d`: runs of capitals, small letters, digits and other signs)
    its first character's class, together with the word's length
    its prefixes and suffixes of 1 to 5 letters
    its trigrams, at most 10, with ^ and $ for its beginning and end
"""

from __future__ import annotations

import tensorflow as tf

LONGEST_AFFIX = 5
NUM_TRIGRAMS = 10
NUM_FEATURES = 3 + 2 * LONGEST_AFFIX + NUM_TRIGRAMS
"""G: buckets of a word."""
_LONGEST_SHAPE = 8
_LONGEST_LENGTH = 9


def letter_buckets(forms: tf.Tensor, num_buckets: int) -> tf.Tensor:
    """Buckets of the letter features of word forms.

    Args:
      forms: String tensor [...]; an empty string is padding.
      num_buckets: Bucket numbers are in [1, num_buckets); padding and absent features have 0.

    Returns:
      [..., G] int32.
    """
    small = tf.strings.regex_replace(tf.strings.lower(forms, encoding="utf-8"), r"\p{Nd}", "#")
    lengths = tf.strings.length(small, unit="UTF8_CHAR")
    present = [lengths > 0] * 3
    features = [tf.strings.join(["=", small]), tf.strings.join(["S", _shape(forms)]), _start_and_length(forms, lengths)]
    for size in range(1, LONGEST_AFFIX + 1):
        prefix = _substring(small, tf.zeros_like(lengths), size)
        suffix = _substring(small, tf.maximum(lengths - size, 0), size)
        features += [tf.strings.join([f"{size}<", prefix]), tf.strings.join([f"{size}>", suffix])]
        present += [lengths >= size] * 2
    framed = tf.strings.join(["^", small, "$"])
    for start in range(NUM_TRIGRAMS):
        is_there = start < lengths  # a framed word of n + 2 characters has n trigrams
        first = tf.where(is_there, start, 0)
        features.append(tf.strings.join(["t", _substring(framed, first, 3)]))
        present.append(tf.logical_and(is_there, lengths > 0))
    hashed = 1 + tf.strings.to_hash_bucket_fast(tf.stack(features, axis=-1), num_buckets - 1)
    return tf.cast(hashed, tf.int32) * tf.cast(tf.stack(present, axis=-1), tf.int32)


def _shape(forms: tf.Tensor) -> tf.Tensor:
    """Runs of capitals as X, of other letters as x, of digits as d; other signs as they are, runs as one; cut to 8."""
    for pattern, sign in ((r"\p{Lu}+", "\x01"), (r"[\p{L}\p{M}]+", "\x02"), (r"\p{Nd}+", "\x03")):
        forms = tf.strings.regex_replace(forms, pattern, sign)
    for sign, letter in (("\x01", "X"), ("\x02", "x"), ("\x03", "d")):
        forms = tf.strings.regex_replace(forms, sign, letter)
    return _substring(forms, tf.zeros(tf.shape(forms), tf.int32), _LONGEST_SHAPE)


def _start_and_length(forms: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Class of the first character (capital X, digit d, else x) and the word's length, at most 9."""
    is_capital = tf.strings.regex_full_match(forms, r"\p{Lu}(?s:.)*")
    is_digit = tf.strings.regex_full_match(forms, r"\p{Nd}(?s:.)*")
    start = tf.where(is_capital, "X", tf.where(is_digit, "d", "x"))
    return tf.strings.join(["C", start, tf.strings.as_string(tf.minimum(lengths, _LONGEST_LENGTH))])


def _substring(text: tf.Tensor, start: tf.Tensor, size: int) -> tf.Tensor:
    """Up to `size` characters from position `start`; both positions are at most the length."""
    return tf.strings.substr(text, start, tf.fill(tf.shape(start), size), unit="UTF8_CHAR")
