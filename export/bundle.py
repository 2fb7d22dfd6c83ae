"""Publish the model of all tasks of a run for a model server: ``python -m export.bundle RUN --out DIR``.

RUN is the directory of a run, or of its exports. DIR becomes what TensorFlow Serving's official image reads, with
settings, warm-up requests, a model card and checksums (`export.releases`). Publishing to the same DIR again adds the
next version; a server that runs takes it up. `python -m export.rollback DIR` goes back to the version before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.certificates import read_certificate
from export import releases
from export.all_tasks import ALL_TASKS
from export.command_line import Parser, exit_code
from export.model_card import DOCKER_RUN, compose_file, model_card
from export.warm_up import write_warm_up

PROGRAM = "python -m export.bundle"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    return exit_code(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def parser() -> Parser:
    """The flags of the command."""
    parsed = Parser(PROGRAM, (__doc__ or "").partition("\n\n")[2])
    parsed.add_argument("run", metavar="RUN", type=Path, help="directory of a run, or of its exports")
    parsed.add_argument("--out", metavar="DIR", type=Path, required=True, help="where a server reads")
    parsed.add_argument("--name", help="under which the model is served; by default that of the benchmark")
    return parsed


def _run(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    path = bundle(options.run, options.out, options.name)
    print(f"published {path.parent.name}, version {path.name}, in {options.out}. Serve it, in that directory:")
    print(DOCKER_RUN)
    return 0


def bundle(run: Path, directory: Path, name: str | None = None) -> Path:
    """Publish the model of all tasks of a run.

    Args:
      run: Directory of the run, or of its exports.
      directory: Of the releases; may be missing, or have earlier ones.
      name: Under which the model is served; by default that of the benchmark.

    Returns:
      The version that was published, `directory/NAME/VERSION`.

    Raises:
      ConfigurationError: There is no such model, or the directory has something else in it.
    """
    servable = _servable(run)
    said, certificate = _metadata(servable), read_certificate(run)
    require(
        certificate is None or certificate.passed,
        f"the model in {run} must not be published: {certificate.fault if certificate else ''}.",
    )
    name = name or str(said["benchmark"])
    require(name.replace("-", "_").isidentifier(), f"name must be letters, digits, _ and -. Received: '{name}'.")
    is_new = not directory.exists() or not any(directory.iterdir())
    versions = {} if is_new else releases.served(directory)

    def complete(copy: Path, version: int) -> None:
        write_warm_up(copy, name)
        write_text(copy / releases.CARD, model_card(name, version, said, certificate))
        if certificate is not None:
            certificate.write(copy)

    path = releases.publish(servable, directory, name, complete)
    texts = {
        releases.BATCHING: releases.BATCHING_TEXT,
        releases.MONITORING: releases.MONITORING_TEXT,
        releases.COMPOSE: compose_file(),
    }
    for file, text in texts.items():
        write_text(directory / file, text)
    releases.serve(directory, {**versions, name: int(path.name)})
    releases.remove_old(directory)
    releases.write_sums(directory)
    return path


def _servable(run: Path) -> Path:
    require(run.is_dir(), f"no such directory: {run}. Name the directory of a run.")
    folder = run / "export" if (run / "export").is_dir() else run
    servable = folder / ALL_TASKS / "1"
    require(
        (servable / "saved_model.pb").is_file(),
        f"no model of all tasks in {run}: it has no {servable.relative_to(run)}. A run writes it when it ends; for an "
        "earlier run, clrnn_tf.load_run(RUN).export(RUN + '/export').",
    )
    return servable


def _metadata(servable: Path) -> dict[str, Any]:
    path = servable / "metadata.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__}). Export the run anew.") from None


if __name__ == "__main__":
    sys.exit(main())
