"""Data sets that TensorFlow Datasets lacks, as builders of our own: `stroke_mnist` and `audioset_vggish`.

They are made from prepared archives on this machine. Importing a builder registers it, so that `tfds.load` knows its
name.
"""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from data_pipelines.tfds_datasets import package

BUILDERS = {"stroke_mnist": "StrokeMnist", "audioset_vggish": "AudiosetVggish"}
"""Class of each builder, in the module of its name."""


def prepare(name: str, archive: Path, directory: Path | None = None) -> Any:
    """The `tfds.core.DatasetBuilder` of a data set, prepared from an archive if it is not yet.

    Args:
      name: One of `BUILDERS`.
      archive: The prepared `.npz` file.
      directory: Where TFDS keeps its data sets; by default `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

    Raises:
      ConfigurationError: TFDS is not installed, the name is unknown, or the archive is missing or holds other arrays.

    `docs/datasets.md` has an example.
    """
    package()
    require(name in BUILDERS, f"the builders are {', '.join(BUILDERS)}. Received: {name}.")
    made = getattr(importlib.import_module(f"data_pipelines.tfds_builders.{name}"), BUILDERS[name])
    builder = made(data_dir=None if directory is None else str(directory), archive=archive)
    if not (Path(builder.data_path).is_dir() and builder.is_prepared()):  # of what is not there, TFDS warns
        check_archive(archive, made.ARRAYS)
        builder.download_and_prepare()
    return builder


def check_archive(archive: Path, wanted: tuple[str, ...]) -> None:
    """Refuse an archive that cannot be opened or lacks an array.

    Raises:
      ConfigurationError: The message names it.
    """
    require(archive.is_file(), f"no such file: {archive}. Wanted: an archive of the arrays {', '.join(wanted)}.")
    try:
        with np.load(archive, allow_pickle=False) as arrays:
            missing = [name for name in wanted if name not in arrays.files]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{archive} is no archive of arrays ({error}).") from None
    require(not missing, f"{archive} must hold {', '.join(wanted)}. It lacks {', '.join(missing)}.")
