"""Word vectors in NumPy archives (`.npz`), whose headers are checked before anything is allocated."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from clrnn_tf.errors import require
from data_pipelines.array_files import NUMBERS, TEXT, of_stream
from data_pipelines.text_files import expanded_limit

_ROWS_AT_A_TIME = 2**14


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
                arrays[name] = of_stream(file, size, label, TEXT if name == "words" else NUMBERS)
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


def _words(array: np.ndarray) -> list[str]:
    if array.dtype.kind == "U":
        return array.ravel().tolist()
    if array.dtype.kind == "S" and array.ndim == 1:
        return [word.decode("utf-8") for word in array.tolist()]
    return array.tobytes().decode("utf-8-sig").split("\n")
