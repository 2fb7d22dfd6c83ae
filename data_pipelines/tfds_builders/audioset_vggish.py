"""Clips of AudioSet, as VGGish embeddings, as a data set of TensorFlow Datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

NUM_CLASSES = 100
_CITATION = r"""
@inproceedings{gemmeke2017audioset,
  author    = {Gemmeke, Jort F. and Ellis, Daniel P. W. and Freedman, Dylan and Jansen, Aren and Lawrence, Wade and
               Moore, R. Channing and Plakal, Manoj and Ritter, Marvin},
  title     = {Audio {S}et: An ontology and human-labeled dataset for audio events},
  booktitle = {IEEE International Conference on Acoustics, Speech and Signal Processing},
  year      = {2017}
}
"""


class AudiosetVggish(tfds.core.GeneratorBasedBuilder):
    """Ten-second clips of the 100 classes of Split AudioSet.

    Args:
      archive: A `.npz` file with `x` uint8 [N, 10, 128], `y` [N], `train_idx`, `test_idx` and `meta` (JSON bytes with
        `class_names`).
      options: See `tfds.core.GeneratorBasedBuilder`.
    """

    VERSION = tfds.core.Version("1.0.0")
    ARRAYS = ("x", "y", "train_idx", "test_idx", "meta")

    def __init__(self, archive: Path | None = None, **options: Any) -> None:
        self._archive = archive
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Clips of AudioSet with one of 100 classes, chosen as by Kemker et al. (2018): ten frames, "
            "one a second, of 128 VGGish features, whole numbers from 0 to 255.",
            features=tfds.features.FeaturesDict(
                {
                    "embedding": tfds.features.Tensor(shape=(10, 128), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=NUM_CLASSES),
                    "class_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("embedding", "label"),
            homepage="https://research.google.com/audioset/",
            citation=_CITATION,
            license="CC BY 4.0; the ontology CC BY-SA 4.0",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in ("train", "test")}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, object]]]:
        with np.load(str(self._archive), allow_pickle=False) as arrays:
            clips, labels, indices = arrays["x"], arrays["y"], arrays[f"{split}_idx"]
            names = json.loads(arrays["meta"].tobytes())["class_names"]
        for number, index in enumerate(indices):
            label = int(labels[index])
            yield number, {"embedding": clips[index], "label": label, "class_name": names[label]}
