"""Part-of-speech tagging, one language a task, on Universal Dependencies treebanks (Ehret et al. 2021).

A task tags every word of a sentence with one of the 17 universal tags. Words come in as frozen vectors where there is
a vectors file for the language, else as hashed character n-grams that a table of each task embeds. Without a data
directory, the project's own starter treebank is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.sources import ArraySource
from clrnn_tf.tasks import Batch, NgramInputs, Task, TaskStream
from data_pipelines.char_ngrams import NUM_NGRAMS, ngram_buckets
from data_pipelines.conllu_files import UPOS, Sentence, Treebank, find_treebanks, read_sentences, select_languages
from data_pipelines.word_vectors import UNKNOWN, WordVectors, find_vectors, read_vectors

PAPER_ORDER = (
    "en", "ar", "cs", "da", "de", "es", "fi", "fr", "he", "hi", "hr", "id", "it", "lt", "nl", "no", "pl", "pt", "sl",
    "sv",
)  # fmt: skip
STARTER = Path(__file__).parent / "starter_treebank"
LENGTH_BUCKETS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256)


@dataclass(frozen=True)
class Config:
    """Which languages, how words come in, and how much of the data."""

    languages: tuple[str, ...] = ()
    """Language codes in the order in which they are learned; empty takes all that are found, in the paper's order."""
    num_tasks: int | None = None
    """Only the first so many languages."""
    vectors: Literal["auto", "none"] = "auto"
    """`auto`: vectors where a file is found, else character n-grams; `none`: n-grams."""
    vectors_dir: Path | None = None
    """Directory with `xx.npz`, `xx.vec`, `xx.vec.gz` or `xx.pkl` per language; default: `wordvec` in the data."""
    vector_norm: float | None = None
    """Scale the vectors of each language to this median length; `None` leaves them as they are in the file."""
    align_vectors: bool = False
    """Rotate the vectors of each language so that the words it shares with the first one lie near theirs (orthogonal
    Procrustes). Vectors made for each language alone have no directions in common."""
    unknown_words: Literal["mask", "drop_sentence"] = "mask"
    """Words without a vector: `mask` trains on them but does not score them; `drop_sentence` drops their sentences,
    as published."""
    max_tokens: int = 300_000
    """Sentences of a split are taken in file order until this many words."""
    max_sentences: int | None = None
    """At most so many sentences of each split."""
    num_buckets: int = 4096
    """Rows of each task's table of n-grams."""
    ngram_dim: int = 32
    """Width of the n-gram embedding."""

    def __post_init__(self) -> None:
        for name in ("num_tasks", "max_sentences"):
            value = getattr(self, name)
            require(value is None or value > 0, f"data.{name} must be above 0, or None. Received: {value}.")
        require(
            self.vector_norm is None or self.vector_norm > 0,
            f"data.vector_norm must be above 0, or None. Received: {self.vector_norm}.",
        )
        for name in ("max_tokens", "ngram_dim"):
            require(getattr(self, name) > 0, f"data.{name} must be above 0. Received: {getattr(self, name)}.")
        require(self.num_buckets > 1, f"data.num_buckets must be above 1. Received: {self.num_buckets}.")
        repeated = {language for language in self.languages if self.languages.count(language) > 1}
        require(not repeated, f"data.languages must differ. Received twice: {', '.join(sorted(repeated))}.")


def quick(config: Config) -> Config:
    """A small version: two languages, few sentences."""
    return dataclasses.replace(config, num_tasks=min(config.num_tasks or 2, 2), max_sentences=200)


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """One task a language.

    Args:
      config: The settings.
      data_dir: See `find_treebanks`; None takes the starter treebank of the project.

    Raises:
      ConfigurationError: A language, file or vectors file is missing or malformed.
    """
    root = STARTER if data_dir is None else data_dir
    treebanks = find_treebanks(root)
    languages = (config.languages or _in_paper_order(treebanks))[: config.num_tasks]
    selected = select_languages(treebanks, languages, root)
    files = _vector_files(config, data_dir, languages)
    tables = _tables(config, files)
    tasks = tuple(
        _task(task_id, treebank, tables.get(treebank.language), config) for task_id, treebank in enumerate(selected)
    )
    return TaskStream(
        name="pos_tagging",
        tasks=tasks,
        num_features=next((table.width for table in tables.values()), config.ngram_dim),
        num_outputs=len(UPOS),
        outputs="softmax",
        data_source=_source_in_words(data_dir, selected, files, config.align_vectors),
        class_names=UPOS,
        ngrams=None if tables else NgramInputs(config.num_buckets, NUM_NGRAMS),
        input_model=None,  # nothing in a generated sequence of word vectors would say where the sentence ends
    )


def _in_paper_order(treebanks: dict[str, Treebank]) -> tuple[str, ...]:
    known = [language for language in PAPER_ORDER if language in treebanks]
    return (*known, *sorted(set(treebanks) - set(known)))


def _vector_files(config: Config, data_dir: Path | None, languages: Sequence[str]) -> dict[str, Path]:
    """A vectors file for every language, or for none: words come in one way."""
    directory = config.vectors_dir or (data_dir / "wordvec" if data_dir else None)
    if config.vectors_dir is not None:
        require(config.vectors_dir.is_dir(), f"no such directory: data.vectors_dir {config.vectors_dir}.")
    if config.vectors == "none" or directory is None:
        return {}
    files = {language: path for language in languages if (path := find_vectors(directory, language))}
    missing = [language for language in languages if language not in files]
    require(
        not missing or (not files and config.vectors_dir is None),
        f"no word vectors of {', '.join(missing)} in {directory}. Add the files, choose other data.languages, or use "
        "character n-grams for all with data.vectors none.",
    )
    return files


def _tables(config: Config, files: dict[str, Path]) -> dict[str, WordVectors]:
    """The vectors of each language, aligned and scaled as the settings say."""
    tables = {language: read_vectors(path) for language, path in files.items()}
    require(
        len({table.width for table in tables.values()}) < 2,
        "word vectors of all languages must have one width. Received: "
        + ", ".join(f"{files[language]} with {table.width}" for language, table in tables.items()) + ".",
    )  # fmt: skip
    if config.align_vectors:
        _align(tables)
    if config.vector_norm is not None:
        for table in tables.values():
            table.scale_to(config.vector_norm)
    return tables


def _align(tables: dict[str, WordVectors]) -> None:
    """Rotate the tables of all languages onto that of the first."""
    require(bool(tables), "data.align_vectors needs word vectors. Received: none; words come in as character n-grams.")
    (first, reference), *others = tables.items()
    for language, table in others:
        common = table.align_to(reference)
        require(
            common >= table.width,
            f"data.align_vectors needs at least {table.width} words, the width of the vectors, that {language} has in "
            f"common with {first}. Received: {common}.",
        )


def _source_in_words(
    data_dir: Path | None, treebanks: Sequence[Treebank], files: dict[str, Path], aligned: bool
) -> str:
    words = "word vectors " + next(iter(files.values())).parent.name if files else "hashed character n-grams"
    words += f", aligned to {treebanks[0].language}" if aligned else ""
    if data_dir is None:
        return f"starter treebank of this project, {len(treebanks)} languages, {words}"
    names = ", ".join(treebank.name for treebank in treebanks)
    return f"Universal Dependencies treebanks {names}; {words}"


def _task(task_id: int, treebank: Treebank, vectors: WordVectors | None, config: Config) -> Task:
    def source(path: Path) -> ArraySource:
        sentences = _limited(read_sentences(path), config)
        if vectors is None:
            return _ngram_source(sentences, config.num_buckets)
        return _vector_source(sentences, vectors, config.unknown_words == "drop_sentence", path)

    validation = None if treebank.dev is None else source(treebank.dev)
    return Task(task_id, treebank.language, source(treebank.train), source(treebank.test), validation)


def _limited(sentences: list[Sentence], config: Config) -> list[Sentence]:
    kept, tokens = [], 0
    for sentence in sentences[: config.max_sentences]:
        if tokens >= config.max_tokens:
            break
        kept.append(sentence)
        tokens += len(sentence)
    return kept


def _vector_source(sentences: list[Sentence], vectors: WordVectors, drop: bool, path: Path) -> ArraySource:
    rows = [[vectors.row(word.form) for word in sentence] for sentence in sentences]
    if drop:
        kept = [number for number, row in enumerate(rows) if UNKNOWN not in row]
        require(bool(kept), f"every sentence of {path} has a word without a vector. Use data.unknown_words mask.")
        sentences, rows = [sentences[number] for number in kept], [rows[number] for number in kept]
    used, indices = np.unique([UNKNOWN, *(row for sentence in rows for row in sentence)], return_inverse=True)
    with tf.device("CPU:0"):
        table = tf.constant(vectors.table[used])  # only rows of this split; row 0 stays the unknown word

    def embed(words: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(table, words), mask * tf.cast(words != UNKNOWN, tf.float32)

    return _source(sentences, indices[1:], embed)


def _ngram_source(sentences: list[Sentence], num_buckets: int) -> ArraySource:
    forms, indices = np.unique(["", *(word.form for sentence in sentences for word in sentence)], return_inverse=True)
    with tf.device("CPU:0"):
        table = ngram_buckets(tf.constant(forms.tolist()), num_buckets)  # [V, G]; the empty form is first

    def embed(words: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(table, words), mask

    return _source(sentences, indices[1:], embed)


def _source(
    sentences: list[Sentence],
    words: np.ndarray,
    embed: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
) -> ArraySource:
    """A source of sentences whose words are given as rows of a table, one after another."""
    lengths = np.array([len(sentence) for sentence in sentences], np.int32)
    present = np.arange(lengths.max()) < lengths[:, np.newaxis]  # [N, T]
    padded_words, padded_tags = np.zeros(present.shape, np.int32), np.zeros(present.shape, np.int32)
    padded_words[present] = words
    padded_tags[present] = [word.upos for sentence in sentences for word in sentence]

    def make_batch(fields: dict[str, tf.Tensor]) -> Batch:
        mask = tf.sequence_mask(fields["lengths"], tf.shape(fields["words"])[1], tf.float32)
        inputs, scored = embed(fields["words"], mask)
        return Batch(inputs, fields["tags"], mask, scored, fields["lengths"], tf.constant(0))

    arrays = {"words": padded_words, "tags": padded_tags, "lengths": lengths}
    return ArraySource(arrays, make_batch, LENGTH_BUCKETS)
