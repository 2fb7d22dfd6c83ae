"""The text release of E. de Jong's stroke sequences: a file for each digit, in a directory or in `sequences.tar.gz`.

`trainimg-17-inputdata.txt` holds the steps of training digit 17, four numbers a line. The first ten numbers of
`trainimg-17-targetdata.txt` are its label in a 1-of-10 code; `trainlabels.txt`, where it is there, holds all labels.
Test files begin with `test`.
"""

from __future__ import annotations

import itertools
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.stroke_digits import StrokeData, StrokeDigits, check_digit, joined

ARCHIVE = "sequences.tar.gz"
_FILE = re.compile(r"(train|test)img-(\d+)-(input|target)data\.txt$")
_LABELS = re.compile(r"(train|test)labels\.txt$")
_LARGEST_FILE = 2**20  # bytes of one digit, or of all labels; one digit takes about 400


def find_text(directory: Path) -> Path | None:
    """The directory or archive of the text release at or below a directory, or None."""
    for place in (directory, directory / "sequences"):
        if (place / "trainimg-0-inputdata.txt").is_file():
            return place
    archive = directory / ARCHIVE
    return archive if archive.is_file() else None


def read_text(path: Path) -> StrokeData:
    """Read the text release from a directory, or from its archive.

    Raises:
      ConfigurationError: A file is missing or damaged; the message names it and its line.
    """
    texts = _texts_of_archive(path) if path.is_file() else _texts_of_directory(path)
    steps: dict[str, dict[int, np.ndarray]] = {"train": {}, "test": {}}
    labels: dict[str, dict[int, int]] = {"train": {}, "test": {}}
    for name, text in texts:
        where = f"{path}/{name}"
        if found := _LABELS.search(name):
            values = _numbers(text, where)
            labels[found[1]].update(enumerate(values.tolist()))
        elif found := _FILE.search(name):
            split, number, kind = found[1], int(found[2]), found[3]
            if kind == "input":
                steps[split][number] = _steps(text, where)
            else:
                labels[split].setdefault(number, _label(text, where))
    return StrokeData(*(_ordered(steps[split], labels[split], f"{path}/{split}") for split in ("train", "test")))


def _texts_of_directory(path: Path) -> Iterator[tuple[str, str]]:
    for split in ("train", "test"):
        listed = path / f"{split}labels.txt"
        if listed.is_file():
            yield listed.name, _decoded(listed.read_bytes(), str(listed))
        for number in itertools.count():
            steps = path / f"{split}img-{number}-inputdata.txt"
            if not steps.is_file():
                break
            yield steps.name, _decoded(steps.read_bytes(), str(steps))
            target = path / f"{split}img-{number}-targetdata.txt"
            if not listed.is_file() and target.is_file():
                yield target.name, _decoded(target.read_bytes(), str(target))


def _texts_of_archive(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and (_FILE.search(name) or _LABELS.search(name)):
                    require(member.size <= _LARGEST_FILE, f"{path}/{name} is too large ({member.size} bytes).")
                    file = archive.extractfile(member)
                    yield name, _decoded(file.read() if file else b"", f"{path}/{name}")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ConfigurationError(f"{path} is no tar archive, or is cut off ({error}). Get it again.") from None


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where} must hold numbers in ASCII. Received: other bytes.") from None


def _numbers(text: str, where: str) -> np.ndarray:
    """The whole numbers of a text."""
    try:
        return np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.split():
            require(
                re.fullmatch(r"[-+]?\d{1,9}", word) is not None,
                f"{where}, line {number}: whole numbers are wanted. Received: {word[:50]!r}.",
            )
    raise ConfigurationError(f"{where} must hold whole numbers.")


def _steps(text: str, where: str) -> np.ndarray:
    numbers = _numbers(text, where)
    require(
        len(numbers) > 0 and len(numbers) % 4 == 0,
        f"{where} must hold four numbers a line. Received: {len(numbers)} numbers; is it cut off?",
    )
    steps = numbers.reshape(-1, 4)
    check_digit(steps, where)
    return steps.astype(np.int8)


def _label(text: str, where: str) -> int:
    code = _numbers(text[:1000].partition("\n")[0], where)[:10]
    require(
        len(code) == 10 and sorted(code.tolist()) == [0] * 9 + [1],
        f"{where} must begin with a label in a 1-of-10 code. Received: {code.tolist()}.",
    )
    return int(code.argmax())


def _ordered(steps: dict[int, np.ndarray], labels: dict[int, int], where: str) -> StrokeDigits:
    require(bool(steps), f"{where}img-0-inputdata.txt is missing: no digit of this split is there.")
    for number in range(max(steps) + 1):
        require(number in steps, f"{where}img-{number}-inputdata.txt is missing.")
        require(
            number in labels,
            f"{where}img-{number}: its label is missing in {where}labels.txt and {where}img-{number}-targetdata.txt.",
        )
        require(
            0 <= labels[number] <= 9,
            f"{where}labels.txt, line {number + 1}: labels must be 0 to 9. Received: {labels[number]}.",
        )
    order = range(len(steps))
    return joined([steps[number] for number in order], [labels[number] for number in order])
