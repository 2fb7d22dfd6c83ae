"""From words to a network's inputs in TensorFlow operations alone, so that an exported graph takes words.

What the splits of `data_pipelines.tagging_splits` compute when data are read is computed here in a graph. The vectors
of the most frequent words are stored in it. Words must have composed letters (Unicode's NFC): a graph cannot compose
them, see `data_pipelines.word_vectors.composed_form`.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from data_pipelines.word_vectors import UNKNOWN, WordVectors

MOST_WORDS = 50_000
"""Vectors that are stored, those of the most frequent words; 3 MB for 64 dimensions of a byte each."""
_LARGEST_FLOAT16 = 65_000.0


class VectorLookup(tf.Module):
    """Frozen word vectors by the published rule, in a graph.

    The form; else the form with its digits as #; else the most frequent of its lower, upper and title case; else 0:
    see `WordVectors.row`. A graph knows no title case. So the rows of a word's three cases are compared here, in
    Python, and the graph finds the best of them under the word in small letters. This is the same but for a few letters
    without a way back from capitals (i with and without its dot, the capital sharp s).

    Args:
      vectors: The frozen vectors, scaled and rotated as for training. They are stored as bytes where the file holds
        bytes and they are not rotated, else as float16 (float32, if a number is above 65,000).
      most: Words that are kept, the most frequent ones. The others are unknown.

    Example:
      >>> lookup = VectorLookup(WordVectors(["the", "##"], np.array([[1.0, 2.0], [3.0, 4.0]])))
      >>> lookup(tf.constant(["The", "42", "of"])).numpy().tolist()
      [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]
    """

    def __init__(self, vectors: WordVectors, most: int = MOST_WORDS) -> None:
        super().__init__()
        require(most > 0, f"most must be above 0 words. Received: {most}.")
        rows = vectors.rows(most)
        numbers, step = _compact(vectors.table[: most + 1], vectors.step)
        with tf.device("CPU:0"):
            self._table = tf.Variable(numbers, trainable=False, name="word_vectors")
            self._step = None if step is None else tf.Variable(step, trainable=False, name="word_vectors_step")
            self._rows, self._rows_of_cases = _hash_table(rows), _hash_table(_best_cases(rows))

    def __call__(self, words: tf.Tensor) -> tf.Tensor:
        """Words [...] as vectors [..., D] float32; those that are unknown or empty are 0."""
        with tf.device("CPU:0"):
            rows = self._rows.lookup(words)
            with_signs = tf.strings.regex_replace(words, _DIGIT, "#")
            rows = tf.where(rows == UNKNOWN, self._rows.lookup(with_signs), rows)
            small = tf.strings.lower(words, encoding="utf-8")
            rows = tf.where(rows == UNKNOWN, self._rows_of_cases.lookup(small), rows)
            vectors = tf.cast(tf.gather(self._table, rows), tf.float32)
        return vectors if self._step is None else vectors * self._step


class WordEncoder(tf.Module):
    """Words as the inputs of a network, [B, T, F] or [B, T, G] or [B, T, F + G] as `Batch.inputs`.

    Args:
      vectors: Gives F numbers for a word; None where words have no vectors.
      spelling: Gives a word's buckets [..., G] int32, or its vector [..., F] float32, from its letters; None where
        vectors are all.

    Example:
      >>> from data_pipelines.letters import letter_buckets
      >>> encoder = WordEncoder(None, lambda words: letter_buckets(words, num_buckets=100))
      >>> encoder(tf.constant([["Das", "ist", "gut"], ["Ja", "", ""]])).shape
      TensorShape([2, 3, 23])
    """

    def __init__(self, vectors: VectorLookup | None, spelling: Callable[[tf.Tensor], tf.Tensor] | None) -> None:
        super().__init__()
        require(vectors is not None or spelling is not None, "words need vectors or letters. Received: neither.")
        self._vectors, self._spelling = vectors, spelling

    def __call__(self, words: tf.Tensor) -> tf.Tensor:
        """Inputs of words [B, T]; "" is padding, whose inputs are 0."""
        inputs = [part(words) for part in (self._vectors, self._spelling) if part is not None]
        return inputs[0] if len(inputs) == 1 else tf.concat([tf.cast(part, tf.float32) for part in inputs], axis=-1)


def _compact(table: np.ndarray, step: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A table [N + 1, D] as few bytes: numbers of one or two bytes, and what to multiply each dimension by."""
    if step is not None:
        multiples = np.divide(table, step, out=np.zeros_like(table), where=step != 0)
        return np.rint(multiples).astype(np.int8), step
    return table.astype(np.float16 if np.abs(table).max() < _LARGEST_FLOAT16 else np.float32), None


def _best_cases(rows: Mapping[str, int]) -> dict[str, int]:
    """The row of the most frequent of a word's lower, upper and title case, by the word in small letters."""
    best: dict[str, int] = {}
    for word in rows:
        small = word.lower()
        if small not in best:
            found = [rows[case] for case in (small, word.upper(), word.title()) if case in rows]
            if found:
                best[small] = min(found)
    return best


def _hash_table(rows: Mapping[str, int]) -> tf.lookup.StaticHashTable:
    values = tf.constant(list(rows.values()), tf.int32)
    initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(list(rows), tf.string), values)
    return tf.lookup.StaticHashTable(initializer, UNKNOWN)


def _digit_class() -> str:
    r"""A pattern of the characters that `str.isdigit` knows: \p{Nd}, and superscripts, circled ones, ..."""
    codes = [
        code for code in range(sys.maxunicode + 1) if chr(code).isdigit() and unicodedata.category(chr(code)) != "Nd"
    ]
    starts = [codes[0], *(after for before, after in pairwise(codes) if after > before + 1)]
    ends = [*(before for before, after in pairwise(codes) if after > before + 1), codes[-1]]
    return r"[\p{Nd}" + "".join(rf"\x{{{a:x}}}-\x{{{b:x}}}" for a, b in zip(starts, ends, strict=True)) + "]"


_DIGIT = _digit_class()
