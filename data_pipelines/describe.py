"""What a benchmark consists of: ``python -m data_pipelines.NAME --describe``.

Prints tasks, sizes, lengths, classes, source and licence, and writes a picture of samples. Settings of the data are
given as to the trainer: ``--data-dir DIR --data.num-tasks 3``.
"""

from __future__ import annotations

import argparse
import inspect
import io
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import yaml

from clrnn_tf.config import updated
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.pictures import attempted, shortened
from clrnn_tf.streams.splits import first_batches
from clrnn_tf.streams.tasks import Batch, Split, Task, TaskStream
from data_pipelines.sample_texts import (
    add_legend,
    classes_of,
    listed,
    name_curves,
    name_rows,
    title_of,
    without_flags,
)
from data_pipelines.storage import find_data_dir

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes", Batch, TaskStream], None]
_SAMPLES = 6  # of each task in the picture
_MOST_TASKS = 6  # in the picture
_LONGEST_NAME = 22  # letters of a task
_DOTS = 110  # per inch


def main(pipeline: ModuleType, arguments: Sequence[str] | None = None) -> int:
    """Run the command of a pipeline and return the exit code.

    Args:
      pipeline: Has `Config`, `make_stream(config, data_dir)`, and `draw_example` if its samples have a form of their
        own.
      arguments: Those of the process by default.
    """
    try:
        options, values = _understood(pipeline, list(sys.argv[1:] if arguments is None else arguments))
        config = updated(pipeline.Config(), values, "data")
        stream = pipeline.make_stream(config, find_data_dir(options.data_dir))
        print(description(stream, inspect.getdoc(pipeline) or ""))
        picture = options.picture or Path("runs") / f"{stream.name}_samples.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        samples_figure(stream, draw_of(pipeline)).savefig(picture, dpi=_DOTS)
        print(f"samples    {picture}")
    except (ConfigurationError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def description(stream: TaskStream, text: str = "") -> str:
    """Facts about a stream in a few lines and a table of its tasks; lengths and classes are those of test data."""
    lines = [f"{stream.name}: {text.partition(chr(10))[0]}".rstrip(": ")]
    lines += [f"source     {stream.data_source}"]
    lines += [f"{name:<10} {value}" for name, value in stream.data_facts.items() if isinstance(value, str)]
    lines += [f"inputs     {stream.num_features} features a step", f"outputs    {stream.num_outputs}, {stream.outputs}"]
    if stream.class_names:
        lines += [f"classes    {listed(stream.class_names)}"]
    heads = ("task", "train", "validation", "test", "steps: shortest, mean, longest", "classes in the test data")
    rows: list[tuple[str, ...]] = [heads, *(_row(task, stream) for task in stream)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if "classes" in stream.data_facts:
        classes = [classes_of(task, stream) for task in stream]
        every = [name for of_task in classes for name in of_task]
        lines += [f"{task.name:<10} {listed(of_task, every)}" for task, of_task in zip(stream, classes, strict=True)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def samples_figure(stream: TaskStream, draw: Draw) -> Figure:
    """Some training examples of the first tasks, a row for each task, with the names of what is drawn."""
    from matplotlib.figure import Figure

    tasks = stream.tasks[:_MOST_TASKS]
    figure = Figure(figsize=(1.6 * _SAMPLES, 1.6 * len(tasks)), layout="constrained")
    grid = figure.subplots(len(tasks), _SAMPLES, squeeze=False)
    for task, row in zip(tasks, grid, strict=True):
        is_last = task is tasks[-1]
        (batch,) = first_batches(task.train, 1, _SAMPLES, 0, task.task_id)
        for number, axes in enumerate(row):
            example = Batch(*(np.asarray(field)[number] for field in batch))
            axes.set(xticks=[], yticks=[])
            draw(axes, without_flags(example, stream), stream)
            name_curves(axes, example, stream)
            axes.tick_params(labelleft=number == 0)
            axes.set_xlabel(axes.get_xlabel() if is_last else "", fontsize=6)
            axes.set_title(title_of(example, task, stream), fontsize=7)
        row[0].set_ylabel(shortened(task.name, _LONGEST_NAME), fontsize=7)
    shown = f"the first {len(tasks)} of {len(stream)}" if len(tasks) < len(stream) else str(len(tasks))
    figure.suptitle(f"training examples of {shown} task{'s' * (len(stream) > 1)}", fontsize=8)
    add_legend(figure, grid.ravel().tolist())
    return figure


def samples_png(stream: TaskStream, draw: Draw) -> bytes:
    """The figure of samples as a PNG file; in words, with a warning, where it cannot be drawn."""
    drawn = attempted(lambda: _png(samples_figure(stream, draw)), "samples of the data")
    return drawn if drawn is not None else _png(_no_samples())


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS)
    return buffer.getvalue()


def _no_samples() -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 0.5))
    figure.text(0.5, 0.5, "The samples could not be drawn.", ha="center", va="center", fontsize=8)
    return figure


def draw_of(pipeline: ModuleType) -> Draw:
    """How the samples of a pipeline are drawn."""
    return getattr(pipeline, "draw_example", draw_image)


def draw_image(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Draw the inputs as an image, time to the right, and below a line the targets where they are no classes."""
    steps = int(example.lengths)
    rows = [np.asarray(example.inputs[:steps], float).T]
    if stream.outputs != "softmax":
        rows.append(np.asarray(example.targets[:steps] * example.loss_weights[:steps, np.newaxis], float).T)
    axes.imshow(np.concatenate(rows), aspect="auto", interpolation="nearest", cmap="viridis")
    axes.set_xlabel("time")
    if len(rows) > 1:
        border, end = len(rows[0]), len(rows[0]) + len(rows[1])
        axes.axhline(border - 0.5, color="white", linewidth=1)
        name_rows(axes, {"inputs": (0, border), "targets": (border, end)})


def draw_spectrogram(axes: Axes, example: Batch, stream: TaskStream) -> None:
    """Draw frames of sound as an image: time to the right, features upwards."""
    del stream
    axes.imshow(np.asarray(example.inputs).T, aspect="auto", origin="lower", interpolation="nearest", cmap="magma")
    axes.set_xlabel("time")


def draw_curves(axes: Axes, values: np.ndarray, name: str = "") -> None:
    """Draw the F numbers of each step, [T, F], as F curves; with a name, the legend numbers them."""
    lines = axes.plot(np.asarray(values, float), linewidth=0.8, marker="." if len(values) == 1 else "")
    for number, line in enumerate(lines, start=1):
        line.set_label(f"{name} {number}" if name else "_")
    axes.margins(x=0.02)
    axes.set_xlabel("time")


def _row(task: Task, stream: TaskStream) -> tuple[str, ...]:
    validation = task.validation.num_examples if task.validation else 0
    lengths, counts = _measured(task.test, task.task_id, stream)
    shown = " ".join(str(count) for count in counts[:20]) + (" ..." if len(counts) > 20 else "")
    steps = f"{lengths.min()}, {lengths.mean():.1f}, {lengths.max()}"
    return task.name, str(task.train.num_examples), str(validation), str(task.test.num_examples), steps, shown


def _measured(split: Split, task_id: int, stream: TaskStream) -> tuple[np.ndarray, list[int]]:
    """Lengths [N], and of classes how often each is asked for."""
    lengths, counts = [], np.zeros(stream.num_outputs, np.int64)
    for batch in split.in_order(256, task_id).as_numpy_iterator():
        lengths.append(batch.lengths[batch.eval_weights.any(axis=1)])
        if stream.outputs == "softmax":
            counts += np.bincount(batch.targets[batch.eval_weights > 0], minlength=stream.num_outputs)
    return np.concatenate(lengths), counts.tolist() if stream.outputs == "softmax" else []


def _understood(pipeline: ModuleType, arguments: list[str]) -> tuple[argparse.Namespace, dict[str, object]]:
    """The options of the command, and settings of the data by name."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]), allow_abbrev=False)
    parser.add_argument(
        "--describe", action="store_true", help="describe the data (which is all that this command does)"
    )
    parser.add_argument("--data-dir", type=Path, help="directory of data")
    parser.add_argument("--picture", type=Path, help="file for the picture (.png, .svg, .pdf)")
    options, rest = parser.parse_known_args(arguments)
    hints = typing.get_type_hints(pipeline.Config)
    values: dict[str, object] = {}
    while rest:
        name = rest.pop(0)
        require(name.startswith("--data."), f"unknown flag {name}. Flags are --data-dir, --picture and --data.NAME.")
        name, equals, word = name.removeprefix("--data.").partition("=")
        words = [word] if equals else []
        while not equals and rest and not rest[0].startswith("--"):
            words.append(rest.pop(0))
        values |= _value(name.replace("-", "_"), words, hints)
    return options, values


def _value(name: str, words: list[str], hints: dict[str, object]) -> dict[str, object]:
    """A setting as it would stand in a YAML file."""
    if not words:
        negative = name.removeprefix("no_")
        return {negative: False} if name not in hints and negative in hints else {name: True}
    parsed = [None if word.lower() == "none" else yaml.safe_load(word) for word in words]
    many = "tuple" in str(hints.get(name))
    return {name: parsed if many and parsed != [None] else parsed[0] if len(parsed) == 1 else parsed}
