"""Ten thousand random requests to a server process: every row has its answer, or says what is wrong with it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from export import bundle
from export.transports import Patience, ServingError, _decoded, connect
from tests import servables

pytest.importorskip("tensorflow_serving", reason="the server of the tests needs tensorflow-serving-api")
SERVER = Path(__file__).with_name("model_server.py")
NUM_REQUESTS, FEATURES, TASKS = 10_000, 3, ("t0", "t1")
SIGNATURES = ("serving_default", "by_task_id", "unknown_task", "tag", "tag_unknown_task")
ROW_FAULTS = ("task", "too long", "negative", "not a number", "bytes")
REQUEST_FAULTS = ("width", "rank", "a missing input", "rows", "kind", "signature")
LARGE = np.int32(2**31 - 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The process, and a way to ask it."""
    directory = tmp_path_factory.mktemp("served")
    bundle.bundle(servables.models(), directory)
    process = subprocess.Popen([sys.executable, SERVER, directory], stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().split()[1]
    yield process, connect(f"grpc://localhost:{port}", Patience(tries=1))
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def model():
    return tf.saved_model.load(str(servables.models() / "all-tasks" / "1")).signatures


class Request:
    """A random request; `faults` says what is wrong with each row, "" for nothing."""

    def __init__(self, draws):
        self.draws = draws
        self.signature = str(draws.choice(SIGNATURES))
        size, time = int(draws.choice([0, 1, 2, 5])), int(draws.choice([0, 1, 3, 7]))
        lengths = draws.integers(0, time + 1, size).astype(np.int32)
        self.inputs = {"lengths": lengths}
        if self.signature.startswith("tag"):
            words = draws.choice(["a", "b", "c", "", "ß", "東京", "x" * 200], (size, time))
            self.inputs["words"] = np.array([[word.encode() for word in row] for row in words], object).reshape(
                size, time
            )
        else:
            self.inputs["inputs"] = draws.normal(0.0, 3.0, (size, time, FEATURES)).astype(np.float32)
        if self.signature == "by_task_id":
            self.inputs["task_id"] = draws.integers(0, len(TASKS), size).astype(np.int32)
        elif "unknown" not in self.signature:
            self.inputs["task"] = np.array([name.encode() for name in draws.choice(TASKS, size)], object)
        self.faults = [self.spoil(row) if draws.random() < 0.3 else "" for row in range(size)]

    def spoil(self, row):
        """Make a row wrong; what is wrong with it, or "" where this signature or size has no such fault."""
        fault, inputs, length = str(self.draws.choice(ROW_FAULTS)), self.inputs, self.inputs["lengths"][row]
        if fault == "task" and "task" in inputs:
            inputs["task"][row] = [b"", b"xx", b"\xff\xfe", b"T0", b"t0 "][self.draws.integers(5)]
        elif fault == "task" and "task_id" in inputs:
            inputs["task_id"][row] = self.draws.choice([-1, 2, LARGE, -LARGE])
        elif fault == "too long":
            inputs["lengths"][row] = self.draws.choice([8, 10_000, LARGE])
        elif fault == "negative":
            inputs["lengths"][row] = self.draws.choice([-1, -LARGE])
        elif fault == "not a number" and "inputs" in inputs and length:
            step, feature = self.draws.integers(length), self.draws.integers(FEATURES)
            inputs["inputs"][row, step, feature] = self.draws.choice([np.nan, np.inf, -np.inf])
        elif fault == "bytes" and "words" in inputs and length:
            inputs["words"][row, self.draws.integers(length)] = bytes([255, *self.draws.integers(128, 256, 3)])
        else:
            return ""
        return fault

    def spoil_all(self):
        """Make the request itself wrong; whether that was possible."""
        fault, inputs = str(self.draws.choice(REQUEST_FAULTS)), self.inputs
        main = "words" if "words" in inputs else "inputs"
        if fault == "signature":
            self.signature = "no_such_signature"
        elif fault == "a missing input":
            inputs.pop(str(self.draws.choice(sorted(inputs))))
        elif fault == "rank":
            inputs[main] = inputs[main][np.newaxis]
        elif fault == "width" and main == "inputs" and inputs[main].size:
            inputs[main] = inputs[main][..., :-1]
        elif fault == "kind":
            inputs["lengths"] = np.array([b"x"] * len(inputs["lengths"]), object)
            return bool(len(inputs["lengths"]))
        else:
            return False
        return True


def assert_rows_are_answered(request, answer, model, compares):
    errors = answer["error"]
    assert len(errors) == len(request.faults)
    for error, fault in zip(errors, request.faults, strict=True):
        assert bool(error) == bool(fault), (request.signature, fault, error)
    if compares and "" in request.faults:
        row = request.faults.index("")
        alone = {name: tf.constant(value[row : row + 1]) for name, value in request.inputs.items()}
        length = request.inputs["lengths"][row]
        for name, value in model[request.signature](**alone).items():
            mine, value = answer[name][row], _decoded(value.numpy())[0]
            if np.ndim(mine):
                mine, value = mine[:length], value[:length]
            if np.asarray(value).dtype.kind == "f":
                np.testing.assert_allclose(mine, value, atol=1e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(mine, value, err_msg=name)


@pytest.mark.slow
def test_ten_thousand_random_requests_do_not_end_the_server(server, model):
    process, transport = server
    refused = answered = bad_rows = 0
    for number in range(NUM_REQUESTS):
        request = Request(np.random.default_rng([number, 4711]))
        is_wrong = request.draws.random() < 0.1 and request.spoil_all()
        try:
            answer = transport.predict("tiny", request.signature, request.inputs)
        except ServingError as error:
            assert is_wrong, (number, request.signature, request.faults, str(error))
            refused += 1
            continue
        assert not is_wrong, number
        assert_rows_are_answered(request, answer, model, compares=number % 20 == 0)
        answered, bad_rows = answered + 1, bad_rows + sum(map(bool, request.faults))
    assert process.poll() is None
    assert answered > 0.85 * NUM_REQUESTS and refused > 0.03 * NUM_REQUESTS and bad_rows > 0.2 * NUM_REQUESTS
