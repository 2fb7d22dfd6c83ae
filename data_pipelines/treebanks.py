"""Finding the treebanks of a Universal Dependencies release, and choosing one for each task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from clrnn_tf.errors import ConfigurationError, nearest, require
from data_pipelines.conllu_files import Limits, Sentence, count_words, read_sentences
from data_pipelines.storage import warn

WITHHELD = 0.5
"""The text of a treebank counts as withheld where a larger share of its words is written `_`."""

FILE_NAME = re.compile(
    r"(?P<prefix>(?P<language>[a-z]{2,3})(_[^-]+)?)-ud-(?P<split>train|dev|test)(?P<part>[-_][^.]+)?\.conllu(\.gz)?"
)
"""Name of a treebank's file."""
SplitName = Literal["train", "test", "dev"]
SPLITS: tuple[SplitName, ...] = ("train", "test", "dev")
_PEEKED_WORDS = 1000  # counted first, to tell whether a text may be withheld


class TaggedText(Protocol):
    """What a task is made of: a treebank, wherever its sentences are stored."""

    @property
    def language(self) -> str:
        """A language code, e.g. `cs`."""

    @property
    def prefix(self) -> str:
        """What its files' names begin with, e.g. `cs_pdt`."""

    @property
    def name(self) -> str:
        """Its folder, e.g. `UD_Czech-PDT`."""

    @property
    def splits(self) -> tuple[SplitName, ...]:
        """The splits that it has."""

    def sentences(self, split: SplitName, limits: Limits) -> list[Sentence]:
        """The sentences of a split."""

    def files(self, split: SplitName) -> tuple[Path, ...]:
        """The files in which a split is stored, for the fingerprint of the data."""

    def place(self, split: SplitName) -> str:
        """Where a split is, for messages."""

    @property
    def unit(self) -> str:
        """What `training_size` counts, in words."""

    def training_size(self) -> int:
        """How much there is to learn: of several treebanks of a language, the largest is learned."""

    def fault(self) -> str:
        """Why it cannot be learned; empty if it can."""


class Treebank(NamedTuple):
    """A treebank in CoNLL-U; a split may have several files, in the order of their names."""

    language: str
    prefix: str
    name: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    dev: tuple[Path, ...]

    @property
    def splits(self) -> tuple[SplitName, ...]:
        """The splits that it has."""
        return tuple(split for split in SPLITS if self.files(split))

    def sentences(self, split: SplitName, limits: Limits) -> list[Sentence]:
        """The sentences of a split."""
        return read_sentences(self.files(split), limits)

    def files(self, split: SplitName) -> tuple[Path, ...]:
        """The files of a split."""
        return getattr(self, split)

    def place(self, split: SplitName) -> str:
        """The first file of a split."""
        return str(self.files(split)[0])

    @property
    def unit(self) -> str:
        """What `training_size` counts."""
        return "training words"

    def training_size(self) -> int:
        """Training words whose text is there."""
        train = count_words(self.train)
        return train.words - train.blank

    def fault(self) -> str:
        """Why it cannot be learned, judged by its words; empty if it can."""
        for paths in (self.train, self.test):
            if count_words(paths, _PEEKED_WORDS).blank_share > WITHHELD:
                share = count_words(paths).blank_share
                if share > WITHHELD:
                    return f"{share:.0%} of the words of {paths[0].name} are written '_': the text is withheld"
        return ""


class Selected(NamedTuple):
    """The treebank that a task learns."""

    task_name: str
    treebank: TaggedText
    passed_over: tuple[TaggedText, ...]
    """Other treebanks of the language, where the language alone was named."""


class WithheldTextError(ConfigurationError):
    """The words of all treebanks of a language are withheld."""


class Candidate(NamedTuple):
    """One of several treebanks of a language."""

    treebank: TaggedText
    size: int
    fault: str
    """Why it cannot be chosen; empty if it can."""

    def __str__(self) -> str:
        return f"{self.treebank.prefix} ({self.fault or f'{self.size:,} {self.treebank.unit}'})"


def find_treebanks(root: Path) -> list[Treebank]:
    """Treebanks with files for training and testing below a folder, in the order of their names.

    The parts of a divided split (`cs_pdt-ud-train-ca.conllu`, `cs_pdt-ud-train-la.conllu`) are joined in the order of
    their names. Where there is also a whole file, only this one is used. If there are a plain and a gzipped file of one
    name, the plain one is used.

    Args:
      root: A folder that contains `UD_*` folders, directly or in a folder `ud` or `ud-treebanks-*`; or a `UD_*` folder.

    Raises:
      ConfigurationError: There is none.
    """
    try:
        places = [root / "ud", root, *sorted(root.glob("ud-treebanks-*"))]
        folders = next(
            (found for place in places if (found := sorted(p for p in place.glob("UD_*") if p.is_dir()))), [root]
        )
        treebanks = [treebank for folder in folders for treebank in _treebanks_in(folder)]
    except OSError as error:
        raise ConfigurationError(f"{root} cannot be searched for treebanks: {error}.") from None
    complete = [treebank for treebank in treebanks if treebank.train and treebank.test]
    lacking = ", ".join(
        f"{treebank.name} has no {'test' if treebank.train else 'train'} file" for treebank in treebanks[:3]
    )
    require(
        bool(complete),
        f"no treebank in {root}{f' ({lacking})' if lacking else ''}. Wanted: folders UD_* with files such as "
        "en_gum-ud-train.conllu and en_gum-ud-test.conllu (.gz or plain), as in a Universal Dependencies release.",
    )
    return complete


def select_treebanks(
    treebanks: Sequence[TaggedText],
    names: Sequence[str],
    root: Path | str,
    at_most: int | None = None,
    passes_over: bool = False,
) -> list[Selected]:
    """One treebank for each name, in the order of the names.

    A name is a language code (`cs`), which stands for the largest treebank of the language, or the prefix of a
    treebank's files (`cs_pdt`) or its folder. The task is named by its language; where two treebanks of a language are
    learned, those chosen by prefix or folder are named by prefix.

    Args:
      treebanks: What is there.
      names: What is wanted.
      root: Where it is, for messages.
      at_most: The largest number of treebanks to choose; None for all.
      passes_over: Whether languages whose texts are all withheld are left out with a warning instead of refused.

    Raises:
      ConfigurationError: A name is unknown, two names stand for one treebank, or a text is withheld.
    """
    chosen: list[tuple[str, TaggedText, tuple[TaggedText, ...]]] = []
    withheld: list[WithheldTextError] = []
    for name in names:
        if len(chosen) == at_most:
            break
        candidates = [treebank for treebank in treebanks if treebank.language == name]
        named = [treebank for treebank in treebanks if name in (treebank.prefix, treebank.name)]
        if not candidates and not named:
            known = {known for treebank in treebanks for known in (treebank.language, treebank.prefix)}
            raise ConfigurationError(
                f"no treebank of language '{name}' with train and test files in {root}.{nearest(name.lower(), known)}"
            )
        try:
            best = _choose(name, candidates or named)
        except WithheldTextError as error:
            if not passes_over:
                raise
            withheld.append(error)
            continue
        chosen.append((name, best, tuple(treebank for treebank in candidates if treebank != best)))
    if withheld and not chosen:
        raise withheld[0]
    for reason in withheld:
        warn(f"passed over: {reason}")
    return _named(chosen)


def _named(chosen: Sequence[tuple[str, TaggedText, tuple[TaggedText, ...]]]) -> list[Selected]:
    languages = [treebank.language for _, treebank, _ in chosen]
    selected = []
    for name, treebank, passed_over in chosen:
        alone = languages.count(treebank.language) == 1 or name == treebank.language
        selected.append(Selected(treebank.language if alone else treebank.prefix, treebank, passed_over))
    prefixes = [treebank.prefix for _, treebank, _ in chosen]
    twice = sorted({prefix for prefix in prefixes if prefixes.count(prefix) > 1})
    require(not twice, f"data.languages must name different treebanks. Received twice: {', '.join(twice)}.")
    return selected


def _choose(name: str, candidates: Sequence[TaggedText]) -> TaggedText:
    """The largest treebank; of equal ones the first by name."""
    if len(candidates) == 1:
        fault = candidates[0].fault()
        if fault:
            raise WithheldTextError(f"{candidates[0].name}: {fault}. Get its text, or choose other data.languages.")
        return candidates[0]
    measured = [_measured(treebank) for treebank in candidates]
    best = max(measured, key=lambda candidate: (not candidate.fault, candidate.size))
    listed = ", ".join(str(candidate) for candidate in measured if candidate is not best)
    if best.fault:
        raise WithheldTextError(
            f"no treebank of '{name}' can be used: {best}, {listed}. Get their texts, or choose other data.languages."
        )
    warn(
        f"several treebanks of '{name}': the largest is taken, {best}. Passed over: {listed}. To choose, name it as in "
        f"--data.languages {best.treebank.prefix}."
    )
    return best.treebank


def _measured(treebank: TaggedText) -> Candidate:
    try:
        return Candidate(treebank, treebank.training_size(), treebank.fault())
    except ConfigurationError as error:
        return Candidate(treebank, 0, str(error).rstrip("."))


def _treebanks_in(folder: Path) -> list[Treebank]:
    splits: dict[tuple[str, str], dict[str, dict[str, Path]]] = {}
    for path in sorted(folder.iterdir()):
        match = FILE_NAME.fullmatch(path.name)
        if match and path.is_file():
            files = splits.setdefault((match["language"], match["prefix"]), {}).setdefault(match["split"], {})
            files.setdefault(match["part"] or "", path)
    return [
        Treebank(
            language,
            prefix,
            folder.name if len(splits) == 1 else prefix,
            *(_joined(files.get(split, {})) for split in ("train", "test", "dev")),
        )
        for (language, prefix), files in splits.items()
    ]


def _joined(parts: dict[str, Path]) -> tuple[Path, ...]:
    """The files of a split: the whole one, else its parts in the order of their names."""
    if "" not in parts:
        return tuple(parts[part] for part in sorted(parts))
    others = [path.name for part, path in sorted(parts.items()) if part]
    if others:
        warn(f"{parts['']} is taken for the whole split. Passed over: {', '.join(others)}.")
    return (parts[""],)
