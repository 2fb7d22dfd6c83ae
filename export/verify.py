"""Verify exported models: ``python -m export.verify DIR``.

DIR is the directory of a run, of servables (`NAME/VERSION`), or of one version. Every model is loaded in a process that
cannot import this project, and asked what it was asked when it was written (`assets.extra/probes.npz`): the answers
must be the same, floats up to 1e-4. Its signatures and labels must be those of `metadata.json`. Of a bundle, all that
`export.bundle` has written is checked as well. With `--native`, a C program that is linked with TensorFlow's library
loads and asks every model once more, as a model server does, and its floats must be the recorded ones up to 1e-5. It
needs gcc.

The exit code is 0 if all is well, 1 if not, and 2 if there is nothing to verify.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clrnn_tf.errors import require
from export import releases
from export.command_line import Parser, exit_code
from export.native import NativeProgram, verified

PROGRAM = "python -m export.verify"
NATIVE_TOLERANCE = 1e-5
"""Of floats: both programs run the same kernels of the same library."""
_RELOAD = Path(__file__).with_name("reload.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    return exit_code(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def parser() -> Parser:
    """The flags of the command."""
    parsed = Parser(PROGRAM, (__doc__ or "").partition("\n\n")[2])
    parsed.add_argument("directory", metavar="DIR", type=Path, help="directory of a run, of servables, or of a version")
    parsed.add_argument("--native", action="store_true", help="also in a C program that loads them as a server does")
    return parsed


def _run(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    servables = find_servables(options.directory)
    with tempfile.TemporaryDirectory(prefix="verify") as folder:
        program = NativeProgram(Path(folder)) if options.native else None
        reports = zip(servables, reports_of(servables), strict=True)
        are_well = [_is_well(path, report, program) for path, report in reports]
    problems = problems_of_bundle(options.directory)
    for problem in problems:
        print(problem)
    return 0 if all(are_well) and not problems else 1


def _is_well(path: Path, report: Mapping[str, Any], program: NativeProgram | None) -> bool:
    """Print what is said of a servable."""
    problems = [*report["problems"], *problems_beside(path, report)]
    said = f"largest difference {report['largest_difference']:.1e}, loaded in {report['seconds']:.1f} s"
    if program is not None and not problems:
        natively = verified(program, path, NATIVE_TOLERANCE)
        problems = natively.problems
        said += f"; natively {natively.largest_difference:.1e}, {natively.seconds:.2f} s"
    for problem in problems:
        print(f"{_name(path)}: {problem}")
    if not problems:
        number = len(report["signatures"])
        print(f"{_name(path)}: well; {number} signature{'s' if number > 1 else ''}, {said}", flush=True)
    return not problems


def find_servables(directory: Path) -> list[Path]:
    """Versions of servables, sorted by name and version.

    Raises:
      ConfigurationError: There are none.
    """
    require(directory.is_dir(), f"no such directory: {directory}.")
    if (directory / "saved_model.pb").is_file():
        return [directory.absolute()]
    folder = directory / "export" if (directory / "export").is_dir() else directory
    found = [path.parent for path in folder.absolute().glob("*/*/saved_model.pb") if path.parent.name.isdigit()]
    require(bool(found), f"no models to verify in {directory}: nothing is called NAME/VERSION/saved_model.pb there.")
    return sorted(found, key=lambda path: (path.parent.name, int(path.name)))


def reports_of(servables: Sequence[Path]) -> list[dict[str, Any]]:
    """What `export.reload` says of servables, in a process that cannot import this project."""
    command = [sys.executable, "-I", str(_RELOAD), *map(str, servables)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment, check=False)
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for _ in servables[len(reports) :]:  # a process that dies takes the other servables with it
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1][:200]
        problem = f"the process that loaded it ended with exit code {done.returncode}: {last}"
        reports.append({"signatures": {}, "seconds": 0.0, "largest_difference": 0.0, "problems": [problem]})
    return reports


def problems_beside(path: Path, report: Mapping[str, Any]) -> list[str]:
    """What is wrong with the files beside a SavedModel."""
    try:
        said = json.loads((path / "metadata.json").read_text(encoding="utf-8"))
        wanted, names = list(said["signatures"]), list(said["class_names"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        return [f"metadata.json cannot be read: {type(error).__name__}: {error}"]
    problems = []
    if report["signatures"] and sorted(report["signatures"]) != sorted(wanted):
        problems.append(f"its signatures are {sorted(report['signatures'])}. metadata.json says: {sorted(wanted)}.")
    labels = path / "labels.txt"
    lines = labels.read_text(encoding="utf-8").splitlines() if labels.is_file() else []
    if lines != names:
        problems.append(f"labels.txt has {len(lines)} labels. metadata.json says: {len(names)}; or others.")
    return problems


def problems_of_bundle(directory: Path) -> list[str]:
    """What is wrong with the files of releases around servables; none where there are no releases."""
    if not (directory / releases.MODELS_CONFIG).is_file():
        return []
    problems = [f"{name}: is not as {releases.SUMS} says." for name in releases.changed_files(directory)]
    problems += [
        f"{releases.MODELS_CONFIG}: version {version} of '{name}' is served, and is not there."
        for name, version in releases.served(directory).items()
        if version not in releases.versions_of(directory, name)
    ]
    return [*problems, *_parsed(directory / releases.MODELS_CONFIG)]


def _parsed(path: Path) -> list[str]:
    """What the official messages say against `models.config`."""
    try:
        from google.protobuf import text_format
        from tensorflow_serving.config import model_server_config_pb2
    except ModuleNotFoundError:
        return [f"{path.name}: cannot be parsed without tensorflow-serving-api."]
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        return [f"{path.name}: {error}"]
    return []


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


if __name__ == "__main__":
    sys.exit(main())
