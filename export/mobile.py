"""Trained tasks for small devices: a LiteRT model (`.tflite`) of each, which takes one sequence at a time.

Signature `serving_default`, as in `export.saved_model` but for the batch: `inputs` [1, T, F] and `lengths` [1] int32; T
is free, an interpreter adapts to it. It needs LiteRT's own operations alone. With free batches, the loop over time
would need lists of tensors, which LiteRT does not have.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from clrnn_tf.durable_files import write_bytes
from clrnn_tf.model import TaskModel
from clrnn_tf.streams.tasks import TaskStream
from export.saved_model import FrozenTask

LITE = "model.tflite"
"""Name of the file, beside the SavedModel of the task."""


def export_lite(model: TaskModel, stream: TaskStream, task_id: int, directory: Path, quantized: bool = False) -> Path:
    """Write the LiteRT model of one task to `directory/NAME/1/model.tflite`.

    Args:
      model: The trained model.
      stream: Its tasks.
      task_id: The task.
      directory: Where to write.
      quantized: Whether large weights are kept as bytes.

    Raises:
      OSError: It cannot be written.
    """
    path = directory / stream[task_id].name / "1" / LITE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, lite_model(FrozenTask(model, stream, task_id), stream, quantized))
    return path


def lite_model(frozen: FrozenTask, stream: TaskStream, quantized: bool = False) -> bytes:
    """The content of a `.tflite` file; see `export_lite`."""
    one_sequence = [
        tf.TensorSpec([1, None, stream.input_width], stream.input_dtype, name="inputs"),
        tf.TensorSpec([1], tf.int32, name="lengths"),
    ]
    serve = tf.function(frozen.serve.python_function, input_signature=one_sequence, autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], frozen)
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()
