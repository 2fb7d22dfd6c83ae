"""The data of stored settings: where they were read, and whether those of now are the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from clrnn_tf.config import Experiment, with_present_names
from clrnn_tf.recording.changes import differences, with_defaults
from clrnn_tf.recording.run_directory import provenance_of
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.yaml_files import read_settings
from data_pipelines.storage import DATA_DIR_VARIABLE, warn


def stored_data_dir(provenance: Mapping[str, object], same_run: bool) -> Path | None:
    """The directory that a run was made from, for commands that name none.

    Args:
      provenance: That of the stored settings.
      same_run: Whether the run goes on, and so needs that directory and no other. Where only its settings are taken,
        on this machine or another one, $CLRNN_DATA_DIR stands in for a directory that is not there.
    """
    stored = provenance.get("data_dir")
    if not stored or (not same_run and not Path(str(stored)).is_dir() and os.environ.get(DATA_DIR_VARIABLE)):
        return None
    return Path(str(stored))


def names_other_directory(settings: Path, typed: Path | None) -> bool:
    """Whether a directory was typed that is not the one of the stored settings."""
    return typed is not None and str(typed.absolute()) != provenance_of(read_settings(settings)).get("data_dir")


def warn_of_other_data(path: Path, experiment: Experiment, stream: TaskStream) -> None:
    """Say so where settings of a run are used as they are, and the data are not those of the run.

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
    if source != stream.data_source:
        read_from = f", read from {where}" if where else ""
        warn(
            f"{path} is of a run on other data: {source}{read_from}. Received: {stream.data_source}. Name the "
            "directory of data by --data-dir."
        )
    elif provenance.get("fingerprint") not in (None, present):
        warn(
            f"the data of the run of {path} have changed since: fingerprint {provenance['fingerprint']}, now {present}."
        )
