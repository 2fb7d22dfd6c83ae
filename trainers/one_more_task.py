"""What a command does beyond an ordinary run where the run goes on from another one (``--extend``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clrnn_tf.extension.beginning import Beginning, Trained, beginning_of, hold_old_tasks, read_first
from clrnn_tf.extension.certifier import Certifier
from clrnn_tf.recording.events import Observer
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.runs import load_run

if TYPE_CHECKING:
    from trainers.execute import Session


def beginning(session: Session) -> Beginning | None:
    """What a run begins with that goes on from another one; None for one that begins with nothing."""
    extension = session.command.extension
    if extension is None:
        return None
    before = load_run(extension.run, session.command.data_dir)
    trained = Trained(RunDirectory(before.path), before.stream, before.matrix)
    return beginning_of(trained, session.stream, session.trainer)


def certifiers(session: Session, run: RunDirectory) -> list[Observer]:
    """What watches over the old tasks of an extended run, before its exports; nothing for other runs."""
    extension = session.command.extension
    if extension is None:
        return []
    hold_old_tasks(session.trainer, read_first(run, len(session.stream) - 1), extension)
    return [Certifier(run, session.trainer, session.stream, extension)]
