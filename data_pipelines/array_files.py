"""NumPy's files of arrays (`.npz`, `.npy`), whose headers are checked before anything is allocated."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from clrnn_tf.errors import ConfigurationError, require

NUMBERS, TEXT = "iuf", "USiu"
"""Kinds of arrays that hold numbers, and that can hold words."""
_NUMBERS_AND_TEXT = "biufUS"
_MOST_EXPANSION = 1032  # of deflate: what a file can hold
DAMAGE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
"""What reading a damaged archive can raise: archives are broken in many ways."""


def read_arrays(path: Path, wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an archive, by name; of numbers, truth values or text.

    Args:
      path: A `.npz` file.
      wanted: Names of those that are read; others are passed over. None reads all.

    Raises:
      ConfigurationError: It cannot be read, or an array claims more than the file can hold.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            return {
                name: _of_member(archive, info, f"{path}, array '{name}'")
                for name, info in members.items()
                if wanted is None or name in wanted
            }
    except DAMAGE as error:
        raise ConfigurationError(
            f"{path} cannot be read as an archive of arrays: {in_one_line(error)}. Is it cut off?"
        ) from None


def read_array(path: Path) -> np.ndarray:
    """The array of a `.npy` file.

    Raises:
      ConfigurationError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return of_stream(file, path.stat().st_size, str(path), _NUMBERS_AND_TEXT)
    except DAMAGE as error:
        raise ConfigurationError(f"{path} cannot be read as an array: {in_one_line(error)}.") from None


def of_stream(file: IO[bytes], size: int, label: str, kinds: str) -> np.ndarray:
    """An array whose header agrees with the `size` bytes that are there of it.

    Args:
      file: Its bytes.
      size: Their number.
      label: Names it in messages.
      kinds: Kinds of numbers that it may hold, as in `numpy.dtype.kind`.

    Raises:
      ConfigurationError: It claims to be larger, or is of another kind.
    """
    version = npy.read_magic(file)
    require(version in ((1, 0), (2, 0)), f"{label} must be of NumPy's format 1 or 2. Received: {version}.")
    shape, is_fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    what = {NUMBERS: "numbers", TEXT: "text"}.get(kinds, "numbers or text")
    require(dtype.kind in kinds, f"{label} must hold {what}. Received: {dtype}.")
    num_bytes = math.prod(shape) * dtype.itemsize
    require(
        min(shape, default=0) >= 0 and 0 <= num_bytes <= size,
        f"{label} must be as large as its header says. Received: {size:,} bytes for shape {shape} of {dtype}.",
    )
    content = file.read(num_bytes)
    require(len(content) == num_bytes, f"{label} ends after {len(content):,} of {num_bytes:,} bytes.")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")


def in_one_line(error: Exception) -> str:
    """What an error says, without its last full stop."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def _of_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, label: str) -> np.ndarray:
    largest = _MOST_EXPANSION * (info.compress_size + 1)
    require(
        info.file_size <= largest,
        f"{label} must be as large as the archive says. Received: {info.file_size:,} bytes packed in "
        f"{info.compress_size:,}.",
    )
    with archive.open(info) as file:
        return of_stream(file, info.file_size, label, _NUMBERS_AND_TEXT)
