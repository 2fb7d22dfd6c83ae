"""What a run should come near, as a row of its report."""

from __future__ import annotations

from clrnn_tf.recording.comparisons import Comparison
from trainers.settings import Command


def expected_of(command: Command) -> list[Comparison]:
    """A row for the report with the figures that the run should come near."""
    expected = command.expected
    if expected is None:
        return []
    published = command.benchmark.presets[command.preset].published_settings
    source = f"{expected.source} ({published})" if published else expected.source
    label = f"{command.experiment.method} (expected)"
    here = command.benchmark.command(command.preset)
    return [Comparison(label, expected.during, expected.final, None, f"{source}; here: {here}")]
