"""Stroke-MNIST as a data set of TensorFlow Datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

_CITATION = r"""
@misc{dejong2016mnist,
  author = {de Jong, Edwin D.},
  title  = {The {MNIST} digits stroke sequence data},
  year   = {2016},
  url    = {https://edwin-de-jong.github.io/blog/mnist-sequence-data/}
}
"""


class StrokeMnist(tfds.core.GeneratorBasedBuilder):
    """The digits of MNIST as pen strokes, in the order of MNIST.

    Args:
      archive: A `.npz` file with `train_x` int8 [sum of lengths, 4], `train_len` and `train_y`, and `test_*` likewise.
      options: See `tfds.core.GeneratorBasedBuilder`.
    """

    VERSION = tfds.core.Version("1.0.0")
    ARRAYS = ("train_x", "train_len", "train_y", "test_x", "test_len", "test_y")

    def __init__(self, archive: Path | None = None, **options: Any) -> None:
        self._archive = archive
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="The digits of MNIST, thinned and traced. A step is the offset (dx, dy) of the pen in pixels, "
            "whether a stroke ends, and whether the digit ends. The first offset is the place where the pen starts.",
            features=tfds.features.FeaturesDict(
                {
                    "strokes": tfds.features.Tensor(shape=(None, 4), dtype=np.int8),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("strokes", "label"),
            homepage="https://github.com/edwin-de-jong/mnist-digits-stroke-sequence-data",
            citation=_CITATION,
            license="CC BY-SA 3.0",
            disable_shuffling=True,  # the published benchmarks take validation digits from the front
        )

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in ("train", "test")}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, object]]]:
        with np.load(str(self._archive), allow_pickle=False) as arrays:
            steps, lengths, labels = (arrays[f"{split}_{name}"] for name in ("x", "len", "y"))
        ends = np.cumsum(lengths, dtype=np.int64)
        for number, (end, length, label) in enumerate(zip(ends, lengths, labels, strict=True)):
            yield number, {"strokes": steps[end - length : end], "label": int(label)}
