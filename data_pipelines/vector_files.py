"""Which file holds the word vectors of a language: our names, and those under which vectors are published."""

from __future__ import annotations

import re
from pathlib import Path

from clrnn_tf.errors import require
from data_pipelines.word_vectors import SUFFIXES

_PUBLISHED = (
    r"wiki\.(multi\.)?{language}(\.align)?\.(vec|txt)(\.gz)?",  # fastText, MUSE
    r"cc\.{language}\.\d+\.(vec|txt)(\.gz)?",  # fastText, Common Crawl
    r"numberbatch-{language}(-[\d.]+)?\.txt(\.gz)?",
    r"(polyglot[-_.]{language}|{language}[-_.]polyglot)\.pkl",
    r"{language}[-_.]\d+d?\.(npz|vec|txt|pkl|vec\.gz|txt\.gz)",
)
_PUBLISHED_ENGLISH = (r"glove\..*\.txt(\.gz)?", r"(wiki-news|crawl)-300d.*\.vec(\.gz)?")
_OF_VECTORS = re.compile(
    r"(wiki|cc|glove|polyglot|numberbatch|crawl|googlenews).*\.\w+|.*\.(vec|vec\.gz|vec\.zip|bin|bin\.gz)|"
    r"([a-z]{2,3}|embeddings.*|.*(vectors|embeddings).*)\.(npz|pkl|txt|txt\.gz|zip|tar\.\w+)",
    re.IGNORECASE,
)


def find_vectors(directory: Path, language: str) -> Path | None:
    """The vectors file of a language.

    `xx.npz`, `xx.vec`, `xx.vec.gz`, `xx.pkl`, `xx.txt` or `xx.txt.gz`, whichever comes first; else a file under the
    name that it was published by: `wiki.xx.vec`, `cc.xx.300.vec.gz`, `polyglot-xx.pkl`, `glove.6B.50d.txt` (English).

    Raises:
      ConfigurationError: Several published files are there.
    """
    for suffix in SUFFIXES:
        if (path := directory / f"{language}{suffix}").is_file():
            return path
    patterns = [pattern.replace("{language}", re.escape(language)) for pattern in _PUBLISHED]
    patterns += _PUBLISHED_ENGLISH if language == "en" else ()
    found = [name for name in _names(directory) if any(re.fullmatch(pattern, name) for pattern in patterns)]
    plain = [name for name in found if f"{name}.gz" in found]
    found = [name for name in found if name.removesuffix(".gz") not in plain or name in plain]
    require(
        len(found) < 2,
        f"several files of word vectors of '{language}' in {directory}: {', '.join(found)}. Keep one, or rename it "
        f"to {language}.vec (or .txt, .pkl, as it ends now).",
    )
    return directory / found[0] if found else None


def unused_files(directory: Path, used: set[Path]) -> list[str]:
    """Names of files in a directory that look like word vectors and are not used."""
    return [name for name in _names(directory) if _OF_VECTORS.fullmatch(name) and directory / name not in used]


def _names(directory: Path) -> list[str]:
    try:
        # A broken link is listed, too: somebody wanted its file to be used.
        return sorted(path.name for path in directory.iterdir() if path.is_file() or path.is_symlink())
    except OSError:  # a directory that is not there has no files
        return []
