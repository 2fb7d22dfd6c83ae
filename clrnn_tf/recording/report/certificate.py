"""What one more task has done to the old ones, as a part of the report of an extended run."""

from __future__ import annotations

from pathlib import Path

from clrnn_tf.recording.certificates import HEADS, certificate_rows, read_certificate, verdict
from clrnn_tf.recording.report.elements import row, section, table, text


def certificate_section(run: Path) -> str:
    """The certificate of the run directory `run`; empty for a run that was not extended."""
    certificate = read_certificate(run)
    if certificate is None:
        return ""
    rows = (row([text(cell) for cell in cells]) for cells in certificate_rows(certificate))
    caption = "Old tasks on their test data, and on probes: the first test sequences of each."
    return section("One more task", f"<p>{text(verdict(certificate))}</p>", table(HEADS, rows, caption))
