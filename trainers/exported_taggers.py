"""The taggers that a run has exported, and which of them speaks the language of a text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require
from export.tagger import Tagger


class Language(NamedTuple):
    """A language that was inferred."""

    name: str
    tagger: Tagger
    probabilities: dict[str, float]
    """Of every language, the most probable first."""


def find_taggers(run: Path) -> dict[str, Path]:
    """The SavedModels that take words, by language.

    Args:
      run: A run directory, or a directory of exports (`LANGUAGE/1`).

    Raises:
      ConfigurationError: There are none.
    """
    require(run.is_dir(), f"no such directory: {run}. Name the directory of a run.")
    folder = run / "export" if (run / "export").is_dir() else run
    models = {path.parent.parent.name: path.parent for path in sorted(folder.glob("*/1/saved_model.pb"))}
    require(
        bool(models),
        f"no taggers in {run}: it has no exports (export/LANGUAGE/1). A run writes them when it ends; continue it with "
        "--resume, or export what is learned so far: clrnn_tf.load_run(RUN).export(RUN + '/export').",
    )
    taggers = {name: path for name, path in models.items() if _takes_words(path)}
    require(
        bool(taggers),
        f"the models in {folder} take no words. They are of another benchmark, or of an earlier version: then export "
        "them anew, clrnn_tf.load_run(RUN).export(RUN + '/export').",
    )
    return taggers


def load_tagger(taggers: Mapping[str, Path], language: str) -> Tagger:
    """The tagger of a language.

    Raises:
      ConfigurationError: There is none, or it is damaged.
    """
    require(language in taggers, f"no tagger of language '{language}'. Known: {', '.join(taggers)}.")
    return Tagger.load(taggers[language])


def infer_language(taggers: Mapping[str, Path], sentences: Sequence[Sequence[str]]) -> Language:
    """The language whose tagger is surest of its tags.

        H_k = mean over words of the entropy of tagger k's probabilities,     p_k = exp(-H_k) / sum_j exp(-H_j)

    The language of the lowest H, which has the highest p, is taken.

    Args:
      taggers: Their paths by language.
      sentences: Words; all sentences are of one language.
    """
    best, entropies = None, {}
    for language in taggers:
        tagger = load_tagger(taggers, language)
        entropies[language] = float(np.mean(np.concatenate([answer.entropies for answer in tagger(sentences)])))
        if best is None or entropies[language] < entropies[best[0]]:
            best = language, tagger
    if best is None:
        raise ConfigurationError("a language can be inferred of at least one tagger. Received: none.")
    certainties = {language: np.exp(-entropy) for language, entropy in entropies.items()}
    total = sum(certainties.values())
    ordered = sorted(certainties, key=entropies.__getitem__)
    return Language(*best, {language: float(certainties[language] / total) for language in ordered})


def _takes_words(path: Path) -> bool:
    """Whether a model takes words and nothing else; that of all tasks takes the task as well."""
    try:
        said = json.loads((path / "metadata.json").read_text(encoding="utf-8"))
        return "tag" in said["signatures"] and "task" in said
    except (OSError, ValueError, LookupError, TypeError):
        return False
