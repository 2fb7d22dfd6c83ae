"""A second runtime reads the models of single tasks: OpenVINO, which shares no kernels with TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.experiment import build_trainer
from export import export_task
from export.reload import differences
from tests import tiny

NETWORKS = {
    "LSTM, both directions": {"cell": "lstm", "direction": "bidirectional", "hidden_sizes": (5, 7)},
    "Elman, dense layers": {"cell": "elman", "dense_before": (4,), "dense_after": (6,)},
}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_openvino_gives_the_answers_of_tensorflow(network, tmp_path):
    openvino = pytest.importorskip("openvino")
    stream = tiny.stream(2)
    path = export_task(build_trainer(tiny.experiment(network=network), stream).model, stream, 1, tmp_path)
    served, core = tf.saved_model.load(str(path)).signatures["serving_default"], openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for rows, steps in ((32, 6), (3, 9)):
        generator = np.random.default_rng(rows)
        inputs = generator.normal(size=(rows, steps, 3)).astype(np.float32)
        lengths = generator.integers(1, steps + 1, rows).astype(np.int32)
        answer = compiled({"inputs": inputs, "lengths": lengths})
        received = {output.any_name: answer[output] for output in compiled.outputs}
        expected = served(inputs=tf.constant(inputs), lengths=tf.constant(lengths))
        assert differences(received, {name: value.numpy() for name, value in expected.items()}, 1e-5)[1] == []
