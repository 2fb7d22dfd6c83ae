"""UDPipe 1's tagger: an averaged perceptron, from the package `ufal.udpipe`."""

from __future__ import annotations

import importlib
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.notices import closed_stderr
from data_pipelines.conllu_files import UPOS, Sentence
from data_pipelines.word_vectors import UNKNOWN, WordVectors


def settings(iterations: int) -> str:
    """UDPipe's options for this many passes over the sentences: all else is its default.

    Universal tags are the only column of the sentences that it is given, so they are all that it learns.
    """
    return f"models=1;iterations_1={iterations}"


def package() -> ModuleType:
    """The package `ufal.udpipe`.

    Raises:
      ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module("ufal.udpipe")
    except ImportError:
        raise ConfigurationError(
            "the perceptron needs the package ufal.udpipe: pip install 'clrnn_tf[perceptron]'."
        ) from None


class Accuracy(NamedTuple):
    """Words of test sentences that are tagged right, in percent."""

    test_words: int
    accuracy: float
    test_words_with_vector: int | None
    """Words that a network with word vectors is scored on; None without vectors."""
    accuracy_with_vector: float | None


class Tagger:
    """A perceptron that tags words with universal tags.

    Args:
      model: As `train` returns it.
    """

    def __init__(self, model: bytes) -> None:
        self._udpipe = package()
        with tempfile.TemporaryDirectory() as folder:  # UDPipe loads files only
            path = Path(folder) / "tagger.udpipe"
            path.write_bytes(model)
            self._model = self._udpipe.Model.load(str(path))

    def tag(self, forms: Sequence[str]) -> list[str]:
        """The universal tag of each word of a sentence."""
        sentence, failure = self._udpipe.Sentence(), self._udpipe.ProcessingError()
        for form in forms:
            sentence.addWord(form)
        self._model.tag(sentence, self._model.DEFAULT, failure)
        require(not failure.occurred(), f"UDPipe cannot tag {' '.join(forms)[:80]!r}: {failure.message}.")
        return [sentence.words[number].upostag for number in range(1, len(forms) + 1)]  # word 0 is the root


def train(sentences: Sequence[Sentence], iterations: int = 10) -> bytes:
    """Train a tagger; the bytes of its model, which are equal for equal sentences.

    Raises:
      ConfigurationError: `ufal.udpipe` is not installed, or UDPipe refuses the sentences.
    """
    udpipe = package()
    failure, prepared = udpipe.ProcessingError(), udpipe.Sentences()
    for words in sentences:
        sentence = udpipe.Sentence()
        for word in words:
            sentence.addWord(word.form).upostag = UPOS[word.upos]
        prepared.push_back(sentence)
    with closed_stderr(), _stopped_at_once():
        model = udpipe.Trainer.train(
            "morphodita_parsito", prepared, udpipe.Sentences(), "none", settings(iterations), "none", failure
        )
    require(not failure.occurred(), f"UDPipe cannot train on these sentences: {' '.join(failure.message.split())}")
    return model


def score(tagger: Tagger, sentences: Sequence[Sentence], vectors: WordVectors | None = None) -> Accuracy:
    """Accuracy on all words, and on those that have a vector."""
    row = lru_cache(maxsize=None)(vectors.row) if vectors is not None else None
    right: list[bool] = []
    right_with_vector: list[bool] = []
    for words in sentences:
        for word, tag in zip(words, tagger.tag([word.form for word in words]), strict=True):
            right.append(tag == UPOS[word.upos])
            if row is not None and row(word.form) != UNKNOWN:
                right_with_vector.append(right[-1])
    if row is None:
        return Accuracy(len(right), _percent(right), None, None)
    with_vector = _percent(right_with_vector) if right_with_vector else None
    return Accuracy(len(right), _percent(right), len(right_with_vector), with_vector)


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """An interrupt ends the process, because Python does not see it before the training in C++ is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _percent(right: Sequence[bool]) -> float:
    return 100 * sum(right) / len(right)
