"""The treebanks of `universal_dependencies` in TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from clrnn_tf.errors import require
from data_pipelines.conllu_files import UPOS, Limits, Sentence, Word, limited
from data_pipelines.tfds_datasets import Download, builder, examples, files_of, package, rows
from data_pipelines.treebanks import FILE_NAME, SPLITS, SplitName

DATASET = "universal_dependencies"
WITHHELD_TREEBANKS = frozenset(
    ("ar_nyuad", "en_esl", "en_gumreddit", "fr_ftb", "ja_bccwj", "ja_bccwjluw", "qhe_hiencs")
)
"""Treebanks of Universal Dependencies 2.10 whose words the owners of the texts withhold."""
_FEATURES = ("tokens", "upos", "head")
_NO_HEAD = b"None"


class TfdsTreebank(NamedTuple):
    """A treebank in TensorFlow Datasets. Its sentences come in the order of TFDS, which has shuffled them once."""

    language: str
    prefix: str
    name: str
    sizes: dict[str, dict[str, int]]
    """Bytes of each file by its address, by split."""

    @property
    def splits(self) -> tuple[SplitName, ...]:
        """The splits that it has."""
        return tuple(split for split in SPLITS if split in self.sizes)

    def sentences(self, split: SplitName, limits: Limits) -> list[Sentence]:
        """The sentences of a split.

        Multiword ranges and rows without a tag are no words, and neither are empty nodes: TFDS does not keep the first
        column of a treebank, but a node without a head in a sentence that has heads is an empty one.

        Raises:
          ConfigurationError: The treebank is not prepared, or a sentence has more tags than words.
        """
        sentences = limited(self._read(split), limits)
        require(bool(sentences), f"{self.place(split)} holds no sentence.")
        return sentences

    def _read(self, split: SplitName) -> Iterator[tuple[str, Sentence]]:
        """Each sentence with its place."""
        class_ids = _class_ids(self.dataset)
        stored = rows(examples(self.download, split, _FEATURES), self.place(split))
        for number, example in enumerate(stored, start=1):
            place = f"{self.place(split)}, sentence {number}"
            lengths = {name: len(example[name]) for name in _FEATURES}
            require(
                len(set(lengths.values())) == 1,
                f"{place} must have as many tags and heads as words. Received: {lengths}.",
            )
            has_heads = any(head != _NO_HEAD for head in example["head"])
            words = [
                Word(form.decode("utf-8"), class_ids[tag])
                for form, tag, head in zip(*(example[name] for name in _FEATURES), strict=True)
                if class_ids[tag] >= 0 and not (has_heads and head == _NO_HEAD)
            ]
            if words:
                yield place, words

    def files(self, split: SplitName) -> tuple[Path, ...]:
        """The record files of a split; none of a mocked data set."""
        return files_of(self.dataset, split)

    def place(self, split: SplitName) -> str:
        """A split in words."""
        return f"{self.dataset} ({split})"

    @property
    def dataset(self) -> str:
        """Its name in TFDS."""
        return f"{DATASET}/{self.prefix}"

    @property
    def download(self) -> Download:
        """What has to be fetched for it."""
        addresses = {address: size for sizes in self.sizes.values() for address, size in sizes.items()}
        return Download(self.dataset, addresses, f"that of {self.name}, in the file LICENSE.txt of its repository")

    @property
    def unit(self) -> str:
        """What `training_size` counts."""
        return "bytes of training files"

    def training_size(self) -> int:
        """What TFDS knows before anything is fetched."""
        return sum(self.sizes["train"].values())

    def fault(self) -> str:
        """Why it cannot be learned; empty if it can."""
        return "its text is withheld" if self.prefix in WITHHELD_TREEBANKS else ""


def tfds_treebanks() -> list[TfdsTreebank]:
    """All treebanks that TFDS can prepare and that have files for training and testing, in the order of their names."""
    made = package().builder_cls(DATASET)
    known = {config.name for config in made.BUILDER_CONFIGS}
    found: dict[str, TfdsTreebank] = {}
    for address, info in sorted(made.url_infos.items()):
        match = FILE_NAME.fullmatch(address.rsplit("/", 1)[1])
        if match and match["prefix"] in known:
            folder = address.rsplit("/", 3)[1]
            treebank = found.setdefault(match["prefix"], TfdsTreebank(match["language"], match["prefix"], folder, {}))
            treebank.sizes.setdefault(match["split"], {})[address] = info.size
    return [treebank for treebank in found.values() if {"train", "test"} <= treebank.sizes.keys()]


def release() -> str:
    """The data set and its version, e.g. `universal_dependencies 1.0.1`."""
    return f"{DATASET} {package().builder_cls(DATASET).VERSION}"


def _class_ids(dataset: str) -> Sequence[int]:
    """Our class id of each of theirs; -1 of rows without a tag."""
    names = builder(dataset).info.features["upos"].feature.names
    return [UPOS.index(name) if name in UPOS else -1 for name in names]
