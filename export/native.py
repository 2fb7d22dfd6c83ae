"""SavedModels in a C program, which loads and runs them as a model server does.

`native.c` is compiled against the library and the headers of the TensorFlow that is installed; it needs gcc. It loads
models by `TF_LoadSessionFromSavedModel` and answers by `TF_SessionRun`, without Python. `export.verify --native` checks
servables with it, and `benchmarks.serving` measures with it.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from clrnn_tf.errors import ConfigurationError, require
from export.reload import PROBES, TOLERANCE, differences, read_probes

_SOURCE = Path(__file__).with_name("native.c")
_DTYPES = {tf.float32.as_datatype_enum: np.float32, tf.int32.as_datatype_enum: np.int32}
_STRING = tf.string.as_datatype_enum
_AS_BEFORE = 0

Arrays = dict[str, np.ndarray]


class Request(NamedTuple):
    """A request to a signature."""

    model: int
    """Number of the model."""
    signature: str
    inputs: Mapping[str, np.ndarray | None]
    """By the names of the signature; strings as bytes. None: the array that the input of that place had before."""
    outputs: Sequence[str]
    """Those that are wanted."""


class Seconds(NamedTuple):
    """What something took."""

    wall: float
    cpu: float
    """Of all threads."""


class Answers(NamedTuple):
    """What the program gave."""

    loaded: list[Seconds]
    """Of each model."""
    answered: list[Seconds]
    """Of each request."""
    outputs: list[Arrays]
    """Of each request, by name; empty where they were not kept."""


class NativeProgram:
    """The compiled program.

    Args:
      folder: Where it is written, with what it reads and writes.

    Raises:
      ConfigurationError: There is no gcc, or no TensorFlow with its C library, or it cannot be compiled.
    """

    def __init__(self, folder: Path) -> None:
        compiler, library = shutil.which("gcc"), Path(tf.sysconfig.get_lib())
        require(compiler is not None, "the native program needs gcc. Received: none on the PATH.")
        require(
            (library / "libtensorflow_cc.so.2").exists(),
            f"the native program needs TensorFlow's library. Received: no libtensorflow_cc.so.2 in {library}.",
        )
        self._folder, self._program = folder, folder / "native"
        libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{library}"]
        flags = ["-Wall", "-Werror", "-O1", f"-I{tf.sysconfig.get_include()}", f"-L{library}"]
        command = [str(compiler), *flags, str(_SOURCE), *libraries, "-o", str(self._program)]
        _run(command)

    def run(self, models: Sequence[Path], requests: Iterable[Request], keep_outputs: bool = True) -> Answers:
        """Load models, and ask them one request after another, in one process.

        Args:
          models: Directories of SavedModels.
          requests: What they are asked.
          keep_outputs: Whether outputs are wanted, or times alone.

        Raises:
          ConfigurationError: The program failed; the error is TensorFlow's.
        """
        signatures = [_signatures_of(path) for path in models]
        asked, given = self._folder / "requests", self._folder / "answers" if keep_outputs else Path("/dev/null")
        wanted = []
        with asked.open("wb") as file:
            for request in requests:
                file.write(_packed_request(request, signatures[request.model][request.signature]))
                wanted.append(request.outputs)
        printed = _run([str(self._program), str(asked), str(given), *map(str, models)])
        times = [Seconds(*map(float, line.split())) for line in printed.splitlines()]
        outputs = []
        if keep_outputs:
            with given.open("rb") as file:
                outputs = [{name: _unpacked(file) for name in names} for names in wanted]
        return Answers(times[: len(models)], times[len(models) :], outputs)


class Verified(NamedTuple):
    """How the program's answers compare with the recorded ones."""

    largest_difference: float
    seconds: float
    """Of loading."""
    problems: list[str]


def verified(program: NativeProgram, path: Path, tolerance: float = TOLERANCE) -> Verified:
    """Ask the program what a servable was asked when it was written.

    Args:
      program: The program.
      path: `NAME/VERSION`.
      tolerance: Of floats, absolute and relative.
    """
    try:
        probes = read_probes(path / PROBES)
        requests = [Request(0, name, probe["inputs"], list(probe["outputs"])) for name, probe in probes.items()]
        answers = program.run([path], requests)
    except (ConfigurationError, OSError, LookupError, ValueError) as error:
        return Verified(0.0, 0.0, [f"natively: {type(error).__name__}: {' '.join(str(error).split())[:200]}"])
    largest = 0.0
    problems: list[str] = []
    for (name, probe), received in zip(probes.items(), answers.outputs, strict=True):
        difference, found = differences(received, probe["outputs"], tolerance)
        largest, problems = (
            max(largest, difference),
            problems + [f"natively: signature {name}: {line}" for line in found],
        )
    return Verified(largest, answers.loaded[0].wall, problems)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise ConfigurationError(f"{Path(command[0]).name} ended with exit code {done.returncode}: {last}")
    return done.stdout


def _signatures_of(path: Path) -> Mapping[str, meta_graph_pb2.SignatureDef]:
    stored = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    return stored.meta_graphs[0].signature_def


def _packed_request(request: Request, signature: meta_graph_pb2.SignatureDef) -> bytes:
    parts = [struct.pack("II", request.model, len(request.inputs))]
    for name, value in request.inputs.items():
        parts.append(_packed_name(signature.inputs[name].name))
        parts.append(struct.pack("I", _AS_BEFORE) if value is None else _packed(value))
    parts.append(struct.pack("I", len(request.outputs)))
    parts += [_packed_name(signature.outputs[name].name) for name in request.outputs]
    return b"".join(parts)


def _packed_name(tensor: str) -> bytes:
    operation, _, index = tensor.partition(":")
    return struct.pack("I", len(operation)) + operation.encode() + struct.pack("I", int(index))


def _packed(value: np.ndarray) -> bytes:
    kind = _STRING if value.dtype.kind == "S" else tf.as_dtype(value.dtype).as_datatype_enum
    head = struct.pack("II", kind, value.ndim) + struct.pack(f"{value.ndim}q", *value.shape)
    if kind == _STRING:
        return head + b"".join(struct.pack("Q", len(text)) + text for text in value.ravel().tolist())
    return head + struct.pack("Q", value.nbytes) + value.tobytes()


def _unpacked(file: BinaryIO) -> np.ndarray:
    kind, rank = struct.unpack("II", file.read(8))
    shape = struct.unpack(f"{rank}q", file.read(8 * rank))
    if kind == _STRING:
        texts = [file.read(struct.unpack("Q", file.read(8))[0]) for _ in range(int(np.prod(shape)))]
        return np.array(texts, "S").reshape(shape)
    return np.frombuffer(file.read(struct.unpack("Q", file.read(8))[0]), _DTYPES[kind]).reshape(shape)
