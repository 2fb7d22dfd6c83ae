"""Which words have a vector: what is said about it in the log and in the report."""

from __future__ import annotations

import html
from collections.abc import Mapping

_FEW = 0.9


def few_vectors(data_facts: Mapping[str, object]) -> str:
    """The tasks of which fewer than 90 % of a split's words have a vector, in words; empty where there are none.

    Args:
      data_facts: Those of the stream; `coverage` holds the share of words that have a vector, by task and split.

    Example:
      >>> few_vectors({"coverage": {"fi": {"train": 0.81, "test": 0.7}, "en": {"train": 0.97, "test": 0.96}}})
      'words with a vector: fi 81 % (train), 70 % (test); 90 % or more in all others'
    """
    shares = _coverage(data_facts)
    few = {task: of_task for task, of_task in shares.items() if min(of_task.values()) < _FEW}
    if not few:
        return ""
    tasks = [
        f"{task} " + ", ".join(f"{100 * share:.0f} % ({split})" for split, share in of_task.items())
        for task, of_task in few.items()
    ]
    others = ["90 % or more in all others"] if len(few) < len(shares) else []
    return f"words with a vector: {'; '.join([*tasks, *others])}"


def coverage_table(data_facts: Mapping[str, object]) -> str:
    """The share of words that have a vector, a row for each task, as HTML; empty where the stream has no vectors."""
    shares = _coverage(data_facts)
    if not shares:
        return ""
    if all(share == 1.0 for of_task in shares.values() for share in of_task.values()):
        return "<p>All words have a vector.</p>"
    splits = list(dict.fromkeys(split for of_task in shares.values() for split in of_task))
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in ("task", *splits))
    rows = "".join(
        f"<tr><td>{html.escape(task)}</td>"
        + "".join(f"<td>{100 * of_task[split]:.1f}</td>" if split in of_task else "<td>–</td>" for split in splits)
        + "</tr>"
        for task, of_task in shares.items()
    )
    whole = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table><caption>Percent of words that have a vector.</caption>{whole}</table></div>'


def _coverage(data_facts: Mapping[str, object]) -> dict[str, dict[str, float]]:
    """By task and split; what a file that was written by hand holds may be of any kind."""
    found = data_facts.get("coverage")
    if not isinstance(found, Mapping):
        return {}
    return {
        str(task): {str(split): float(share) for split, share in of_task.items() if isinstance(share, int | float)}
        for task, of_task in found.items()
        if isinstance(of_task, Mapping) and any(isinstance(share, int | float) for share in of_task.values())
    }
