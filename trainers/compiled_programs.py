"""Programs that XLA compiled, kept for later runs.

Compiling takes most of the time of a short run. XLA writes what it has compiled to a directory, and takes it from there
when the same program is wanted again, on the same kind of processor and by the same TensorFlow. The numbers of a run
are the same either way. Files appear whole: XLA writes each beside its place and then moves it there. But a run would
end at a file that was cut nonetheless, and on a full disk; so both are looked for first.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import BinaryIO

DIRECTORY_VARIABLE = "CLRNN_CACHE_DIR"
"""Where programs are kept, if not below `~/.cache`; empty keeps none."""
_XLA_FLAGS = "TF_XLA_FLAGS"
_FLAG = "--tf_xla_persistent_cache_directory"
_MOST_BYTES = 256_000_000
_LEAST_FREE_BYTES = 4 * _MOST_BYTES
_NO_LENGTH = 1 << 62
_LENGTH_DELIMITED = 2  # type of all fields of XlaSerializedCacheEntry, as protocol buffers count them


def keep_compiled_programs() -> None:
    """Have XLA keep what it compiles; to be called before TensorFlow is imported.

    Nothing is kept where the directory cannot be written or the disk is nearly full, and where TF_XLA_FLAGS names
    another directory.
    """
    given = os.environ.get(_XLA_FLAGS, "")
    directory = _directory()
    if directory is None or _FLAG in given or any(map(str.isspace, str(directory))):  # flags are divided at blanks
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_damaged(directory)
        _remove_oldest(directory)
        has_space = shutil.disk_usage(directory).free > _LEAST_FREE_BYTES
    except OSError:
        return
    if has_space and os.access(directory, os.W_OK):
        os.environ[_XLA_FLAGS] = f"{given} {_FLAG}={directory} --tf_xla_persistent_cache_device_types=CPU"


def _directory() -> Path | None:
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named == "":
        return None
    try:
        root = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clrnn_tf"
        return (root / _machine()).absolute()
    except (RuntimeError, importlib.metadata.PackageNotFoundError):  # no home directory; no TensorFlow
        return None


def _machine() -> str:
    """A name for processors that can run the same programs, and for what compiles: programs are not portable."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    facts = (platform.machine(), *(processor or lines), os.environ.get("XLA_FLAGS", ""))
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return f"xla-{importlib.metadata.version('tensorflow')}-{digest[:12]}"


def _remove_damaged(directory: Path) -> None:
    for file in directory.glob("*.pb"):  # files that another process is writing have another ending
        with file.open("rb") as stream:
            if not _is_whole(stream, file.stat().st_size):
                file.unlink(missing_ok=True)


def _is_whole(stream: BinaryIO, size: int) -> bool:
    """Whether the last field of a serialised message ends where its file does."""
    while stream.tell() < size:
        kind, length = _varint(stream) % 8, _varint(stream)
        if kind != _LENGTH_DELIMITED or length > size:
            return False
        stream.seek(length, os.SEEK_CUR)
    return stream.tell() == size > 0


def _varint(stream: BinaryIO) -> int:
    """A number of a protocol buffer: seven bits a byte, the lowest first; the last byte is below 128.

    At the end of the file it is a number that no field has.
    """
    number, shift = 0, 0
    while byte := stream.read(1):
        number += (byte[0] % 128) << shift
        shift += 7
        if byte[0] < 128:
            return number
    return _NO_LENGTH


def _remove_oldest(directory: Path) -> None:
    """Remove the oldest programs where there are too many, down to half of what may be kept."""
    files = sorted(((file.stat(), file) for file in directory.iterdir()), key=lambda entry: entry[0].st_mtime)
    kept = sum(status.st_size for status, _ in files)
    if kept <= _MOST_BYTES:
        return
    for status, file in files:
        if kept <= _MOST_BYTES // 2:
            break
        file.unlink(missing_ok=True)
        kept -= status.st_size
