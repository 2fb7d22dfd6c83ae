"""Images of digits that become strokes: the IDX files of MNIST, TFDS `mnist`, and the digits of scikit-learn."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.stroke_digits import StrokeData, StrokeDigits, joined
from data_pipelines.stroke_tracing import SIZE, trace
from data_pipelines.tfds_datasets import Download, builder, examples, rows

LICENCE = "CC BY-SA 3.0 (LeCun, Cortes and Burges, MNIST)"
_TFDS = "mnist"
_IDX = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTES = 8  # code of this type in an IDX header
_STARTER_TRAIN = 1437  # of the 1,797 digits of scikit-learn: the first 80 %


class Images(NamedTuple):
    """Images of one split."""

    pixels: np.ndarray
    """[N, 28, 28] uint8, bright on dark."""
    labels: np.ndarray
    """[N]."""


def find_idx(directory: Path) -> Path | None:
    """The directory of MNIST's IDX files at or below a directory, or None."""
    for place in (directory, directory / "raw", directory / "MNIST" / "raw"):
        if _idx_file(place, "train-images", 3) is not None:
            return place
    return None


def read_idx(directory: Path) -> StrokeData:
    """Strokes of the images in `train-images-idx3-ubyte`, `t10k-images-idx3-ubyte` and their labels (also `.gz`).

    Raises:
      ConfigurationError: A file is missing or damaged.
    """
    return StrokeData(*(traced(_read_split(directory, split), f"{directory}, {split}") for split in _IDX))


def tfds_download() -> Download:
    """What has to be fetched for TFDS `mnist`."""
    sizes = {address: info.size for address, info in builder(_TFDS).url_infos.items()}
    return Download(_TFDS, sizes, LICENCE)


def read_tfds() -> StrokeData:
    """Strokes of TFDS `mnist`.

    Raises:
      ConfigurationError: tensorflow_datasets is not installed, or the data set is not prepared, or damaged.
    """
    download, parts = tfds_download(), []
    for split in _IDX:
        where = f"TFDS {_TFDS}, {split}"
        read = list(rows(examples(download, split, ("image", "label")), where))
        pixels = np.stack([row["image"][..., 0] for row in read])
        parts.append(traced(Images(pixels, np.array([row["label"] for row in read])), where))
    return StrokeData(*parts)


def read_scikit_learn() -> StrokeData:
    """Strokes of scikit-learn's 1,797 digits (UCI, 8 x 8 pixels), which are drawn 2.5 times as large in 28 x 28 pixels.

    Raises:
      ConfigurationError: scikit-learn or scikit-image is not installed.
    """
    try:
        from skimage.transform import resize
        from sklearn.datasets import load_digits
    except ImportError:
        raise ConfigurationError(
            "the digits need scikit-learn and scikit-image. Run pip install scikit-learn scikit-image."
        ) from None
    digits = load_digits()
    margin = (SIZE - 20) // 2
    pixels = np.zeros((len(digits.images), SIZE, SIZE), np.uint8)
    for number, image in enumerate(digits.images):
        large = np.clip(resize(image / 16, (20, 20), order=3), 0, 1)
        pixels[number, margin:-margin, margin:-margin] = np.round(255 * large)
    parts = slice(0, _STARTER_TRAIN), slice(_STARTER_TRAIN, None)
    return StrokeData(*(traced(Images(pixels[part], digits.target[part]), "scikit-learn digits") for part in parts))


def traced(images: Images, where: str) -> StrokeDigits:
    """The strokes of images.

    Raises:
      ConfigurationError: An image is empty.
    """
    digits = []
    for number, image in enumerate(images.pixels):
        try:
            digits.append(trace(image))
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}, image {number}: {error}") from None
    return joined(digits, images.labels)


def _idx_file(directory: Path, name: str, rank: int) -> Path | None:
    for dash in ("-", "."):
        for ending in ("", ".gz"):
            path = directory / f"{name}{dash}idx{rank}-ubyte{ending}"
            if path.is_file():
                return path
    return None


def _read_split(directory: Path, split: str) -> Images:
    arrays = []
    for what, shape in (("images", (SIZE, SIZE)), ("labels", ())):
        path = _idx_file(directory, f"{_IDX[split]}-{what}", len(shape) + 1)
        if path is None:
            raise ConfigurationError(f"{directory} has no {_IDX[split]}-{what}-idx{len(shape) + 1}-ubyte(.gz).")
        arrays.append(_read_idx(path, shape))
    pixels, labels = arrays
    require(
        len(pixels) == len(labels),
        f"{directory}, {split}: there must be as many labels as images. Received: {len(labels)} and {len(pixels)}.",
    )
    bad = np.flatnonzero(labels > 9)
    require(
        len(bad) == 0, f"{directory}, {split}, image {bad[:1]}: labels must be 0 to 9. Received: {labels[bad[:1]]}."
    )
    return Images(pixels, labels)


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """An array [N, *shape] of bytes."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(f"{path} is no gzip file, or is cut off ({error}). Get it again.") from None
    rank = len(shape) + 1
    header = 4 + 4 * rank
    require(
        len(content) >= header,
        f"{path} must begin with a header of {header} bytes. Received: {len(content)} bytes; is it cut off?",
    )
    sizes = np.frombuffer(content[4:header], ">u4").tolist()
    require(
        content[:4] == bytes([0, 0, _UNSIGNED_BYTES, rank]) and tuple(sizes[1:]) == shape,
        f"{path} must be an IDX file of bytes [N, {', '.join(map(str, shape))}]. Received: {content[:4].hex()}, sizes "
        f"{sizes}.",
    )
    wanted = int(np.prod(sizes, dtype=np.int64))
    require(
        len(content) - header == wanted,
        f"{path} must hold {wanted} bytes after its header. Received: {len(content) - header}; is it cut off?",
    )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
