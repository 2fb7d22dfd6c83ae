"""What stands in a picture of samples: titles of examples, names of curves, the legend."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clrnn_tf.pictures import short_names, shortened
from clrnn_tf.streams.tasks import Batch, Task, TaskStream

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_TITLE = 26  # letters above an example
_LONGEST_ENTRY = 24  # letters in the legend
_MOST_ENTRIES = 12  # of the legend
_COLUMNS = 5  # of the legend
_MOST_NUMBERS = 3  # in a title


def classes_of(task: Task, stream: TaskStream) -> Sequence[str]:
    """Names of a task's classes: those in the fact `classes` of the data, by the task's name, else those of the stream.

    Without any, their numbers.
    """
    of_tasks = stream.data_facts.get("classes")
    if isinstance(of_tasks, Mapping) and task.name in of_tasks:
        return [str(name) for name in of_tasks[task.name]]
    return stream.class_names or [str(number) for number in range(stream.num_outputs)]


def listed(names: Sequence[str], among: Sequence[str] = ()) -> str:
    """Names in a line, with semicolons between them where one of them, or of `among`, has a comma.

    >>> listed(["Speech", "Bird vocalization, bird call"])
    'Speech; Bird vocalization, bird call'
    """
    return ("; " if any("," in name for name in (*names, *among)) else ", ").join(names)


def title_of(example: Batch, task: Task, stream: TaskStream) -> str:
    """What is asked for: of a sequence with one label, the label; else its length, and the labels of its steps."""
    return shortened(_title(example, task, stream), _LONGEST_TITLE)


def _title(example: Batch, task: Task, stream: TaskStream) -> str:
    scored = np.flatnonzero(example.eval_weights)
    steps = f"{int(example.lengths)} steps"
    classes = classes_of(task, stream)
    of_sequence = len(scored) == 1
    if stream.outputs == "softmax":
        ids = [int(target) for target in example.targets[scored]]
        if of_sequence:
            return f"class {classes[ids[0]]}" if classes[ids[0]].isdigit() else classes[ids[0]]
        return f"{steps}: {listed([classes[each] for each, _ in itertools.groupby(ids)])}" if _is_own(stream) else steps
    if stream.outputs == "sigmoid" and (of_sequence or _is_own(stream)):
        on = [classes[bit] for bit in np.flatnonzero((example.targets[scored] > 0.5).any(axis=0)).tolist()]
        found = listed(on) or "no label"
        found = f"label {found}" if on and all(map(str.isdigit, on)) else found
        return found if of_sequence else f"{steps}: {found}"
    if stream.outputs == "linear" and of_sequence:
        values = _as_measured(example.targets[scored[0]], task, stream)
        more = ", …" if len(values) > _MOST_NUMBERS else ""
        return f"label {', '.join(f'{value:.3g}' for value in values[:_MOST_NUMBERS])}{more}"
    return steps


def without_flags(example: Batch, stream: TaskStream) -> Batch:
    """An example of a user's own sequences without the inputs that say what was missing."""
    if stream.sequence_coder is None:
        return example
    return example._replace(inputs=example.inputs[:, : stream.sequence_coder(0).num_inputs])


def name_curves(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Name the curves of a user's own sequence, mark what was missing, and draw the numbers that are asked for.

    Args:
      axes: Where a curve of each input has been drawn.
      example: With the inputs that say what was missing, if there are any.
      stream: Whose facts hold the names of the inputs, if they have names.
    """
    if stream.sequence_coder is None:
        return
    steps, width = int(example.lengths), stream.sequence_coder(0).num_inputs
    features = stream.data_facts.get("features")
    names = [str(name) for name in features] if isinstance(features, Sequence) else []
    if len(names) != width:
        names = [f"input {number}" for number in range(1, width + 1)]
    for line, name in zip(axes.lines, names, strict=False):
        line.set_label(f" {name}" if name.startswith("_") else name)  # a legend leaves out what begins with _
    when, which = np.nonzero(np.asarray(example.inputs[:steps, width:]) > 0)
    if len(when):
        values = np.asarray(example.inputs)[when, which]
        axes.plot(when, values, "x", color="black", markersize=4, label="value is missing")
    scored = np.flatnonzero(example.eval_weights)
    if stream.outputs == "linear" and len(scored) > 1:
        for number in range(stream.num_outputs):
            label = "label" if stream.num_outputs == 1 else f"label {number + 1}"
            axes.plot(scored, example.targets[scored, number], color="black", dashes=(3, 1 + number), label=label)


def add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Name below the panels whatever in them has a name, once; of many, the first."""
    from matplotlib.lines import Line2D

    found = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if not found:
        return
    names = list(found)[: _MOST_ENTRIES if len(found) <= _MOST_ENTRIES else _MOST_ENTRIES - 1]
    handles, labels = [found[name] for name in names], short_names(names, _LONGEST_ENTRY)
    if len(names) < len(found):
        handles.append(Line2D([], [], linestyle="none"))
        labels.append(f"and {len(found) - len(names)} more")
    columns = -(-len(labels) // -(-len(labels) // _COLUMNS))  # as many in each row
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=7, frameon=False)


def name_rows(axes: Axes, names: Mapping[str, tuple[int, int]]) -> None:
    """Write names of parts of an image beside it, in the middle of their rows (first, end)."""
    middles = [(first + end - 1) / 2 for first, end in names.values()]
    axes.set_yticks(middles, list(names), fontsize=6)
    axes.tick_params(axis="y", length=0, pad=1)


def _is_own(stream: TaskStream) -> bool:
    return stream.sequence_coder is not None


def _as_measured(targets: np.ndarray, task: Task, stream: TaskStream) -> np.ndarray:
    """Numbers [C] in the units of the user's files."""
    statistics = None if stream.sequence_coder is None else stream.sequence_coder(task.task_id).statistics
    if statistics is None or statistics.target_means is None or statistics.target_stds is None:
        return np.asarray(targets)
    return np.asarray(targets) * np.asarray(statistics.target_stds) + np.asarray(statistics.target_means)
