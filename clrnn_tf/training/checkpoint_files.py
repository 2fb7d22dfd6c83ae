"""The file of one checkpoint: arrays by group, and facts as JSON, in an `.npz` archive without compression.

The archive holds `facts` (UTF-8 bytes) and arrays `GROUP-0000`, `GROUP-0001`, ... Every entry carries a CRC-32, which
is compared when the file is read. Nothing in it is executed.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clrnn_tf.durable_files import replaced
from clrnn_tf.errors import ConfigurationError, require

SCHEMA_VERSION = 1
_DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

Arrays = Mapping[str, Sequence[np.ndarray]]
"""By group."""


class Position(NamedTuple):
    """A place in a run; they compare in the order of time."""

    learned: int
    """Tasks that are learned, tested and recorded."""
    step: int
    """Steps done of the next task."""

    def __str__(self) -> str:
        """As in "after 2 tasks", or "after step 40 of task 3"; the first task is task 1, as in the progress."""
        if self.step:
            return f"after step {self.step} of task {self.learned + 1}"
        return f"after {self.learned} task{'s' * (self.learned != 1)}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read."""

    path: Path
    position: Position
    arrays: Arrays
    facts: Mapping[str, Any]
    """What else was stored, as JSON has it."""

    @property
    def recorded(self) -> Mapping[str, int]:
        """Bytes of each file that an observer had written; see `Observer.recorded`."""
        return self.facts["recorded"]

    @property
    def identity(self) -> Mapping[str, Any]:
        """What `Checkpoints` was told about the run."""
        return self.facts["identity"]


def write(path: Path, position: Position, arrays: Arrays, facts: Mapping[str, object]) -> None:
    """Write a checkpoint; whole, or not at all.

    Raises:
      OSError: It cannot be written.
    """
    stored = {**facts, "schema_version": SCHEMA_VERSION, "learned": position.learned, "step": position.step}
    stored["groups"] = {group: len(values) for group, values in arrays.items()}
    text = np.frombuffer(json.dumps(stored).encode(), np.uint8)
    named = {f"{group}-{i:04d}": array for group, values in arrays.items() for i, array in enumerate(values)}
    with replaced(path) as file:
        np.savez(file, allow_pickle=False, facts=text, **named)


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, every byte of it.

    Raises:
      ConfigurationError: It is damaged, or of another version.
      OSError: It cannot be read.
    """
    content = path.read_bytes()  # first, so that what is wrong with the disk and with the archive are told apart
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            named = {name.removesuffix(".npy"): _array(archive, name) for name in _names(archive, len(content))}
        facts = json.loads(named.pop("facts").tobytes().decode())
        version = facts["schema_version"]
        require(
            version == SCHEMA_VERSION,
            f"{path} must be a checkpoint of version {SCHEMA_VERSION}. Received: version {version}. Use the version of "
            "clrnn_tf that wrote it, or start the run anew with --overwrite.",
        )
        position = Position(int(facts["learned"]), int(facts["step"]))
        names = {f"{group}-{i:04d}": group for group, count in facts["groups"].items() for i in range(count)}
        if names.keys() != named.keys():
            raise ValueError("not the arrays that were written")
    except _DAMAGE as error:
        text = (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise ConfigurationError(f"{path} is damaged ({text}).") from None
    groups: dict[str, list[np.ndarray]] = {}
    for name, group in names.items():
        groups.setdefault(group, []).append(named[name])
    return Checkpoint(path, position, groups, facts)


def _names(archive: zipfile.ZipFile, size: int) -> list[str]:
    """Entries of an archive of `size` bytes whose content is as large at most; a bomb's would be larger."""
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("larger inside than outside")
    return [entry.filename for entry in entries]


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    content = archive.read(name)  # whole, so that its checksum is compared before anything else reads it
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
