"""Hashed character n-grams of words, in TensorFlow operations alone so that an exported graph can hold them."""

from __future__ import annotations

import math

import tensorflow as tf

LONGEST = 4
NUM_NGRAMS = 1 + 2 * LONGEST
"""G: the word itself, and its prefixes and suffixes of 1 to 4 characters."""
_VECTORS_SEED = (0, 0)  # one table for all runs, so that an exported tagger takes the vectors of any of them


def ngram_buckets(forms: tf.Tensor, num_buckets: int) -> tf.Tensor:
    """Buckets of the character n-grams of word forms.

    Digits count as #. A prefix, a suffix and a whole word of the same letters are different n-grams.

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


def ngram_vectors(forms: tf.Tensor, num_buckets: int, width: int) -> tf.Tensor:
    """Fixed vectors of word forms, made of their letters: nothing in them is learned.

    Bucket b has a vector v_b of independent normal numbers, which depends on `num_buckets` and `width` alone. A word
    with the buckets b_1 ... b_G gets

        sum_g v_{b_g} / sqrt(G)                  (each entry has mean 0 and variance 1)

    so that words with the same prefixes or suffixes lie near one another, in any language. It is a random projection
    of the counts of n-grams (Johnson & Lindenstrauss 1984).

    Args:
      forms: String tensor [...]; an empty string is padding.
      num_buckets: See `ngram_buckets`.
      width: D, the width of the vectors.

    Returns:
      [..., D] float32; padding is 0.
    """
    table = tf.random.stateless_normal([num_buckets, width], _VECTORS_SEED, alg="philox")
    buckets = ngram_buckets(forms, num_buckets)
    vectors = tf.reduce_sum(tf.gather(table, buckets), axis=-2) / math.sqrt(NUM_NGRAMS)
    return tf.where(tf.strings.length(forms)[..., tf.newaxis] > 0, vectors, 0.0)
