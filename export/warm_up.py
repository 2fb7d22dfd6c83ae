"""Warm-up requests of a servable: what a model server answers before it takes traffic, so that no user waits for it.

They are the recorded requests of `export.probes`, as TFRecords of `PredictionLog`. This needs the messages of
`tensorflow-serving-api`.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from export.reload import PROBES, WARM_UP, read_probes


def write_warm_up(servable: Path, name: str) -> int:
    """Write a request to each signature into a servable; their number.

    Args:
      servable: `NAME/VERSION`.
      name: Under which it is served.

    Raises:
      ConfigurationError: `tensorflow-serving-api` is not installed.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ModuleNotFoundError:
        raise ConfigurationError(
            "warm-up requests need tensorflow-serving-api. Install it: pip install 'clrnn_tf[serving]'."
        ) from None
    path, probes = servable / WARM_UP, read_probes(servable / PROBES)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, probe in sorted(probes.items()):
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, signature
            for key, value in probe["inputs"].items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())
    return len(probes)
