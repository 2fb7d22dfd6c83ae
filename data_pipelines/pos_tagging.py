"""Part-of-speech tagging, one language per task, on Universal Dependencies treebanks (Ehret et al. 2021).

A task tags every word of a sentence with one of the 17 universal tags. Words come in as frozen vectors where there is
a vectors file for the language, else as hashed character n-grams: a table of each task embeds them, or with `ngrams =
frozen` they have fixed random vectors. Without a data directory, the project's own starter treebank is used.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clrnn_tf.errors import require
from clrnn_tf.ranges import Settings
from clrnn_tf.streams.splits import ArraySplit
from clrnn_tf.streams.tasks import Task, TaskStream
from data_pipelines.conllu_files import UPOS, Limits
from data_pipelines.describe import main
from data_pipelines.storage import fingerprint, warn
from data_pipelines.tagging_inputs import ngram_inputs, num_features, word_encoders
from data_pipelines.tagging_splits import (
    check_text,
    coverage_of,
    frozen_ngram_split,
    letter_split,
    ngram_split,
    rows_of,
    vector_split,
)
from data_pipelines.tfds_datasets import fetch
from data_pipelines.tfds_treebanks import DATASET, release, tfds_treebanks
from data_pipelines.treebank_licences import licences_in_words
from data_pipelines.treebanks import Selected, SplitName, find_treebanks, select_treebanks
from data_pipelines.vector_tables import VectorTables, vector_files

PAPER_ORDER = (
    "en",
    "ar",
    "cs",
    "da",
    "de",
    "es",
    "fi",
    "fr",
    "he",
    "hi",
    "hr",
    "id",
    "it",
    "lt",
    "nl",
    "no",
    "pl",
    "pt",
    "sl",
    "sv",
)
STARTER = Path(__file__).parent / "starter_treebank"
_LOW_COVERAGE = 0.5  # share of words with a vector that is warned of


@dataclass(frozen=True)
class Config(Settings):
    """Which languages, how words come in, and how much of the data."""

    section = "data"
    languages: tuple[str, ...] = ()
    """Languages in the order in which they are learned; empty takes all found (of TFDS, those of the paper). `cs` is
    the largest Czech treebank, `cs_pdt` that one."""
    source: Literal["files", "tfds"] = "files"
    """`files`: --data-dir, else the embedded treebank; `tfds` (or `--source tfds`): TensorFlow Datasets."""
    num_tasks: int | None = None
    """Only this many languages, the first ones."""
    vectors: Literal["auto", "none"] = "auto"
    """`auto`: vectors where a file is found, else character n-grams; `none`: n-grams."""
    vectors_dir: Path | None = None
    """Directory with a vectors file for each language (names in docs/commands.md); by default `wordvec` in the data, or
    with `letters` `wordvec128` where it is there."""
    vector_norm: float | None = None
    """Scale the vectors of each language to this median length; `None` leaves them as they are in the file."""
    align_vectors: bool = False
    """Rotate the vectors of each language onto those of the first, by the words that they share (orthogonal
    Procrustes)."""
    unknown_words: Literal["mask", "drop_sentence"] = "mask"
    """Words without a vector: `mask` trains on them but does not score them; `drop_sentence` drops their sentences,
    as published."""
    max_tokens: int = 300_000
    """Sentences are taken in order up to this many words."""
    max_sentences: int | None = None
    """At most this many sentences of each split."""
    max_sentence_words: int = 1000
    """Longer sentences are cut into pieces of this many words, with a warning."""
    length_pool: int = 0
    """Batches hold sentences of similar length: those of this many batches are sorted together; 0 mixes all lengths."""
    ngrams: Literal["trained", "frozen"] = "trained"
    """`trained` embeds character n-grams by a table of each task; `frozen` gives each a fixed random vector."""
    letters: bool = False
    """Words are their vectors *and* their letters, embedded by a trainable table; those without a vector are scored."""
    tables: Literal["per_task", "shared"] = "per_task"
    """Letters are embedded by a table of each task, which cannot forget, or by one of all, which EWC and SI hold."""
    table_bytes: Literal[4, 1] = 4
    """Bytes of a number in tables of learned tasks; 1 rounds them."""
    num_buckets: int = 4096
    """Buckets into which n-grams are hashed: rows of each task's table, or fixed vectors."""
    ngram_dim: int = 32
    """Width of the n-gram embedding, or of the fixed vectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_tasks", "max_sentences"):
            value = getattr(self, name)
            require(value is None or value > 0, f"data.{name} must be above 0, or None. Received: {value}.")
        require(
            self.vector_norm is None or self.vector_norm > 0,
            f"data.vector_norm must be above 0, or None. Received: {self.vector_norm}.",
        )
        require(self.length_pool >= 0, f"data.length_pool must be at least 0. Received: {self.length_pool}.")
        for name in ("max_tokens", "max_sentence_words", "ngram_dim"):
            require(getattr(self, name) > 0, f"data.{name} must be above 0. Received: {getattr(self, name)}.")
        require(
            self.table_bytes == 4 or self.tables == "per_task",
            "data.table_bytes 1 rounds tables of learned tasks. Received: data.tables shared as well.",
        )
        require(self.num_buckets > 1, f"data.num_buckets must be above 1. Received: {self.num_buckets}.")
        require(
            not self.letters or (self.ngrams == "trained" and self.unknown_words == "mask"),
            "data.letters scores all words by trained letters. Received: data.ngrams frozen or data.unknown_words "
            "drop_sentence as well; leave them out.",
        )
        repeated = {language for language in self.languages if self.languages.count(language) > 1}
        require(not repeated, f"data.languages must differ. Received twice: {', '.join(sorted(repeated))}.")


def quick(config: Config) -> Config:
    """A small version: two languages, few sentences."""
    return dataclasses.replace(config, num_tasks=min(config.num_tasks or 2, 2), max_sentences=200)


def make_stream(config: Config, data_dir: Path | None = None) -> TaskStream:
    """One task per language.

    Facts about the data: `coverage`, the share of words that have a vector, by task and split (with vectors only),
    `fingerprint` of the files that were read, and `licence`.

    Args:
      config: The settings.
      data_dir: See `find_treebanks`; None takes the starter treebank of the project.

    Raises:
      ConfigurationError: A language, file or vectors file is missing or malformed, or no word has a vector.
    """
    selected = select(config, data_dir)
    languages = tuple(dict.fromkeys(chosen.treebank.language for chosen in selected))
    wanted = () if config.vectors == "none" else languages
    files = vector_files(wanted, config.vectors_dir, data_dir, config.letters)
    tables = VectorTables(files, config.align_vectors, config.vector_norm)
    coverage: dict[str, dict[str, float]] = {}
    tasks = tuple(_task(task_id, chosen, tables, config, coverage) for task_id, chosen in enumerate(selected))
    texts = [path for chosen in selected for split in chosen.treebank.splits for path in chosen.treebank.files(split)]
    return TaskStream(
        name="pos_tagging",
        tasks=tasks,
        num_features=num_features(config, tables.width),
        num_outputs=len(UPOS),
        outputs="softmax",
        data_source=_source_in_words(config, data_dir, selected, files),
        class_names=UPOS,
        ngrams=ngram_inputs(config, tables.width),
        input_model=None,  # nothing in a generated sequence of word vectors would say where the sentence ends
        data_facts={
            **({"coverage": coverage} if files else {}),
            "fingerprint": fingerprint([*texts, *files.values()]),
            "licence": _licence(config, data_dir, selected),
        },
        word_encoder=word_encoders([chosen.treebank.language for chosen in selected], files, config),
    )


def select(config: Config, data_dir: Path | None) -> list[Selected]:
    """The treebanks that the settings name, in the order in which they are learned."""
    if config.source == "tfds":
        names = (config.languages or PAPER_ORDER)[: config.num_tasks]
        return select_treebanks(tfds_treebanks(), names, f"{DATASET} of TensorFlow Datasets")
    root = STARTER if data_dir is None else data_dir
    treebanks = find_treebanks(root)
    if config.languages:
        return select_treebanks(treebanks, config.languages[: config.num_tasks], root)
    languages = {treebank.language for treebank in treebanks}
    known = [language for language in PAPER_ORDER if language in languages]
    ordered = (*known, *sorted(languages - set(known)))
    return select_treebanks(treebanks, ordered, root, at_most=config.num_tasks, passes_over=True)


def download(config: Config) -> None:
    """Fetch and prepare the treebanks that `source = tfds` reads, after saying what is fetched.

    Raises:
      ConfigurationError: The settings name another source, or there is no network.
    """
    require(
        config.source == "tfds",
        f"--download fetches what --source tfds reads. Received: data.source {config.source}.",
    )
    downloads = {treebank.prefix: treebank.download for treebank in tfds_treebanks()}
    fetch(downloads[chosen.treebank.prefix] for chosen in select(config, None))


def _licence(config: Config, data_dir: Path | None, selected: Sequence[Selected]) -> str:
    if config.source == "tfds":
        return "that of each treebank, named in its README at Universal Dependencies; word vectors have their own"
    if data_dir is None:
        return "CC BY 4.0"
    directories = {chosen.treebank.name: chosen.treebank.files("train")[0].parent for chosen in selected}
    return f"{licences_in_words(directories)}; word vectors have their own"


def _source_in_words(
    config: Config, data_dir: Path | None, selected: Sequence[Selected], files: dict[str, Path]
) -> str:
    ngrams = "hashed character n-grams" + (" with fixed random vectors" if config.ngrams == "frozen" else "")
    words = "word vectors " + next(iter(files.values())).parent.name if files else "" if config.letters else ngrams
    words += (" and " if words else "") + "hashed features of letters" if config.letters else ""
    words += f", aligned to {selected[0].treebank.language}" if config.align_vectors else ""
    if data_dir is None and config.source == "files":
        return f"starter treebank of this project, {len(selected)} languages, {words}"
    names = ", ".join(chosen.treebank.name for chosen in selected)
    others = ", ".join(treebank.name for chosen in selected for treebank in chosen.passed_over)
    where = f" of TensorFlow Datasets, {release()}" if config.source == "tfds" else ""
    return f"Universal Dependencies treebanks {names}{f' (passed over: {others})' if others else ''}{where}; {words}"


def _task(
    task_id: int, chosen: Selected, tables: VectorTables, config: Config, coverage: dict[str, dict[str, float]]
) -> Task:
    """A task; the coverage of its splits is entered in `coverage`."""
    name, treebank = chosen.task_name, chosen.treebank
    vectors = tables.of(treebank.language)
    limits = Limits(config.max_tokens, config.max_sentences, config.max_sentence_words)
    shares: dict[str, float] = {}

    def split_of(split: SplitName, name_of_split: str) -> ArraySplit:
        sentences, place = treebank.sentences(split, limits), treebank.place(split)
        check_text(sentences, place)
        if vectors is not None:
            rows = rows_of(sentences, vectors)
            if config.letters:
                made = letter_split(sentences, vectors, config.num_buckets)
            else:
                made = vector_split(sentences, rows, vectors, config.unknown_words == "drop_sentence", place)
            shares[name_of_split] = coverage_of(rows, name_of_split, name)
            return made
        if config.letters:
            return letter_split(sentences, None, config.num_buckets)
        if config.ngrams == "frozen":
            return frozen_ngram_split(sentences, config.num_buckets, config.ngram_dim)
        return ngram_split(sentences, config.num_buckets)

    train = split_of("train", "train").with_length_pool(config.length_pool)
    test = split_of("test", "test")
    validation = split_of("dev", "validation") if "dev" in treebank.splits else None
    if vectors is not None:
        coverage[name] = shares
        if min(shares.values()) < _LOW_COVERAGE:
            listed = ", ".join(f"{share:.0%} ({split})" for split, share in shares.items())
            warn(f"few words of '{name}' have a vector: {listed}.")
    return Task(task_id, name, train, test, validation)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
