"""Where strokes of digits come from: a prepared `.npz`, the text release, images of MNIST, or the embedded digits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.digit_images import LICENCE, find_idx, read_idx, read_tfds, tfds_download
from data_pipelines.storage import fingerprint
from data_pipelines.stroke_digits import StrokeData, read_npz, write_npz
from data_pipelines.stroke_text import find_text, read_text
from data_pipelines.tfds_datasets import fetch

SourceName = Literal["auto", "npz", "text", "images", "tfds", "starter"]
STARTER = Path(__file__).parent / "starter_strokes" / "strokes.npz"
PREPARED = "stroke_mnist.npz"
_FOLDERS = ("", "stroke_mnist", "mnist")  # of the data directory
_WANTED = {
    "npz": PREPARED,
    "text": "trainimg-0-inputdata.txt (in sequences/) or sequences.tar.gz",
    "images": "train-images-idx3-ubyte(.gz)",
}
_LICENCES = {
    "strokes": "CC BY-SA 3.0 (E. de Jong, MNIST digits stroke sequence data)",
    "images": LICENCE,
    "starter": "CC BY 4.0 (Alpaydin and Kaynak, UCI optical recognition of handwritten digits)",
}


class Strokes(NamedTuple):
    """Strokes, and where they come from."""

    data: StrokeData
    source: str
    """In words."""
    facts: dict[str, object]
    """For `TaskStream.data_facts`: licence, fingerprint."""


class HasSource(Protocol):
    """Settings of a benchmark of strokes."""

    @property
    def source(self) -> SourceName:
        """Where strokes come from."""


def download(config: HasSource) -> None:
    """Fetch and prepare the images that `source = tfds` reads, after saying what is fetched.

    Raises:
      ConfigurationError: The settings name another source, or there is no network.
    """
    require(
        config.source == "tfds", f"--download fetches what --source tfds reads. Received: data.source {config.source}."
    )
    fetch([tfds_download()])


def read_strokes(data_dir: Path | None, source: SourceName = "auto", cache: Path | None = None) -> Strokes:
    """Read the digits.

    Args:
      data_dir: Where to look: there, and in its folders `stroke_mnist` and `mnist`. None takes the embedded digits.
      source: What to read; `auto` takes the first that is found of `.npz`, text and images.
      cache: A `.npz` file to keep strokes from text and images in; where it is there, it is read instead.

    Raises:
      ConfigurationError: Nothing is found, or what is found is damaged.
    """
    if source == "starter" or (source == "auto" and data_dir is None):
        return _prepared(STARTER, "scikit-learn digits as strokes, embedded", "starter")
    if cache is not None and cache.is_file():
        return _prepared(cache, f"digits as strokes, kept in {cache.name}", "images" if source == "tfds" else "strokes")
    if source == "tfds":
        strokes = Strokes(read_tfds(), "TFDS mnist, traced as strokes", {"licence": _LICENCES["images"]})
        return _kept(strokes, cache)
    if data_dir is None:
        raise ConfigurationError(f"data.source {source} needs a directory. Name it with --data-dir.")
    return _read_directory(data_dir, source, cache)


def _read_directory(data_dir: Path, source: SourceName, cache: Path | None) -> Strokes:
    folders = [data_dir / name for name in _FOLDERS]
    if source in ("auto", "npz"):
        for folder in folders:
            if (folder / PREPARED).is_file():
                return _prepared(folder / PREPARED, "MNIST digits stroke sequence data", "strokes")
    if source in ("auto", "text"):
        for folder in folders:
            if place := find_text(folder):
                facts: dict[str, object] = {"licence": _LICENCES["strokes"]}
                words = f"MNIST digits stroke sequence data, text release in {place.name}"
                return _kept(Strokes(read_text(place), words, facts), cache)
    if source in ("auto", "images"):
        for folder in folders:
            if place := find_idx(folder):
                facts = {"licence": _LICENCES["images"]}
                return _kept(Strokes(read_idx(place), "MNIST images, traced as strokes", facts), cache)
    wanted = [_WANTED[source]] if source != "auto" else list(_WANTED.values())
    raise ConfigurationError(
        f"no strokes in {data_dir}: {', '.join(wanted)} was wanted there or in its folders stroke_mnist, mnist. Leave "
        "--data-dir out to take the embedded digits."
    )


def _prepared(path: Path, words: str, licence: str) -> Strokes:
    return Strokes(read_npz(path), words, {"licence": _LICENCES[licence], "fingerprint": fingerprint([path])})


def _kept(strokes: Strokes, cache: Path | None) -> Strokes:
    if cache is not None:
        require(cache.suffix == ".npz", f"data.cache must be a file NAME.npz. Received: {cache}.")
        write_npz(cache, strokes.data)
    return strokes
