"""A directory that a model server reads: versions of servables, which of them are served, and one way to change it.

    NAME/VERSION/          a servable with its MODEL_CARD.md; it appears whole, and never changes
    models.config          the version of each servable that is served
    batching_params.pbtxt  how requests are joined; monitoring.config, docker-compose.yaml
    SHA256SUMS             of all files, for `sha256sum -c`

A version is a retraining. `models.config` is replaced whole, so a server that polls it sees the old release or the new
one: publishing and rolling back are one renaming.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from export.writing import remove

MODELS_CONFIG = "models.config"
BATCHING = "batching_params.pbtxt"
MONITORING = "monitoring.config"
COMPOSE = "docker-compose.yaml"
CARD = "MODEL_CARD.md"
SUMS = "SHA256SUMS"
MOUNTED = "/models"
"""Where a container has the directory."""
_KEPT = 3  # versions of a servable that stay on disk

_MODEL = """\
  config {{
    name: "{name}"
    base_path: "{mounted}/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: {version} }} }}
    version_labels {{ key: "stable" value: {version} }}
  }}
"""
BATCHING_TEXT = """\
# Requests of one signature are joined, and padded to the longest one: every signature is told the lengths.
max_batch_size { value: 128 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 1000 }
num_batch_threads { value: 4 }
pad_variable_length_inputs: true
"""
MONITORING_TEXT = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'


def publish(servable: Path, directory: Path, name: str, complete: Callable[[Path, int], None]) -> Path:
    """Copy a servable to the next version of `directory/NAME`, which appears whole or not at all.

    It is not served before `serve` says so.

    Args:
      servable: `NAME/VERSION`, as `export.writing` makes it.
      directory: Of the releases; may be missing.
      name: Under which it is served.
      complete: Adds what belongs to it, given the directory of the copy and its version.
    """
    version = max(versions_of(directory, name), default=0) + 1
    beside, path = directory / f".{name}.tmp", directory / name / str(version)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(beside)
    shutil.copytree(servable, beside)
    complete(beside, version)
    beside.rename(path)
    return path


def versions_of(directory: Path, name: str) -> list[int]:
    """Versions of a servable that are there, ascending."""
    found = [path.parent.name for path in (directory / name).glob("*/saved_model.pb")]
    return sorted(int(version) for version in found if version.isdigit())


def serve(directory: Path, versions: Mapping[str, int]) -> None:
    """Say which version of each servable is served."""
    models = [_MODEL.format(name=name, version=version, mounted=MOUNTED) for name, version in sorted(versions.items())]
    write_text(directory / MODELS_CONFIG, f"model_config_list {{\n{''.join(models)}}}\n")


def served(directory: Path) -> dict[str, int]:
    """The version of each servable that is served.

    Raises:
      ConfigurationError: The directory is none of releases.
    """
    path = directory / MODELS_CONFIG
    require(path.is_file(), f"no releases in {directory}: it has no {MODELS_CONFIG}, as export.bundle writes it.")
    found = re.findall(r'name: "([^"]+)".*?specific \{ versions: (\d+) \}', path.read_text(encoding="utf-8"), re.DOTALL)
    if not found:
        raise ConfigurationError(f"{path} names no model, as export.bundle writes it.")
    return {name: int(version) for name, version in found}


def roll_back(directory: Path) -> dict[str, int]:
    """Serve the version before the present one of each servable; the versions that are served now.

    Raises:
      ConfigurationError: A servable has no earlier version; nothing is changed then.
    """
    earlier = {}
    for name, version in served(directory).items():
        before = [other for other in versions_of(directory, name) if other < version]
        require(bool(before), f"'{name}' has no version before {version}, which is served.")
        earlier[name] = before[-1]
    serve(directory, earlier)
    write_sums(directory)
    return earlier


def remove_old(directory: Path) -> None:
    """Remove versions but for the last three and the one that is served."""
    for name, version in served(directory).items():
        for old in versions_of(directory, name)[:-_KEPT]:
            if old != version:
                remove(directory / name / str(old))


def write_sums(directory: Path) -> None:
    """Write `SHA256SUMS` of all files below."""
    write_text(directory / SUMS, "".join(f"{digest}  {name}\n" for name, digest in _digests(directory).items()))


def changed_files(directory: Path) -> list[str]:
    """Files that are not as `SHA256SUMS` says, that are missing, or that it does not know."""
    lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
    written = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = _digests(directory)
    return sorted(name for name in written.keys() | present.keys() if written.get(name) != present.get(name))


def _digests(directory: Path) -> dict[str, str]:
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    names = [path.relative_to(directory).as_posix() for path in paths]
    return {
        name: _digest(path)
        for name, path in zip(names, paths, strict=True)
        if name != SUMS and not name.startswith(".")
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
