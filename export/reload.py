"""Loads a SavedModel as a stranger does, and compares its answers with those recorded when it was written.

It needs TensorFlow and NumPy alone, and `export.verify` runs it in a process that cannot import this project:

    python -I export/reload.py DIRECTORY ...

prints, in a line for each directory, a JSON object: `signatures`, `seconds` (of loading), `largest_difference` and
`problems`, a list of lines.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

PROBES = "assets.extra/probes.npz"
"""Recorded requests and answers: arrays `SIGNATURE/inputs/NAME` and `SIGNATURE/outputs/NAME`; strings are bytes."""
WARM_UP = "assets.extra/tf_serving_warmup_requests"
"""Requests that a model server answers before it takes traffic; only bundles have them."""
TOLERANCE = 1e-4
"""Of floats, absolute and relative: processors round differently. Others must be equal."""
_OURS = ("clrnn_tf", "data_pipelines", "export", "trainers")


class Stranger:
    """Refuses to import this project."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if name.partition(".")[0] in _OURS:
            raise ImportError(f"the SavedModel wants to import {name}, which servers do not have.")


def check(directory: Path) -> dict[str, object]:
    """Load a SavedModel and ask it what it was asked when it was written.

    Args:
      directory: `NAME/VERSION`.

    Returns:
      What `reload.py` prints, see above. Problems are found in the SavedModel, not raised.
    """
    started = time.perf_counter()
    try:
        loaded = tf.saved_model.load(str(directory))
    except Exception as error:  # noqa: BLE001 - damage shows as almost anything
        return _report({}, 0.0, 0.0, [f"cannot be loaded: {_in_one_line(error)}"])
    seconds = time.perf_counter() - started
    signatures = {name: loaded.signatures[name] for name in loaded.signatures}
    try:
        probes = read_probes(directory / PROBES)
    except Exception as error:  # noqa: BLE001 - as above
        return _report(signatures, seconds, 0.0, [f"{PROBES} cannot be read: {_in_one_line(error)}"])
    problems = [f"signature {name} has no probe." for name in signatures if name not in probes]
    problems += [
        f"there is a probe of signature {name}, but no such signature." for name in set(probes) - {*signatures}
    ]
    largest = 0.0
    for name in sorted(set(probes) & set(signatures)):
        difference, found = compare(signatures[name], probes[name])
        largest, problems = max(largest, difference), problems + [f"signature {name}: {line}" for line in found]
    return _report(signatures, seconds, largest, problems + warm_up_problems(signatures, directory / WARM_UP))


def warm_up_problems(signatures: Mapping[str, Any], path: Path) -> list[str]:
    """Warm-up requests that cannot be read or answered, and signatures that have none."""
    if not path.is_file():
        return []
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ModuleNotFoundError:
        return [f"{WARM_UP} cannot be read without tensorflow-serving-api."]
    not_asked = set(signatures)
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
            signatures[request.model_spec.signature_name](**inputs)
            not_asked.discard(request.model_spec.signature_name)
    except Exception as error:  # noqa: BLE001 - whatever a record may hold
        return [f"{WARM_UP} cannot be answered: {_in_one_line(error)}"]
    return [f"{WARM_UP} has no request to signature {name}." for name in sorted(not_asked)]


def read_probes(path: Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Arrays by signature, by `inputs` or `outputs`, and by name."""
    probes: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    with np.load(path) as stored:
        for key in stored.files:
            signature, kind, name = key.split("/")
            probes.setdefault(signature, {"inputs": {}, "outputs": {}})[kind][name] = stored[key]
    return probes


def compare(signature: Any, probe: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[float, list[str]]:
    """The largest difference of floats between a signature's answer and the recorded one, and what is wrong."""
    _, wanted = signature.structured_input_signature
    if set(wanted) != set(probe["inputs"]):
        return 0.0, [f"its inputs are {sorted(wanted)}. Recorded: {sorted(probe['inputs'])}."]
    try:
        answer = signature(**{name: tf.constant(value) for name, value in probe["inputs"].items()})
    except Exception as error:  # noqa: BLE001 - whatever a graph may do
        return 0.0, [f"it cannot answer: {_in_one_line(error)}"]
    return differences({name: np.asarray(value) for name, value in answer.items()}, probe["outputs"])


def differences(
    received: Mapping[str, np.ndarray], recorded: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> tuple[float, list[str]]:
    """The largest difference of floats between an answer and the recorded one, and what is wrong."""
    if set(received) != set(recorded):
        return 0.0, [f"its outputs are {sorted(received)}. Recorded: {sorted(recorded)}."]
    largest, problems = 0.0, []
    for name, value in recorded.items():
        now = received[name].astype("S") if received[name].dtype == object else received[name]
        if now.shape != value.shape:
            problems.append(f"{name} has shape {now.shape}. Recorded: {value.shape}.")
        elif value.dtype.kind != "f":
            if not np.array_equal(now, value):
                problems.append(f"{name} differs from what was recorded.")
        else:
            largest = max(largest, _largest(now, value))
            if not np.allclose(now, value, tolerance, tolerance, equal_nan=True):
                problems.append(f"{name} differs by {_largest(now, value):.1e} from what was recorded.")
    return largest, problems


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    return float(np.max(np.abs(one - other)[both], initial=0.0))


def _report(signatures: Mapping, seconds: float, difference: float, problems: list[str]) -> dict[str, object]:
    return {
        "signatures": {
            name: {
                "inputs": {key: _spec(spec) for key, spec in function.structured_input_signature[1].items()},
                "outputs": {key: _spec(spec) for key, spec in function.structured_outputs.items()},
            }
            for name, function in signatures.items()
        },
        "seconds": round(seconds, 3),
        "largest_difference": difference,
        "problems": problems,
    }


def _spec(spec: tf.TensorSpec) -> list[object]:
    return [spec.dtype.name, list(spec.shape)]


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


if __name__ == "__main__":
    sys.meta_path.insert(0, Stranger())
    for name in sys.argv[1:]:
        print(json.dumps(check(Path(name))), flush=True)
