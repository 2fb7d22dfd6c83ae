"""Exported models of a tiny run, made once for all tests of a process."""

import dataclasses
import functools
import tempfile
from pathlib import Path

from clrnn_tf.experiment import build_trainer
from export.all_tasks import export_all_tasks
from export.saved_model import export_task
from tests import tiny
from tests.test_export import Spelled

_FOLDER = tempfile.TemporaryDirectory(prefix="servables")


@functools.cache
def models() -> Path:
    """`RUN/export` with the models `t0` and `t1`, and `all-tasks`, which take words; they are not to be changed."""
    directory = Path(_FOLDER.name) / "run" / "export"
    stream = dataclasses.replace(tiny.stream(2), word_encoder=lambda task_id: Spelled())
    model = build_trainer(tiny.experiment(), stream).model
    for task in stream:
        export_task(model, stream, task.task_id, directory)
    export_all_tasks(model, stream, directory, [90.0, 91.0])
    return directory
