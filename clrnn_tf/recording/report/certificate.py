"""What became of the old tasks of a run that has learned one more."""

from __future__ import annotations

from pathlib import Path

from clrnn_tf.recording.certificates import HEADS, certificate_rows, read_certificate, verdict
from clrnn_tf.recording.report.elements import note, row, section, table, text


def certificate_section(run: Path) -> str:
    """The certificate of a run; empty for one that was not extended."""
    certificate = read_certificate(run)
    if certificate is None:
        return ""
    rows = [row(map(text, cells)) for cells in certificate_rows(certificate)]
    caption = "Old tasks on their test data, and on probes: the first test sequences of each."
    return section("One more task", note(verdict(certificate)), table(HEADS, rows, caption, words=HEADS[:1]))
