"""Servables on disk: a SavedModel, and beside it what it is, the names of its classes, and recorded answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from clrnn_tf.durable_files import write_bytes, write_text
from clrnn_tf.recording.run_directory import as_json, library_versions
from clrnn_tf.streams.tasks import TaskStream
from export.probes import Probe, as_npz
from export.reload import PROBES


def storable(
    functions: Mapping[str, tf.types.experimental.PolymorphicFunction], kept: Iterable[object]
) -> tuple[tf.Module, dict[str, tf.types.experimental.ConcreteFunction]]:
    """The traced functions, and a module that holds what they read and nothing else.

    Functions that a module holds would be traced once more when it is stored.

    Args:
      functions: By name.
      kept: The modules and look-up tables that they read.
    """
    traced = {name: function.get_concrete_function() for name, function in functions.items()}
    module = tf.Module()
    module.variables_read = list({id(v): v for function in traced.values() for v in function.variables}.values())
    module.kept = list(kept)
    return module, traced


def write_servable(
    module: tf.Module,
    signatures: Mapping[str, object],
    path: Path,
    facts: Mapping[str, object],
    class_names: Sequence[str],
    probes: Mapping[str, Probe],
) -> Path:
    """Write a version of a servable, `NAME/VERSION`. It is written beside and renamed when it is whole.

    Args:
      module: What holds the variables.
      signatures: Functions by name.
      path: Where to write, `.../NAME/VERSION`. What was there is replaced.
      facts: For `metadata.json`.
      class_names: For `labels.txt`; none without names.
      probes: For `assets.extra/probes.npz`: answers that the model must give wherever it is loaded.

    Raises:
      OSError: It cannot be written.
    """
    beside = path.parent.with_name(f".{path.parent.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(beside)
    try:
        tf.saved_model.save(module, str(beside), signatures=dict(signatures))
    except tf.errors.OpError as error:
        raise OSError(f"{path} could not be written: {str(error).partition(chr(10))[0]}") from None
    if class_names:
        write_text(beside / "labels.txt", "".join(f"{label}\n" for label in class_names))
    write_text(beside / "metadata.json", as_json(facts, indent=2))
    (beside / PROBES).parent.mkdir(exist_ok=True)
    write_bytes(beside / PROBES, as_npz(probes))
    remove(path)
    beside.rename(path)
    return path


def metadata(stream: TaskStream, signatures: Iterable[str], raw_width: int | None = None) -> dict[str, object]:
    """What an exported model is, for people and for servers.

    Args:
      stream: The tasks.
      signatures: By name.
      raw_width: Numbers of a step as measured, where there is a signature `raw`.
    """
    inputs: dict[str, object] = {"width": stream.input_width, "dtype": stream.input_dtype.name}
    raw = {} if raw_width is None else {"raw": {**inputs, "width": raw_width}}
    return {
        "benchmark": stream.name,
        "signatures": sorted(signatures),
        "inputs": {"serving_default": inputs, **({"tag": "words"} if "tag" in signatures else {}), **raw},
        "outputs": stream.outputs,
        "class_names": stream.class_names,
        "data_source": stream.data_source,
        "fingerprint": stream.data_facts.get("fingerprint"),
        "versions": library_versions(),
    }


def is_whole(path: Path) -> bool:
    """Whether there is a SavedModel at `path` that can be loaded."""
    try:
        tf.saved_model.load(str(path))
    except Exception:  # noqa: BLE001 - damage shows as almost anything
        return False
    return True


def remove(path: Path) -> None:
    """Remove what is there, a file or a directory with all that is in it; a link, not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
