"""The data of stored settings: where they were read, and whether those of now are the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from clrnn_tf.config import Experiment, with_present_names
from clrnn_tf.errors import require
from clrnn_tf.recording.changes import differences, with_defaults
from clrnn_tf.recording.run_directory import provenance_of
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.yaml_files import read_settings
from data_pipelines.storage import DATA_DIR_VARIABLE, find_data_dir, warn


def data_dir_of(typed: Path | None, provenance: Mapping[str, object], same_run: bool, needed: bool) -> Path | None:
    """The directory of external data that a command reads, or None for the embedded default.

    It is the one that was typed, else the one that a run with stored settings was made from, else $CLRNN_DATA_DIR.

    Args:
      typed: Value of `--data-dir`.
      provenance: That of the stored settings.
      same_run: Whether the run goes on, and so needs that directory and no other. Where only its settings are taken,
        on this machine or another one, $CLRNN_DATA_DIR stands in for a directory that is not there.
      needed: Whether data are read, and no other source of them was typed.

    Raises:
      ConfigurationError: The directory is not there.
    """
    stored = provenance.get("data_dir")
    if typed is not None or not stored:
        return find_data_dir(typed)
    if Path(str(stored)).is_dir():
        return Path(str(stored))
    stands_in = not same_run and bool(os.environ.get(DATA_DIR_VARIABLE))
    require(
        stands_in or not needed,
        f"the run with these settings read its data from {stored}, which is not there. Name the directory by "
        "--data-dir.",
    )
    return find_data_dir(None) if stands_in else None


def names_other_directory(settings: Path, typed: Path | None) -> bool:
    """Whether a directory was typed that is not the one of the stored settings."""
    if typed is None:
        return False
    stored = provenance_of(read_settings(settings)).get("data_dir")
    return not stored or typed.resolve() != Path(str(stored)).resolve()


def warn_of_other_data(path: Path, experiment: Experiment, stream: TaskStream) -> None:
    """Say so where settings of a run are used as they are, and the data are not those of the run.

    For commands that name no directory of data: those that do want other data.

    Args:
      path: The settings.
      experiment: What was made of them.
      stream: The data.
    """
    settings = read_settings(path)
    provenance = provenance_of(settings)
    if not provenance.get("data_source"):  # they are of no run
        return
    stored = with_defaults(experiment, with_present_names(settings, experiment.method))
    if any(name.startswith("data.") for name in differences(stored, experiment.to_dict())):
        return
    source, where, present = provenance["data_source"], provenance.get("data_dir"), stream.data_facts.get("fingerprint")
    fingerprint = provenance.get("fingerprint")
    if fingerprint is not None and fingerprint == present:
        return
    if source != stream.data_source:
        read_from = f", read from {where}" if where else ""
        warn(
            f"{path} is of a run on other data: {source}{read_from}. Received: {stream.data_source}. Name the "
            "directory of data by --data-dir."
        )
    elif fingerprint is not None:
        warn(f"the data of the run of {path} have changed since: fingerprint {fingerprint}, now {present}.")
