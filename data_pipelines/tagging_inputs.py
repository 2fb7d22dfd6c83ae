"""What a tagger's network reads of a word, by the settings: vectors, letters or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from clrnn_tf.streams.tasks import NgramInputs
from data_pipelines.char_ngrams import NUM_NGRAMS, ngram_buckets, ngram_vectors
from data_pipelines.letters import NUM_FEATURES, letter_buckets
from data_pipelines.vector_tables import VectorTables
from data_pipelines.word_encoder import VectorLookup, WordEncoder

if TYPE_CHECKING:
    from data_pipelines.pos_tagging import Config

_LETTERS_STD = 0.1  # of the tables that letters are embedded by


def word_encoders(languages: Sequence[str], files: dict[str, Path], config: Config) -> Callable[[int], WordEncoder]:
    """What turns words into the inputs of a task. Its vectors are read again then, so that they are not kept."""

    def encoder(task_id: int) -> WordEncoder:
        tables = VectorTables(files, config.align_vectors, config.vector_norm)
        if config.align_vectors:
            tables.of(languages[0])  # the others are rotated onto it
        vectors = tables.of(languages[task_id])
        return WordEncoder(None if vectors is None else VectorLookup(vectors), spelling_of(config, bool(files)))

    return encoder


def spelling_of(config: Config, has_vectors: bool) -> Callable[[tf.Tensor], tf.Tensor] | None:
    """What a word's letters give; None where its vector is all."""
    if config.letters:
        return partial(letter_buckets, num_buckets=config.num_buckets)
    if has_vectors:
        return None
    if config.ngrams == "frozen":
        return partial(ngram_vectors, num_buckets=config.num_buckets, width=config.ngram_dim)
    return partial(ngram_buckets, num_buckets=config.num_buckets)


def num_features(config: Config, width: int | None) -> int:
    """Width of the main network's inputs, for vectors of a width, or for none."""
    if config.letters:
        return (width or 0) + config.ngram_dim
    return width or config.ngram_dim


def ngram_inputs(config: Config, width: int | None) -> NgramInputs | None:
    """Which hashed features the inputs hold beside vectors of a width; None where they hold none."""
    if config.letters:
        inputs = NgramInputs(config.num_buckets, NUM_FEATURES, num_features=width or 0, initial_std=_LETTERS_STD)
    elif width or config.ngrams == "frozen":
        return None
    else:
        inputs = NgramInputs(config.num_buckets, NUM_NGRAMS)
    return dataclasses.replace(inputs, tables=config.tables, table_bytes=config.table_bytes)
