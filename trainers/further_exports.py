"""What a finished run exports besides its SavedModels: LiteRT models, and a version for a model server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clrnn_tf.notices import closed_stderr
from clrnn_tf.recording.run_directory import RunDirectory
from export.bundle import bundle
from export.mobile import export_lite

if TYPE_CHECKING:
    from trainers.execute import Session


def export_further(session: Session, run: RunDirectory) -> None:
    """Write what ``--export`` and ``--publish`` ask for, and say where it is."""
    options = session.command.options
    if options.export == "lite":
        for task in session.stream:
            with closed_stderr():  # the converter says what it is about to do
                path = export_lite(session.trainer.model, session.stream, task.task_id, run.export)
            print(f"wrote {path}", flush=True)
    if options.publish is not None:
        path = bundle(run.path, options.publish)
        print(f"published {path.parent.name}, version {path.name}, in {options.publish}", flush=True)
