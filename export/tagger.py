"""An exported tagger in Python: sentences in, tags out, in batches of sentences of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require

_MOST_SENTENCES = 128
_MOST_PLACES = 8192  # sentences of a batch times words of the longest


class Tagged(NamedTuple):
    """The answer to one sentence of T words."""

    tags: list[str]
    """T."""
    entropies: np.ndarray
    """[T], of the probabilities of each word's tags; nats."""


class Tagger:
    """Tags sentences of any length.

    Args:
      function: From words [B, T] to `tags` and `probabilities`: the signature `tag` of `export.saved_model`.
      model: What holds the variables that the function reads, where the function does not.
    """

    def __init__(self, function: Callable[..., Mapping[str, tf.Tensor]], model: object = None) -> None:
        self._function, self._model = function, model

    @classmethod
    def load(cls, path: Path) -> Tagger:
        """The tagger in a SavedModel.

        Raises:
          ConfigurationError: The SavedModel is damaged, or takes no words.
        """
        try:
            model = tf.saved_model.load(str(path))
        except (OSError, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise ConfigurationError(f"{path} cannot be loaded as a SavedModel: {reason}.") from None
        signatures = dict(model.signatures)
        require("tag" in signatures, f"the model in {path} takes no words: it has no signature 'tag'. Export it anew.")
        return cls(signatures["tag"], model)

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[Tagged]:
        """Tags of sentences, in their order; words get composed letters (NFC) first."""
        answers = [Tagged([], np.zeros([0]))] * len(sentences)
        for batch in _batches([len(sentence) for sentence in sentences]):
            longest = max(len(sentences[number]) for number in batch)
            rows = [[normalize("NFC", word) for word in sentences[number]] for number in batch]
            outputs = self._function(words=tf.constant([row + [""] * (longest - len(row)) for row in rows], tf.string))
            tags, probabilities = outputs["tags"].numpy(), outputs["probabilities"].numpy()
            entropies = -np.sum(probabilities * np.log(np.maximum(probabilities, 1e-30)), axis=-1)
            for row, number in enumerate(batch):
                length = len(sentences[number])
                answers[number] = Tagged([tag.decode() for tag in tags[row, :length]], entropies[row, :length])
        return answers


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of sentences that are tagged together, those of similar lengths; empty ones are left out."""
    batch: list[int] = []
    for number in sorted((number for number, length in enumerate(lengths) if length), key=lengths.__getitem__):
        if batch and (len(batch) == _MOST_SENTENCES or (len(batch) + 1) * lengths[number] > _MOST_PLACES):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
