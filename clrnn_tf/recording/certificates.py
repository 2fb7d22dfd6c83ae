"""`certificate.json` of an extended run: what one more task has done to those that were there before."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.recording.run_directory import as_json

CERTIFICATE = "certificate.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class OldTask:
    """What became of a task that was learned before."""

    task: str
    before: float
    """Test score before the new task: accuracy in percent, or the loss where outputs have no accuracy."""
    after: float
    drop: float
    """By how much it is worse: points of accuracy, or of the loss in its unit."""
    changed_answers: float
    """Percent of the answers to the probes that are others now; 0 for outputs that are numbers."""
    change_of_outputs: float
    """Largest change of a logit on the probes."""
    change_of_weights: float
    """Largest change of a weight of the task's network."""


@dataclass(frozen=True)
class Certificate:
    """What one more task has done to the old ones.

    Example:
      >>> from clrnn_tf.recording.certificates import Certificate, OldTask
      >>> old = OldTask(
      ...     "en",
      ...     before=93.0,
      ...     after=91.5,
      ...     drop=1.5,
      ...     changed_answers=2.0,
      ...     change_of_outputs=0.3,
      ...     change_of_weights=0.01,
      ... )
      >>> certificate = Certificate("sv", 94.0, "accuracy", (old,), max_drop=1.0, keep_exact=False)
      >>> certificate.passed, certificate.fault
      (False, "'en' lost 1.50 points of accuracy (93.00 to 91.50), and --max-drop allows 1")
    """

    new_task: str
    score: float
    """Of the new task."""
    metric: str
    """`accuracy`, or `loss`."""
    old_tasks: tuple[OldTask, ...]
    max_drop: float
    """The largest drop that is allowed."""
    keep_exact: bool
    """Whether old tasks had to stay bit for bit as they were."""

    @property
    def worst(self) -> OldTask:
        """The old task that lost most."""
        return max(self.old_tasks, key=lambda old: old.drop)

    @property
    def are_exact(self) -> bool:
        """Whether all old tasks are bit for bit as they were, on the probes and in their weights."""
        return all(old.change_of_outputs == old.change_of_weights == 0.0 for old in self.old_tasks)

    @property
    def fault(self) -> str:
        """Why the model must not be published; "" if it may be."""
        worst = self.worst
        if self.keep_exact and not self.are_exact:
            return "old tasks have changed, and --keep-exact promises that they do not"
        if worst.drop <= self.max_drop:
            return ""
        numbers = f"({worst.before:.2f} to {worst.after:.2f})"
        worse = f"lost {worst.drop:.2f} points of accuracy {numbers}"
        if self.metric != "accuracy":
            worse = f"has a {self.metric} that is {worst.drop:.4g} higher ({worst.before:.4g} to {worst.after:.4g})"
        return f"'{worst.task}' {worse}, and --max-drop allows {self.max_drop:g}"

    @property
    def passed(self) -> bool:
        """Whether the model may be published."""
        return not self.fault

    def write(self, run: Path) -> None:
        """Write `certificate.json` to a run directory."""
        entries = {"schema_version": SCHEMA_VERSION, "passed": self.passed, "fault": self.fault}
        write_text(run / CERTIFICATE, as_json({**entries, **dataclasses.asdict(self)}, indent=2))


def read_certificate(run: Path) -> Certificate | None:
    """The certificate of a run; None for one that was not extended.

    Raises:
      ConfigurationError: It is damaged, or of another version.
    """
    path = run / CERTIFICATE
    if not path.is_file():
        return None
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = stored["schema_version"]
        require(
            version == SCHEMA_VERSION,
            f"{path} must be of schema version {SCHEMA_VERSION}. Received: {version}. Use the version of clrnn_tf that "
            "wrote it.",
        )
        names = {field.name for field in dataclasses.fields(Certificate)}
        values = {name: stored[name] for name in names}
        old_tasks = tuple(
            OldTask(**{name: _number(value) for name, value in old.items()}) for old in stored["old_tasks"]
        )
        return Certificate(**{**values, "score": _number(values["score"]), "old_tasks": old_tasks})
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} is damaged ({error}). Make it anew with --resume.") from None


def certificate_rows(certificate: Certificate) -> list[tuple[str, ...]]:
    """A row for each old task: name, before, after, drop, changed answers, changes of outputs and weights."""
    return [
        (
            old.task,
            f"{old.before:.2f}",
            f"{old.after:.2f}",
            f"{old.drop:+.2f}",
            f"{old.changed_answers:.2f}",
            f"{old.change_of_outputs:.2g}",
            f"{old.change_of_weights:.2g}",
        )
        for old in certificate.old_tasks
    ]


HEADS = ("task", "before", "after", "lost", "other answers, %", "outputs change by", "weights change by")
"""Of `certificate_rows`."""


def verdict(certificate: Certificate) -> str:
    """What the certificate says, in a sentence."""
    exact = " Old tasks are bit for bit as they were." if certificate.are_exact else ""
    says = f"must not be published: {certificate.fault}" if certificate.fault else "may be published"
    return (
        f"'{certificate.new_task}' was added ({certificate.metric} {certificate.score:.2f}). The model {says}.{exact}"
    )


def _number(value: object) -> Any:
    return float("nan") if value is None else value
