"""Word vectors in NumPy archives (`.npz`), whose headers are checked before anything is allocated."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from clrnn_tf.errors import require
from data_pipelines.text_files import expanded_limit

_ROWS_AT_A_TIME = 2**14
_NUMBERS, _TEXT = "iuf", "USiu"


def read_npz(path: Path) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Words, their table float32 [N + 1, D] with a row of zeros in front, and the scale [D] of vectors of bytes.

    Raises:
      ConfigurationError: An array is missing, is of a wrong kind, or claims more than the file holds.
    """
    with zipfile.ZipFile(path) as archive:
        limit = expanded_limit(path.stat().st_size)
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        wanted = ("words", "vectors") if "vectors" in members else ("words", "q", "scale")
        missing = [name for name in wanted if name not in members]
        require(
            not missing,
            f"{path} must hold words and vectors, or words, q and scale. Received: {', '.join(members) or 'nothing'}.",
        )
        arrays = {}
        for name in wanted:
            label = f"{path}, array '{name}'"
            size = members[name].file_size
            require(size <= limit, f"{label} must unpack to at most {limit:,} bytes. Received: {size:,}.")
            with archive.open(members[name]) as file:
                arrays[name] = _read_array(file, size, label, _TEXT if name == "words" else _NUMBERS)
    words = _words(arrays["words"])
    vectors = arrays[wanted[1]]
    if len(words) == len(vectors) + 1 and not words[-1]:
        words.pop()  # the text of the words ended in a line end
    require(
        vectors.ndim == 2 and len(words) == len(vectors),
        f"{path}: vectors must be [N, D] for N words. Received: {len(words)} words and shape {vectors.shape}.",
    )
    scale = arrays.get("scale")
    require(
        scale is None or scale.shape in ((), (1,), vectors.shape[1:]),
        f"{path}: scale must be [D] for D = {vectors.shape[1]}. Received: {None if scale is None else scale.shape}.",
    )
    table = np.zeros([len(vectors) + 1, vectors.shape[1]], np.float32)
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        rows = vectors[start : start + _ROWS_AT_A_TIME]
        table[start + 1 : start + 1 + len(rows)] = rows if scale is None else rows.astype(np.float32) * scale
    if scale is None or vectors.dtype != np.int8:
        return words, table, None
    return words, table, np.broadcast_to(scale, vectors.shape[1:]).astype(np.float32)


def _read_array(file: IO[bytes], size: int, label: str, kinds: str) -> np.ndarray:
    """An array whose header agrees with the `size` bytes that the archive holds of it."""
    version = npy.read_magic(file)
    require(version in ((1, 0), (2, 0)), f"{label} must be of NumPy's format 1 or 2. Received: {version}.")
    shape, is_fortran, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    require(dtype.kind in kinds, f"{label} must hold {'text' if kinds == _TEXT else 'numbers'}. Received: {dtype}.")
    num_bytes = math.prod(shape) * dtype.itemsize
    require(
        min(shape, default=0) >= 0 and 0 <= num_bytes <= size,
        f"{label} must be as large as its header says. Received: {size:,} bytes for shape {shape} of {dtype}.",
    )
    content = file.read(num_bytes)
    require(len(content) == num_bytes, f"{label} ends after {len(content):,} of {num_bytes:,} bytes.")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")


def _words(array: np.ndarray) -> list[str]:
    if array.dtype.kind == "U":
        return array.ravel().tolist()
    if array.dtype.kind == "S" and array.ndim == 1:
        return [word.decode("utf-8") for word in array.tolist()]
    return array.tobytes().decode("utf-8-sig").split("\n")
