"""Splits of tagged sentences: how words come in, by vectors, letters or both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Batch
from data_pipelines.char_ngrams import ngram_buckets, ngram_vectors
from data_pipelines.conllu_files import BLANK_FORMS, Sentence
from data_pipelines.letters import letter_buckets
from data_pipelines.storage import warn
from data_pipelines.treebanks import WITHHELD
from data_pipelines.word_vectors import UNKNOWN, WordVectors, composed_form

LENGTH_BUCKETS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256)
"""Words to which batches are padded."""
_MANY_BLANKS = 0.05  # share of words written `_` that is warned of


def check_text(sentences: list[Sentence], place: str) -> None:
    """Refuse a split whose words are withheld, and warn where many of them are.

    Args:
      sentences: Those of the split.
      place: Where they come from, for the message.
    """
    forms = _forms(sentences)
    share = sum(map(forms.count, BLANK_FORMS)) / len(forms)
    require(share <= WITHHELD, f"{share:.0%} of the words of {place} are written '_': the text is withheld. Get it.")
    if share > _MANY_BLANKS:
        warn(f"{share:.0%} of the words of {place} are written '_': a part of its text is withheld.")


def rows_of(sentences: list[Sentence], vectors: WordVectors) -> np.ndarray:
    """Rows of the table of vectors, one sentence after another: int64 [words]."""
    forms = _forms(sentences)
    rows = {form: vectors.row(form) for form in set(forms)}
    return np.fromiter(map(rows.__getitem__, forms), np.int64, len(forms))


def coverage_of(rows: np.ndarray, split: str, name: str) -> float:
    """The share of words that have a vector."""
    share = 1 - int(np.count_nonzero(rows == UNKNOWN)) / len(rows)
    require(
        share > 0,
        f"no word of the {split} split of '{name}' has a vector. Are these vectors of its language? Else use character "
        "n-grams with data.vectors none.",
    )
    return round(share, 4)


def vector_split(
    sentences: list[Sentence], rows: np.ndarray, vectors: WordVectors, drop: bool, place: str
) -> ArraySplit:
    """Words as vectors, [B, T, D]. Those without one are not scored, or with `drop` their sentences left out.

    Args:
      sentences: Those of the split.
      rows: Their `rows_of`.
      vectors: The table.
      drop: Whether sentences with an unknown word are left out.
      place: Where they come from, for the message.
    """
    if drop:
        rows_by_sentence = np.split(rows, np.cumsum(_lengths(sentences))[:-1])
        kept = [number for number, of_sentence in enumerate(rows_by_sentence) if UNKNOWN not in of_sentence]
        require(bool(kept), f"every sentence of {place} has a word without a vector. Use data.unknown_words mask.")
        sentences = [sentences[number] for number in kept]
        rows = np.concatenate([rows_by_sentence[number] for number in kept])
    used, indices = np.unique(np.concatenate([[UNKNOWN], rows]), return_inverse=True)
    with tf.device("CPU:0"):
        table = tf.constant(vectors.table[used])  # only rows of this split; row 0 stays the unknown word

    def embed(words: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(table, words), mask * tf.cast(words != UNKNOWN, tf.float32)

    return _split(sentences, indices[1:], embed)


def ngram_split(sentences: list[Sentence], num_buckets: int) -> ArraySplit:
    """Words as buckets of character n-grams, [B, T, G] int32."""
    forms, indices = _numbered_forms(sentences)
    with tf.device("CPU:0"):
        table = ngram_buckets(tf.constant(forms), num_buckets)  # [V, G]; the empty form is first

    def embed(words: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(table, words), mask

    return _split(sentences, indices, embed)


def frozen_ngram_split(sentences: list[Sentence], num_buckets: int, width: int) -> ArraySplit:
    """Words as fixed vectors made of their letters, [B, T, D]."""
    forms, indices = _numbered_forms(sentences)
    with tf.device("CPU:0"):
        table = ngram_vectors(tf.constant(forms), num_buckets, width)  # [V, D]

    def embed(words: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(table, words), mask

    longest = max(map(len, sentences))
    max_time = next((bucket for bucket in LENGTH_BUCKETS if bucket >= longest), longest)
    return _split(sentences, indices, embed, max_time)


def letter_split(sentences: list[Sentence], vectors: WordVectors | None, num_buckets: int) -> ArraySplit:
    """Words as vectors, 0 where there is none, followed by the buckets of their letters: [B, T, D + G] float32.

    Without vectors they are the buckets alone, [B, T, G] int32. All words are scored.
    """
    forms, indices = _numbered_forms(sentences)
    with tf.device("CPU:0"):
        table = letter_buckets(tf.constant(forms), num_buckets)  # [V, G]; the empty form is first
        if vectors is not None:
            known = vectors.table[[UNKNOWN, *map(vectors.row, forms[1:])]]
            table = tf.concat([known, tf.cast(table, tf.float32)], axis=1)

    def embed(words: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(table, words), mask

    return _split(sentences, indices, embed)


def _forms(sentences: list[Sentence]) -> list[str]:
    return [word.form for sentence in sentences for word in sentence]


def _lengths(sentences: list[Sentence]) -> np.ndarray:
    return np.array([len(sentence) for sentence in sentences], np.int32)


def _numbered_forms(sentences: list[Sentence]) -> tuple[list[str], np.ndarray]:
    """All forms, the empty one first, and the number of each word's form, one sentence after another."""
    forms = _forms(sentences)
    composed = {form: composed_form(form) for form in set(forms)}
    forms = list(map(composed.__getitem__, forms))
    # not np.unique: NumPy's strings have the width of the longest one
    numbers = {form: number for number, form in enumerate(dict.fromkeys(["", *forms]))}
    return list(numbers), np.fromiter(map(numbers.__getitem__, forms), np.int32, len(forms))


def _split(
    sentences: list[Sentence],
    words: np.ndarray,
    embed: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    max_time: int | None = None,
) -> ArraySplit:
    """A split of sentences whose words are given as rows of a table, one after another.

    Sentences are padded to `max_time`, by default the longest one: languages of one length share compiled programs.
    """
    lengths = _lengths(sentences)
    present = np.arange(max_time or lengths.max()) < lengths[:, np.newaxis]  # [N, T]
    padded_words, padded_tags = np.zeros(present.shape, np.int32), np.zeros(present.shape, np.uint8)
    padded_words[present] = words
    padded_tags[present] = [word.upos for sentence in sentences for word in sentence]

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        mask = tf.sequence_mask(fields["lengths"], tf.shape(fields["words"])[1], tf.float32)
        inputs, scored = embed(fields["words"], mask)
        return Batch(inputs, tf.cast(fields["tags"], tf.int32), mask, scored, fields["lengths"], tf.constant(0))

    arrays: dict[str, np.ndarray] = {"words": padded_words, "tags": padded_tags, "lengths": lengths}
    return ArraySplit(arrays, make_batch, LENGTH_BUCKETS)
