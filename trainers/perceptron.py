"""The perceptron beside our networks: UDPipe 1, trained and tested on the same sentences as the taggers.

UDPipe 1 (Straka & Straková, "Tokenizing, POS tagging, lemmatizing and parsing UD 2.0 with UDPipe", CoNLL 2017) tags by
an averaged perceptron over words, their affixes and the tags before them. It has no word vectors, and one model for
each language. A run of tagging shows its figures with ``--compare-with FILE``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import clrnn_tf
from clrnn_tf.config import updated
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.comparisons import perceptron_results
from clrnn_tf.recording.run_directory import as_json, differences, write_text
from data_pipelines import pos_tagging
from data_pipelines.conllu_files import UPOS, Limits, Sentence, read_sentences
from data_pipelines.storage import find_data_dir, fingerprint
from data_pipelines.treebanks import Selected, Treebank
from data_pipelines.vector_tables import vector_files
from data_pipelines.word_vectors import UNKNOWN, WordVectors, read_vectors
from trainers.flags import Flag, flags_of, read, refuse_unknown, words_of
from trainers.help import print_flags
from trainers.run import guarded
from trainers.streams import closed_stderr

_DATA = ("languages", "num_tasks", "vectors", "vectors_dir", "max_tokens", "max_sentences", "max_sentence_words")
"""Settings of tagging's data that say something about words and tags, and not about what a network is given."""
_TAGGER = (
    "models=1;templates_1=tagger;iterations_1={};guesser_suffix_rules_1=10;guesser_enrich_dictionary_1=6;"
    "use_lemma_1=0;use_xpostag_1=0;use_feats_1=0;provide_lemma_1=0;provide_xpostag_1=0;provide_feats_1=0"
)
"""Universal tags alone, and the rules that guess the tags of unknown words by suffixes."""
_ROW = "{:<10} {:>13} {:>12} {:>14} {:>9} {:>9}"


@dataclass(frozen=True)
class Options:
    """What is trained, and where its figures are written."""

    help: bool = False
    """Show this text."""
    data_dir: Path | None = None
    """Directory of data; else $CLRNN_DATA_DIR, else the embedded treebank."""
    out: Path = Path("runs/perceptron.json")
    """File to write; it is complete after every language."""
    iterations: int = 10
    """Passes over the training sentences."""
    resume: bool = False
    """Keep the languages in --out whose data are the same, and train the others."""
    overwrite: bool = False
    """Replace --out."""

    def __post_init__(self) -> None:
        require(self.iterations > 0, f"iterations must be above 0. Received: {self.iterations}.")


class Accuracy(NamedTuple):
    """Words of test sentences that are tagged right, in percent."""

    test_words: int
    accuracy: float
    test_words_with_vector: int | None
    """Words that a network with word vectors is scored on; None without vectors."""
    accuracy_with_vector: float | None


class Tagger:
    """A perceptron that tags words with universal tags.

    Args:
      model: As `train` returns it.
    """

    def __init__(self, model: bytes) -> None:
        self._udpipe = _udpipe()
        with tempfile.TemporaryDirectory() as folder:  # UDPipe loads files only
            path = Path(folder) / "tagger.udpipe"
            path.write_bytes(model)
            self._model = self._udpipe.Model.load(str(path))

    def tag(self, forms: Sequence[str]) -> list[str]:
        """The universal tag of each word of a sentence."""
        sentence, failure = self._udpipe.Sentence(), self._udpipe.ProcessingError()
        for form in forms:
            sentence.addWord(form)
        self._model.tag(sentence, self._model.DEFAULT, failure)
        require(not failure.occurred(), f"UDPipe cannot tag {' '.join(forms)[:80]!r}: {failure.message}.")
        return [sentence.words[number].upostag for number in range(1, len(forms) + 1)]  # word 0 is the root


def train(sentences: Sequence[Sentence], iterations: int = 10) -> bytes:
    """Train a tagger; the bytes of its model, which are equal for equal sentences.

    Raises:
      ConfigurationError: `ufal.udpipe` is not installed, or UDPipe refuses the sentences.
    """
    udpipe = _udpipe()
    failure, prepared = udpipe.ProcessingError(), udpipe.Sentences()
    for words in sentences:
        sentence = udpipe.Sentence()
        for word in words:
            sentence.addWord(word.form).upostag = UPOS[word.upos]
        prepared.push_back(sentence)
    with closed_stderr(), _stopped_at_once():
        model = udpipe.Trainer.train(
            "morphodita_parsito", prepared, udpipe.Sentences(), "none", _TAGGER.format(iterations), "none", failure
        )
    require(not failure.occurred(), f"UDPipe cannot train on these sentences: {' '.join(failure.message.split())}")
    return model


def score(tagger: Tagger, sentences: Sequence[Sentence], vectors: WordVectors | None = None) -> Accuracy:
    """Accuracy on all words, and on those that have a vector."""
    row = lru_cache(maxsize=None)(vectors.row) if vectors is not None else None
    right: list[bool] = []
    right_with_vector: list[bool] = []
    for words in sentences:
        for word, tag in zip(words, tagger.tag([word.form for word in words]), strict=True):
            right.append(tag == UPOS[word.upos])
            if row is not None and row(word.form) != UNKNOWN:
                right_with_vector.append(right[-1])
    if row is None:
        return Accuracy(len(right), _percent(right), None, None)
    with_vector = _percent(right_with_vector) if right_with_vector else None
    return Accuracy(len(right), _percent(right), len(right_with_vector), with_vector)


def main(arguments: Sequence[str] | None = None, program: str = "python -m trainers.perceptron") -> int:
    """Run the command line and return the exit code."""
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments), program))


def _run(arguments: list[str], program: str) -> int:
    options_flags = flags_of(Options)
    data_flags = [flag for flag in flags_of(pos_tagging.Config, "data") if flag.path[-1] in _DATA]
    values, unknown = read(words_of(arguments), [*options_flags, *data_flags])
    refuse_unknown(unknown, [*options_flags, *data_flags])
    of_data: Any = values.pop("data", {})
    options, config = updated(Options(), values), updated(pos_tagging.Config(), of_data, "data")
    if options.help:
        _print_help(program, {"Run": (options_flags, options), "Data": (data_flags, config)})
        return 0
    _udpipe()  # before data are read
    results = Results(options, config)
    data_dir = find_data_dir(options.data_dir)
    selected = pos_tagging.select(config, pos_tagging.STARTER if data_dir is None else data_dir)
    languages = tuple(dict.fromkeys(chosen.treebank.language for chosen in selected))
    files = vector_files(() if config.vectors == "none" else languages, config.vectors_dir, data_dir)
    print(_ROW.format("language", "words trained", "accuracy, %", "with vector, %", "seconds", "model kB"), flush=True)
    for chosen in selected:
        _print_row(results.of(chosen, files.get(chosen.treebank.language)))
    print(f"mean of {len(results.entries)}: {_text(results.mean('accuracy')).strip()} %; results in {options.out}")
    return 0


class Results:
    """The figures of each language, in a file that is complete after every one.

    Args:
      options: Where the file is, and whether one that is there is continued or replaced.
      config: Limits of the data.

    Raises:
      ConfigurationError: There is a file that may not be replaced, or one of other settings.
    """

    def __init__(self, options: Options, config: pos_tagging.Config) -> None:
        limits = {name: getattr(config, name) for name in Limits._fields}
        self.iterations, self.limits = options.iterations, Limits(**limits)
        self.path = options.out
        self.facts = {
            "benchmark": "pos_tagging",
            "method": "perceptron",
            "settings": {"tagger": _TAGGER.format(options.iterations), **limits},
            "versions": {"clrnn_tf": clrnn_tf.__version__, "ufal.udpipe": importlib.metadata.version("ufal.udpipe")},
        }
        self.entries: dict[str, dict[str, Any]] = {}
        if options.resume:
            self.entries = self._stored()
        elif self.path.exists():
            require(
                options.overwrite,
                f"{self.path} exists already. Continue it with --resume, choose another file with --out, or replace "
                "it with --overwrite.",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def of(self, chosen: Selected, vectors: Path | None) -> dict[str, Any]:
        """The figures of a language: those in the file if its data are the same, else of a tagger trained now."""
        read = [*chosen.treebank.train, *chosen.treebank.test, *([vectors] if vectors else [])]
        mark = fingerprint(read)
        stored = self.entries.get(chosen.task_name)
        if stored is not None and stored["fingerprint"] == mark:
            return stored
        entry = {"task": chosen.task_name, "treebank": chosen.treebank.name, "fingerprint": mark}
        self.entries[chosen.task_name] = entry | self._learned(chosen.treebank, vectors)
        means = {name: self.mean(name) for name in ("accuracy", "accuracy_with_vector")}
        named = {f"mean_{name}": value for name, value in means.items()}
        write_text(self.path, as_json({**self.facts, **named, "tasks": list(self.entries.values())}, indent=1))
        return self.entries[chosen.task_name]

    def mean(self, name: str) -> float | None:
        """The mean of an accuracy over the languages; None where one of them has none."""
        values = [entry[name] for entry in self.entries.values()]
        return None if None in values else sum(values) / len(values)

    def _learned(self, treebank: Treebank, vectors: Path | None) -> dict[str, Any]:
        sentences = read_sentences(treebank.train, self.limits)
        began = time.perf_counter()
        model = train(sentences, self.iterations)
        seconds = time.perf_counter() - began
        table = read_vectors(vectors) if vectors else None
        accuracy = score(Tagger(model), read_sentences(treebank.test, self.limits), table)
        return {
            "train_words": sum(map(len, sentences)),
            **accuracy._asdict(),
            "seconds": round(seconds, 1),
            "model_bytes": len(model),
        }

    def _stored(self) -> dict[str, dict[str, Any]]:
        require(self.path.is_file(), f"--resume needs --out with the file to continue. Received: {self.path}.")
        stored = perceptron_results(self.path)
        changed = differences({name: stored.get(name) for name in self.facts}, self.facts)
        told = ", ".join(f"{name} (stored {old!r}, now {new!r})" for name, (old, new) in changed.items())
        require(not changed, f"{self.path} has other settings: {told}. Choose another --out, or --overwrite.")
        return {entry["task"]: entry for entry in stored["tasks"]}


def _udpipe() -> ModuleType:
    try:
        return importlib.import_module("ufal.udpipe")
    except ImportError:
        raise ConfigurationError(
            "the perceptron needs the package ufal.udpipe: pip install 'clrnn_tf[perceptron]'."
        ) from None


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """An interrupt ends the process, because Python does not see it before the training in C++ is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _print_row(entry: Mapping[str, Any]) -> None:
    shown = (_text(entry[name]) for name in ("accuracy", "accuracy_with_vector"))
    size, seconds = f"{entry['model_bytes'] / 1000:,.0f}", f"{entry['seconds']:,.0f}"
    print(_ROW.format(entry["task"], f"{entry['train_words']:,}", *shown, seconds, size), flush=True)


def _print_help(program: str, sections: Mapping[str, tuple[Sequence[Flag], object]]) -> None:
    print((__doc__ or "").partition("\n")[0])
    print(f"\n  {program} --data-dir DIR --out perceptron.json")
    print(f"  {program} --data.languages de fi          # of the embedded treebank")
    for title, (flags, values) in sections.items():
        print_flags(title, flags, values)


def _percent(right: Sequence[bool]) -> float:
    return 100 * sum(right) / len(right)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
