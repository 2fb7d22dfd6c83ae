"""Data sets of TensorFlow Datasets (TFDS): read where they were prepared, downloaded only when asked to.

TFDS keeps them in `$TFDS_DATA_DIR`, else in `~/tensorflow_datasets`. The package is an extra, and is imported only by
those who read from it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import tensorflow as tf

from clrnn_tf.errors import ConfigurationError

DIRECTORY_VARIABLE = "TFDS_DATA_DIR"
_SECONDS_TO_ANSWER = 10
_LONGEST_REASON = 200
_UNFINISHED = "*.tmp.*"


class Download(NamedTuple):
    """What has to be fetched for a data set."""

    dataset: str
    """Its name in TFDS, e.g. `universal_dependencies/cs_pdt`."""
    sizes: Mapping[str, int | None]
    """Bytes of each file by its address; None where TFDS does not know."""
    licence: str

    def __str__(self) -> str:
        number = f"{len(self.sizes)} file{'s' if len(self.sizes) != 1 else ''}"
        sizes = list(self.sizes.values())
        return f"{number}, {sum(filter(None, sizes)) / 1e6:,.1f} MB" if all(sizes) else f"{number} of unknown size"


def package() -> ModuleType:
    """The package `tensorflow_datasets`.

    Raises:
      ConfigurationError: It is not installed, or `importlib_resources` is not, which it imports but does not ask for.
    """
    _import("importlib_resources")
    return _import("tensorflow_datasets")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigurationError(
            f"TensorFlow Datasets needs the package {name}: pip install 'clrnn_tf[datasets]'."
        ) from None


def builder(dataset: str) -> Any:
    """The `tfds.core.DatasetBuilder` of a name such as `universal_dependencies/cs_pdt`.

    Raises:
      ConfigurationError: TFDS is not installed, or what it has stored of the data set is damaged.
    """
    tfds, directory = package(), os.environ.get(DIRECTORY_VARIABLE) or None
    try:
        return tfds.builder(dataset, data_dir=directory)
    except Exception as error:  # of many kinds, by the file that is damaged
        raise ConfigurationError(f"{dataset} of TensorFlow Datasets cannot be read: {_reason(error)}.") from None


def examples(download: Download, split: str, features: Iterable[str]) -> tf.data.Dataset:
    """Some features of the examples of a split, in the order in which they are stored.

    Args:
      download: The data set, and what would fetch it.
      split: Its name in TFDS.
      features: Names of those that are decoded.

    Raises:
      ConfigurationError: The data set is not prepared.
    """
    tfds, prepared = package(), builder(download.dataset)
    reading = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)  # one file after another
    decoded = tfds.decode.PartialDecoding(set(features))
    try:
        return prepared.as_dataset(split=split, decoders=decoded, read_config=reading, shuffle_files=False)
    except AssertionError:  # what TFDS raises where there is no directory; a mocked data set has none and is read
        raise ConfigurationError(
            f"{download.dataset} is not in {prepared.data_dir_root}. Fetch it with --download ({download}), or set "
            f"{DIRECTORY_VARIABLE} to the directory where TensorFlow Datasets has prepared it."
        ) from None
    except Exception as error:  # of many kinds, by the file that is damaged
        raise ConfigurationError(f"{prepared.data_path} cannot be read: {_reason(error)}.") from None


def rows(dataset: tf.data.Dataset, place: str) -> Iterator[Any]:
    """The elements of a dataset, as NumPy arrays.

    Args:
      dataset: Made of `examples`.
      place: Where they come from, for messages.

    Raises:
      ConfigurationError: A file is damaged.
    """
    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        raise ConfigurationError(
            f"{place} is damaged: {_reason(error)}. Remove its directory and prepare it again."
        ) from None


def files_of(dataset: str, split: str) -> tuple[Path, ...]:
    """The files in which a split is stored; none of a mocked data set."""
    return tuple(sorted(Path(builder(dataset).data_path).glob(f"*-{split}.*")))


def fetch(downloads: Iterable[Download], needs: Sequence[str] = ()) -> None:
    """Download and prepare the data sets that are not there yet, after saying what is fetched.

    Files that came whole stay, so that the next call goes on where this one was stopped.

    Args:
      downloads: The data sets.
      needs: Packages that TFDS imports when it prepares them.

    Raises:
      ConfigurationError: There is no network, a package is missing, or a file does not come as TFDS knows it.
    """
    for download in downloads:
        made = builder(download.dataset)
        if Path(made.data_path).is_dir() and made.is_prepared():  # of what is not there, TFDS warns
            print(f"{download.dataset} {made.version} is in {made.data_dir_root}", flush=True)
            continue
        hosts = ", ".join(sorted({urlsplit(address).netloc for address in download.sizes}))
        for name in needs:
            _import(name)
        print(f"fetching {download.dataset} {made.version}: {download}, from {hosts} to {made.data_dir_root}")
        print(f"  licence: {download.licence}", flush=True)
        _require_answer(download, hosts)
        _prepare(made, download)


def _require_answer(download: Download, hosts: str) -> None:
    """Ask for one file's header. TFDS itself tries ten times, for more than three minutes, and leaves directories."""
    requests = _import("requests")
    address = next(iter(download.sizes))
    try:
        requests.head(address, timeout=_SECONDS_TO_ANSWER, allow_redirects=True)
    except requests.exceptions.RequestException:
        raise ConfigurationError(
            f"{download.dataset} cannot be fetched: {hosts} does not answer. Is there a network? Nothing was written. "
            f"Without one, copy the directory of a machine that has it, and set {DIRECTORY_VARIABLE}."
        ) from None


def _prepare(made: Any, download: Download) -> None:
    try:
        with _no_unfinished_files(Path(made.data_dir_root) / "downloads"):
            made.download_and_prepare()
    except Exception as error:  # of the network, of TFDS, of the disk: none is a fault of this program
        raise ConfigurationError(
            f"{download.dataset} could not be fetched: {_reason(error)}. Files that came whole are kept; the same "
            "command goes on."
        ) from None


@contextlib.contextmanager
def _no_unfinished_files(downloads: Path) -> Iterator[None]:
    """Remove what was being fetched when it stopped; TFDS leaves it behind."""
    before = set(downloads.rglob(_UNFINISHED))
    try:
        yield
    except BaseException:
        for path in set(downloads.rglob(_UNFINISHED)) - before:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _reason(error: Exception) -> str:
    """The first line of an error, shortened."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:_LONGEST_REASON].rstrip(".")
