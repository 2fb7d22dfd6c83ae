"""What a run has in common with its checkpoints."""

from __future__ import annotations

from clrnn_tf.config import Experiment
from clrnn_tf.streams.tasks import TaskStream


def identity_of(experiment: Experiment, stream: TaskStream) -> dict[str, object]:
    """Facts that say which run it is, as JSON; see `RunDirectory.require_same_run`."""
    return {
        "settings": experiment.to_dict(),
        "data_source": stream.data_source,
        "fingerprint": stream.data_facts.get("fingerprint"),
        "task_names": [task.name for task in stream],
    }
