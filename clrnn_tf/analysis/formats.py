"""A comparison as Markdown, LaTeX (booktabs), CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from clrnn_tf.analysis.comparison import MethodComparison
from clrnn_tf.analysis.scores import QUANTITIES
from clrnn_tf.analysis.statistics import Estimate
from clrnn_tf.analysis.tables import MEAN, Table, tables

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}
_SPECIAL |= {"±": r"$\pm$", "−": "$-$", "–": "--", "<": "$<$", ">": "$>$"}


def markdown(comparison: MethodComparison) -> str:
    """All tables, in columns that are also aligned as plain text."""
    return "\n".join(f"{table.caption}\n\n{_aligned(table)}" for table in tables(comparison))


def latex(comparison: MethodComparison) -> str:
    """All tables as floats, to be read by the command input; the preamble needs the package booktabs."""
    return "% \\usepackage{booktabs}\n" + "\n".join(map(_float, tables(comparison)))


def csv_of_scores(comparison: MethodComparison) -> str:
    """A line for each method, quantity and task; the mean over tasks has an empty task. Nothing is rounded."""
    lines = [(row.label, row.quantity, row.task, *_numbers(row.estimate)) for row in comparison.scores]
    return _csv(("method", "quantity", "task", "seeds", "mean", "sem", "low", "high"), lines)


def csv_of_differences(comparison: MethodComparison) -> str:
    """As `csv_of_scores`, of the differences from one method; empty but for its heads where there is one method."""
    lines = [
        (row.label, row.against, row.quantity, row.task, *_numbers(row.difference.estimate), row.difference.p_value)
        for row in comparison.differences
    ]
    heads = ("method", "minus", "quantity", "task", "seeds", "mean", "sem", "low", "high", "p_value")
    return _csv(heads, lines)


def as_dict(comparison: MethodComparison) -> dict[str, object]:
    """Everything for JSON, with the values of each seed; nothing is rounded, nan stands for what is not defined."""
    return {
        "metric": comparison.metric,
        "unit": comparison.unit,
        "interval_level": comparison.level,
        "tasks": list(comparison.tasks),
        "methods": [
            {
                "label": group.label,
                "method": group.method,
                "seeds": list(group.seeds),
                **{name: [*group.by_seed(name, comparison.metric).values()] for name in QUANTITIES},
            }
            for group in comparison.groups
        ],
        "scores": [
            {"method": row.label, "quantity": row.quantity, "task": row.task, **row.estimate._asdict()}
            for row in comparison.scores
        ],
        "differences": [
            {
                "method": row.label,
                "minus": row.against,
                "quantity": row.quantity,
                "task": row.task,
                **row.difference.estimate._asdict(),
                "p_value": row.difference.p_value,
                "seeds": list(row.difference.seeds),
            }
            for row in comparison.differences
        ],
    }


def _aligned(table: Table) -> str:
    lines = [table.heads, *(tuple(map(str, row)) for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.heads))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([line(lines[0]), rule, *map(line, lines[1:])]) + "\n"


def _float(table: Table) -> str:
    """A LaTeX float. What says how sure a cell is stands below it, because five columns of both would be too wide."""
    lines = ["\\begin{table}", "\\centering", f"\\caption{{{escaped(table.caption)}}}", f"\\label{{tab:{table.name}}}"]
    lines += [f"\\begin{{tabular}}{{l{'c' * (len(table.heads) - 1)}}}", "\\toprule"]
    lines += [_row([escaped(head) for head in table.heads]), "\\midrule"]
    for row in table.rows:
        if row[0].text == MEAN:
            lines.append("\\midrule")
        lines.append(_row([escaped(cell.text) for cell in row]))
        if any(cell.below for cell in row):
            lines.append(_row([f"{{\\footnotesize {escaped(cell.below)}}}" if cell.below else "" for cell in row]))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def _row(cells: Sequence[str]) -> str:
    text = " & ".join(cells)
    return f"{{}}{text} \\\\" if text.startswith("[") else f"{text} \\\\"


def escaped(text: str) -> str:
    r"""Text for LaTeX.

    Example:
      >>> print(escaped("hnet_letters: 100 %"))
      hnet\_letters: 100 \%
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def _numbers(found: Estimate) -> tuple[int, float, float, float, float]:
    return found.n, found.mean, found.sem, found.low, found.high


def _csv(heads: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(heads)
    for line in lines:
        writer.writerow(["" if isinstance(value, float) and math.isnan(value) else value for value in line])
    return buffer.getvalue()
