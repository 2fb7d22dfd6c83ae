"""Hashed character n-grams of words, in TensorFlow operations alone so that an exported graph can hold them."""

from __future__ import annotations

import tensorflow as tf

LONGEST = 4
NUM_NGRAMS = 1 + 2 * LONGEST
"""G: the word itself, and its prefixes and suffixes of 1 to 4 characters."""


def ngram_buckets(forms: tf.Tensor, num_buckets: int) -> tf.Tensor:
    """Buckets of the character n-grams of word forms.

    Digits count as #. A prefix, a suffix and a whole word of the same letters fall into buckets of their own.

    Args:
      forms: String tensor [...]; an empty string is padding.
      num_buckets: Bucket ids are in [1, num_buckets); padding has 0 everywhere.

    Returns:
      [..., G] int32. Words shorter than an n-gram give that n-gram as the whole word.
    """
    forms = tf.strings.regex_replace(forms, r"\p{Nd}", "#")
    lengths = tf.strings.length(forms, unit="UTF8_CHAR")
    grams = [tf.strings.join(["=", forms])]
    for size in range(1, LONGEST + 1):
        prefix = tf.strings.substr(forms, tf.zeros_like(lengths), tf.fill(tf.shape(lengths), size), unit="UTF8_CHAR")
        start = tf.maximum(lengths - size, 0)
        suffix = tf.strings.substr(forms, start, tf.fill(tf.shape(lengths), size), unit="UTF8_CHAR")
        grams += [tf.strings.join([f"{size}<", prefix]), tf.strings.join([f"{size}>", suffix])]
    hashed = 1 + tf.strings.to_hash_bucket_fast(tf.stack(grams, axis=-1), num_buckets - 1)
    present = tf.cast(lengths > 0, tf.int64)[..., tf.newaxis]
    return tf.cast(hashed * present, tf.int32)
