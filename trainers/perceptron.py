"""A perceptron (UDPipe 1) on the sentences of the taggers, to compare them with.

UDPipe 1 (Straka & Straková, "Tokenizing, POS tagging, lemmatizing and parsing UD 2.0 with UDPipe", CoNLL 2017) tags by
an averaged perceptron over words, their affixes and the tags before them. It has no word vectors, and one model for
each language. A run of tagging shows its figures with ``--compare-with FILE``.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clrnn_tf
from clrnn_tf.config import updated
from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import require
from clrnn_tf.recording.changes import differences
from clrnn_tf.recording.comparisons import perceptron_results
from clrnn_tf.recording.run_directory import as_json
from data_pipelines import pos_tagging
from data_pipelines.conllu_files import Limits
from data_pipelines.storage import find_data_dir, fingerprint
from data_pipelines.treebanks import Selected, TaggedText
from data_pipelines.vector_tables import vector_files
from data_pipelines.word_vectors import read_vectors
from trainers.failures import guarded
from trainers.flags import Flag, flags_of, read, refuse_unknown, words_of
from trainers.help import print_flags
from trainers.udpipe import Tagger, package, score, settings, train

_DATA = (
    "languages",
    "source",
    "num_tasks",
    "vectors",
    "vectors_dir",
    "max_tokens",
    "max_sentences",
    "max_sentence_words",
)
"""Settings of tagging's data that say something about words and tags, and not about what a network is given."""
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


def main(arguments: Sequence[str] | None = None, program: str = "python -m trainers.perceptron") -> int:
    """Run the command line and return the exit code."""
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments), program))


def _run(arguments: list[str], program: str) -> int:
    flags = _flags()
    values, unknown = read(words_of(arguments), [*flags["Run"], *flags["Data"]])
    refuse_unknown(unknown, [*flags["Run"], *flags["Data"]])
    of_data: Any = values.pop("data", {})
    options, config = updated(Options(), values), updated(pos_tagging.Config(), of_data, "data")
    if options.help:
        _print_help(program, {"Run": options, "Data": config})
        return 0
    package()  # before data are read
    _learn_all(Results(options, config), config, find_data_dir(options.data_dir))
    return 0


def _flags() -> dict[str, list[Flag]]:
    """The flags of this command, by the section of the help text."""
    data = [flag for flag in flags_of(pos_tagging.Config, "data") if flag.path[-1] in _DATA]
    return {"Run": flags_of(Options), "Data": data}


def _learn_all(results: Results, config: pos_tagging.Config, data_dir: Path | None) -> None:
    """Learn language by language, and print a row of the table for each."""
    selected = pos_tagging.select(config, data_dir)
    languages = tuple(dict.fromkeys(chosen.treebank.language for chosen in selected))
    files = vector_files(() if config.vectors == "none" else languages, config.vectors_dir, data_dir)
    print(_ROW.format("language", "words trained", "accuracy, %", "with vector, %", "CPU s", "model kB"), flush=True)
    for chosen in selected:
        _print_row(results.of(chosen, files.get(chosen.treebank.language)))
    print(f"mean of {len(results.entries)}: {_text(results.mean('accuracy'))} %; results in {results.path}")


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
            "settings": {"tagger": settings(options.iterations), **limits},
            "versions": {"clrnn_tf": clrnn_tf.__version__, "ufal.udpipe": importlib.metadata.version("ufal.udpipe")},
        }
        self.entries: dict[str, dict[str, Any]] = {}
        require(not self.path.is_dir(), f"--out must be a file. Received: the directory {self.path}.")
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
        treebank = chosen.treebank
        mark = fingerprint([*treebank.files("train"), *treebank.files("test"), *([vectors] if vectors else [])])
        entry = self.entries.get(chosen.task_name)
        if entry is None or entry["fingerprint"] != mark:
            named = {"task": chosen.task_name, "treebank": treebank.name, "fingerprint": mark}
            entry = named | self._learned(treebank, vectors)
        self.entries.pop(chosen.task_name, None)
        self.entries[chosen.task_name] = entry  # last, so that the file has the order of the latest command
        self._write()
        return entry

    def _write(self) -> None:
        means = {name: self.mean(name) for name in ("accuracy", "accuracy_with_vector")}
        named = {f"mean_{name}": value for name, value in means.items()}
        write_text(self.path, as_json({**self.facts, **named, "tasks": list(self.entries.values())}, indent=1))

    def mean(self, name: str) -> float | None:
        """The mean of an accuracy over the languages; None where one of them has none."""
        values = [entry[name] for entry in self.entries.values()]
        return None if None in values else sum(values) / len(values)

    def _learned(self, treebank: TaggedText, vectors: Path | None) -> dict[str, Any]:
        sentences = treebank.sentences("train", self.limits)
        began = time.process_time()  # one thread; on a shared machine, elapsed time says little
        model = train(sentences, self.iterations)
        seconds = time.process_time() - began
        table = read_vectors(vectors) if vectors else None
        accuracy = score(Tagger(model), treebank.sentences("test", self.limits), table)
        return {
            "train_words": sum(map(len, sentences)),
            **accuracy._asdict(),
            "cpu_seconds": round(seconds, 1),
            "model_bytes": len(model),
        }

    def _stored(self) -> dict[str, dict[str, Any]]:
        if not self.path.exists():  # stopped before the first language was done
            return {}
        stored = perceptron_results(self.path)
        changed = differences({name: stored.get(name) for name in self.facts}, self.facts)
        told = ", ".join(f"{name} (stored {old!r}, now {new!r})" for name, (old, new) in changed.items())
        require(not changed, f"{self.path} has other settings: {told}. Choose another --out, or --overwrite.")
        return {entry["task"]: entry for entry in stored["tasks"]}


def _print_row(entry: Mapping[str, Any]) -> None:
    shown = (_text(entry[name]) for name in ("accuracy", "accuracy_with_vector"))
    size, seconds = f"{entry['model_bytes'] / 1000:,.0f}", f"{entry['cpu_seconds']:,.0f}"
    print(_ROW.format(entry["task"], f"{entry['train_words']:,}", *shown, seconds, size), flush=True)


def _print_help(program: str, values: Mapping[str, object]) -> None:
    print((__doc__ or "").partition("\n")[0])
    print(f"\n  {program} --data-dir DIR --out perceptron.json")
    print(f"  {program} --data.languages de fi          # of the embedded treebank")
    for title, flags in _flags().items():
        print_flags(title, flags, values[title])


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
