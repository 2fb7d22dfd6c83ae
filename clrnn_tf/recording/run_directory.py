"""The directory of a run: settings, logs, results, TensorBoard events, checkpoints, exports.

    config.yaml     settings that rebuild the run; under `provenance` the command, data, date, host, commit, versions
    metrics.jsonl   one line for each log entry and validation
    results.json    results after each task; everything outside `timing` is equal for equal runs
    results.csv     the accuracy matrix
    confusion.npz   confusion matrices behind the weighted F1 (softmax only)
    samples.png     a picture of training examples, where the benchmark draws them
    report.html     the report; certificate.json, of one that was extended; tensorboard/, checkpoints/, export/
    .lock           says which process writes to the directory (`clrnn_tf.recording.run_lock`)

Files are written under another name and then renamed, so that a run killed at any moment leaves readable ones.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import yaml

import clrnn_tf
from clrnn_tf.config import Experiment, with_present_names
from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.changes import differences, with_defaults
from clrnn_tf.recording.origin import origin
from clrnn_tf.recording.results import SCHEMA_VERSION, Results, checked_results, matrix_of
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.yaml_files import read_settings

_TABLES = ("results.json", "results.csv", "confusion.npz")
_FILES = ("certificate.json", "metrics.jsonl", "samples.png", "report.html", *_TABLES)
_FOLDERS = ("tensorboard", "checkpoints", "export")
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged file of arrays or JSON can raise."""
_START_ANEW = "Restore it from a copy, or start the run anew with --overwrite."


def library_versions() -> dict[str, str]:
    """Versions that decide numbers."""
    return {"clrnn_tf": clrnn_tf.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}


class RunDirectory:
    """Paths of a run, and the rules of writing to them.

    Args:
      path: An existing run directory; make a new one with `create`.

    Example:
      >>> import tempfile
      >>> from pathlib import Path
      >>> from clrnn_tf import Experiment, RunDirectory
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     run = RunDirectory.create(Path(folder) / "run", Experiment(method="si"), {"data_source": "made up"})
      ...     run.config.is_file(), run.load()  # no task has been learned
      (True, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.jsonl"
        self.results = path / "results.json"
        self.table = path / "results.csv"
        self.confusion = path / "confusion.npz"
        self.checkpoints = path / "checkpoints"
        self.tensorboard = path / "tensorboard"
        self.export = path / "export"

    @classmethod
    def create(
        cls, path: Path, experiment: Experiment, provenance: Mapping[str, object], overwrite: bool = False
    ) -> RunDirectory:
        """Make a run directory and write its `config.yaml`.

        Args:
          path: Where; must be missing or empty, unless `overwrite`. May be a link to a directory.
          experiment: The settings.
          provenance: Facts that are not settings: data source and its fingerprint, preset.
          overwrite: Replace the files of a run. Everything else in its directory is kept, with a warning.

        Raises:
          ConfigurationError: There is something at `path`.
        """
        cls.require_writable(path, overwrite)
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        run._remove_files()
        settings = {**experiment.to_dict(), "provenance": {**provenance, **origin(), "versions": library_versions()}}
        write_text(run.config, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        return run

    @staticmethod
    def require_writable(path: Path, overwrite: bool = False) -> None:
        """Require that a run can be written to `path`: nothing is there, or a run that may be replaced.

        Raises:
          ConfigurationError: There is something else.
        """
        parent = next(parent for parent in [path, *path.parents] if parent.exists() or parent.is_symlink())
        require(parent.exists(), f"{parent} is a link to nothing. Choose another directory with --out.")
        require(parent.is_dir(), f"{parent} is a file, not a directory. Choose another directory with --out.")
        if path.exists() and any(entry.name != ".lock" for entry in path.iterdir()):
            require(_is_run(path), f"{path} exists and is no run of ours. Choose another directory with --out.")
            require(
                overwrite,
                f"{path} holds a run already. Continue it with --resume, choose another directory with --out, or "
                "replace it with --overwrite.",
            )
            for name in (*_FILES, *_FOLDERS):
                entry = path / name
                usual = entry.is_symlink() or not entry.exists() or entry.is_dir() == (name in _FOLDERS)
                kind = "directory" if name in _FOLDERS else "file"
                require(usual, f"{entry} is no {kind}, so no run wrote it. Move it, or choose another --out.")

    def _remove_files(self) -> None:
        """Remove what a run wrote but for `config.yaml`: until that is replaced, what is left is a run."""
        for name in (*_FOLDERS, *_FILES):
            for entry in (self.path / f"{name}.new", self.path / name):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)  # does not follow links
                else:
                    entry.unlink(missing_ok=True)
        kept = sorted(entry.name for entry in self.path.iterdir() if entry.name not in ("config.yaml", ".lock"))
        if kept:
            warnings.warn(f"{self.path} has files of no run, which are kept: {', '.join(kept)}.", stacklevel=3)

    @classmethod
    def open(cls, path: Path, experiment: Experiment) -> RunDirectory:
        """The run directory at `path`, to continue it with the same settings.

        Raises:
          ConfigurationError: There is no run, or its settings differ; the message names those that do.
        """
        run = cls(path)
        require(run.config.is_file(), f"no run to continue in {path}: it has no config.yaml.")
        stored = with_defaults(experiment, with_present_names(read_settings(run.config), experiment.method))
        changed = [
            f"{name} (stored {old!r}, now {new!r})"
            for name, (old, new) in differences(stored, experiment.to_dict()).items()
        ]
        require(
            not changed,
            f"the run in {path} has other settings: {', '.join(changed)}. Leave them out, or choose another --out.",
        )
        return run

    def require_same_data(self, stream: TaskStream) -> None:
        """Require that a continued run sees the data that it began with: their description and their fingerprint.

        Raises:
          ConfigurationError: They differ.
        """
        provenance = provenance_of(read_settings(self.config))
        source, fingerprint = provenance.get("data_source"), provenance.get("fingerprint")
        require(
            source == stream.data_source,
            f"the run in {self.path} began with data: {source}. Received: {stream.data_source}. "
            "Name its directory by --data-dir.",
        )
        present = stream.data_facts.get("fingerprint")
        require(
            fingerprint in (None, present),
            f"the data of the run in {self.path} have changed since it began (fingerprint {fingerprint}). "
            f"Received: fingerprint {present}. Restore the data, or start the run anew with --overwrite.",
        )

    def require_same_run(
        self, stored: Mapping[str, Any], present: Mapping[str, object], experiment: Experiment
    ) -> None:
        """Require that a run is the one whose checkpoint it continues.

        Args:
          stored: Facts about the run, with the checkpoint; `settings` are those of the experiment.
          present: The same facts as they are now.
          experiment: The settings.

        Raises:
          ConfigurationError: `config.yaml` has been edited, the data are others, or the checkpoint is of another run.
        """
        stored = {**stored, "settings": with_defaults(experiment, stored["settings"])}
        changed = differences(stored, present)
        named = ", ".join(
            f"{name.removeprefix('settings.')} (before {old!r}, now {new!r})" for name, (old, new) in changed.items()
        )
        require(not changed, f"the run in {self.path} has changed since its checkpoint: {named}. {_START_ANEW}")

    def load(self) -> ResultMatrix | None:
        """Results so far, or None before the first task was finished."""
        if not self.results.is_file():
            return None
        confusions = self._confusions()
        try:
            matrix = matrix_of(self._results(), confusions)
            matrix.require_whole()
            return matrix
        except _DAMAGE as error:
            raise ConfigurationError(f"{self.results} is damaged ({error}). {_START_ANEW}") from None

    def read_results(self) -> Results:
        """What `results.json` holds.

        Raises:
          ConfigurationError: There is no such file, or it is damaged.
        """
        require(self.results.is_file(), f"no results in {self.path}: it has no results.json.")
        try:
            return checked_results(self._results())
        except (RecursionError, ValueError) as error:
            raise ConfigurationError(f"{self.results} is damaged ({error}). {_START_ANEW}") from None

    def _results(self) -> Any:
        """What `results.json` holds, whatever it is, if this version can understand it."""
        results = json.loads(self.results.read_text(encoding="utf-8"))
        version = results.get("schema_version", SCHEMA_VERSION) if isinstance(results, dict) else SCHEMA_VERSION
        require(
            version == SCHEMA_VERSION,
            f"{self.results} must be of schema version {SCHEMA_VERSION}. Received: {version}. Use the version of "
            "clrnn_tf that wrote it.",
        )
        return results

    def add_result(self, name: str, value: object) -> None:
        """Write one more entry to the results of a run."""
        write_text(self.results, as_json({**self.read_results(), name: value}, indent=2))

    def _confusions(self) -> Mapping[str, np.ndarray]:
        if not self.confusion.is_file():
            return {}
        content = self.confusion.read_bytes()  # first, to tell what is wrong with the disk from what is with the file
        try:
            with np.load(io.BytesIO(content)) as stored:
                return dict(stored)
        except _DAMAGE as error:
            raise ConfigurationError(f"{self.confusion} is damaged ({error}). {_START_ANEW}") from None


def _is_run(path: Path) -> bool:
    """Whether a run wrote the `config.yaml` of a directory: it names the version of this package."""
    config = path / "config.yaml"
    try:
        if not config.is_file():  # to read a named pipe would wait for a writer
            return False
        versions = provenance_of(read_settings(config)).get("versions")
    except ConfigurationError:
        return False
    return isinstance(versions, Mapping) and "clrnn_tf" in versions


def provenance_of(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Where a run of stored settings came from: preset, data source, versions; empty if unknown."""
    provenance = settings.get("provenance", {})
    if not isinstance(provenance, Mapping):
        raise ConfigurationError(f"provenance must hold facts by name. Received: {provenance!r}.")
    return provenance


def as_json(value: object, indent: int | None = None) -> str:
    """JSON and the end of a line; what is not a number becomes null."""
    return json.dumps(_without_nan(value), indent=indent) + "\n"


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
