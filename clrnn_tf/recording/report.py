"""`report.html` of a run: one page that needs nothing else, made from the files of the run directory."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording import figures
from clrnn_tf.recording.certificates import certificate_section
from clrnn_tf.recording.comparisons import Comparison
from clrnn_tf.recording.coverage import coverage_table
from clrnn_tf.recording.figures import Curve
from clrnn_tf.recording.results import Results, further_means
from clrnn_tf.recording.run_directory import RunDirectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: .5rem 0; } caption { text-align: left; color: #666; padding: .3rem 0; }
th, td { padding: .15rem .8rem .15rem 0; text-align: right; border-bottom: 1px solid #eee; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
tr.mean td { font-weight: 600; border-top: 2px solid #bbb; }
.numbers { display: flex; gap: 2.5rem; flex-wrap: wrap; } .numbers b { display: block; font-size: 1.6rem; }
.note { color: #666; } svg { max-width: 100%; height: auto; }
pre { background: #f6f6f6; padding: .8rem; overflow: auto; }
"""


def write_report(path: Path, comparisons: Sequence[Comparison] = ()) -> Path:
    """Write `report.html` into the run directory `path` and return its path.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig, build_trainer
      >>> from data_pipelines import copy_task
      >>> stream = copy_task.make_stream(copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10))
      >>> network, train = NetworkConfig(hidden_sizes=(8,)), TrainConfig(steps=2, jit="off")
      >>> experiment = Experiment(method="fine_tuning", network=network, train=train)
      >>> trainer = build_trainer(experiment, stream)
      >>> import tempfile
      >>> from pathlib import Path
      >>> from clrnn_tf import FileRecorder, RunDirectory, learn, write_report
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     run = RunDirectory.create(Path(folder) / "run", experiment, {"data_source": stream.data_source})
      ...     trainer.observers.append(FileRecorder(run, experiment, trainer.method.facts()))
      ...     matrix = learn(stream, trainer)
      ...     write_report(run.path).name
      'report.html'
    """
    run = RunDirectory(path)
    results, matrix = run.read_results(), run.load()
    if matrix is None:
        raise ConfigurationError(f"no results in {path}: no task has been learned.")
    entries = _entries(run)
    this_run = Comparison(
        f"{results['method']} (this run)",
        results["mean_during_accuracy"],
        results["mean_final_accuracy"],
        results["forgetting"],
        f"seed {results['seed']}; data: {results['data_source']}",
        matrix,
        method=results["method"],
    )
    comparisons = [each.over(matrix.task_names) for each in comparisons]
    title = f"{results['benchmark']}: {results['method']}, seed {results['seed']}"
    sections = [
        f"<h1>{_text(title)}</h1>",
        f"<p>Data: {_text(results['data_source'])}.{'' if results['finished'] else ' <b>Unfinished run.</b>'}</p>",
        _headline(results),
        _beside_other_runs(matrix.task_names, [this_run, *comparisons]),
        _section(
            f"{_headline_name(matrix).capitalize()} on every task after each task",
            _figure(figures.matrix_figure(matrix)),
        ),
        _section("Training", _curves(entries, matrix)),
        _section("Tasks", _task_table(matrix, comparisons)),
        certificate_section(path),
        _inference(results),
        _samples(path / "samples.png"),
        coverage_table(results.get("data", {})),
        _section("Beside other results", _comparison_table([this_run, *comparisons])),
        _section("Time and size", _facts(results)),
        f"<details><summary>Settings</summary><pre>{_text(run.config.read_text(encoding='utf-8'))}</pre></details>",
    ]
    page = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )
    write_text(path / "report.html", page)
    return path / "report.html"


def _entries(run: RunDirectory) -> list[dict]:
    """The lines of `metrics.jsonl`."""
    try:
        entries = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    except (RecursionError, ValueError) as error:
        raise ConfigurationError(f"{run.metrics} is damaged ({error}). Restore it, or remove its bad lines.") from None
    require(
        all(isinstance(entry, dict) and entry.keys() >= {"kind", "task_id", "step", "accuracy"} for entry in entries),
        f"{run.metrics} is damaged (a line is no entry of a log). Restore it, or remove its bad lines.",
    )
    return entries


def is_whole_report(path: Path) -> bool:
    """Whether the run directory `path` has a report that was written to its end."""
    report = path / "report.html"
    return report.is_file() and report.read_bytes().endswith(b"</html>\n")


def _headline(results: Results) -> str:
    numbers = [
        ("final accuracy", results["mean_final_accuracy"], " %"),
        ("during accuracy", results["mean_during_accuracy"], " %"),
        ("forgetting", results["forgetting"], " points"),
        ("worst task, final", results["worst_final_accuracy"], " %"),
        ("forward transfer", results["forward_transfer"], " points"),
    ]
    numbers += [(f"final {name.replace('_', ' ')}", mean, " %") for name, mean in further_means(results).items()]
    shown = "".join(f"<div><b>{_number(value)}{unit}</b>{label}</div>" for label, value, unit in numbers)
    return f'<div class="numbers">{shown}</div>'


def _beside_other_runs(names: Sequence[str], comparisons: Sequence[Comparison]) -> str:
    """A figure of this run, which comes first, and the others that learned the same tasks; empty without any."""
    runs: dict[str, ResultMatrix] = {}
    methods: dict[str, str] = {}
    for run in comparisons:
        if run.matrix is not None and run.matrix.rows and run.matrix.task_names == names:
            repeats = sum(label == run.label or label.startswith(f"{run.label}, ") for label in runs)
            label = f"{run.label}, {repeats + 1}" if repeats else run.label
            runs[label], methods[label] = run.matrix, run.method
    if len(runs) < 2:
        return ""
    return _section("Beside other runs", _figure(figures.accuracy_over_tasks(runs, methods)))


def _curves(entries: Sequence[dict], matrix: ResultMatrix) -> str:
    names = matrix.row_names
    lengths = [0] * len(names)

    def row(entry: dict) -> int:
        return 0 if matrix.joint else entry["task_id"]

    for entry in entries:
        lengths[row(entry)] = max(lengths[row(entry)], entry["step"])
    starts = [sum(lengths[:task]) for task in range(len(names))]
    begun = sum(length > 0 for length in lengths)
    training = [entry for entry in entries if entry["kind"] == "train"]
    validation = [entry for entry in entries if entry["kind"] == "validation"]

    def steps(some: Iterable[dict]) -> list[float]:
        return [starts[row(entry)] + entry["step"] for entry in some]

    losses = [
        Curve(name, steps(training), [_or_nan(entry["losses"][name]) for entry in training])
        for name in (training[0]["losses"] if training else ())
        if name != "total"
    ]
    accuracies = [
        Curve("training batches", steps(training), [_or_nan(entry["accuracy"]) for entry in training]),
        Curve("validation", steps(validation), [_or_nan(entry["accuracy"]) for entry in validation], dots=True),
    ]
    places = starts[:begun], names[:begun]
    return _figure(figures.curves_figure(losses, "loss, nats a sequence", *places, log=True)) + _figure(
        figures.curves_figure(accuracies, "accuracy, %", *places)
    )


def _task_table(matrix: ResultMatrix, comparisons: Sequence[Comparison]) -> str:
    """A row for each task; columns of their own for comparisons that have an accuracy for each task."""
    by_task = {each.label: each.task_accuracy for each in comparisons if each.task_accuracy is not None}
    of_tasks = matrix.during(matrix.headline), matrix.final(matrix.headline)
    rows = [
        (name, *_change(during, final), *(_number(accuracy.get(name)) for accuracy in by_task.values()))
        for name, during, final in zip(matrix.task_names, *of_tasks, strict=False)
    ]
    means = _change(*(float(scores.mean()) for scores in of_tasks))
    body = _rows(rows) + _rows(
        [("mean", *means, *(_number(each.final) for each in comparisons if each.label in by_task))], "mean"
    )
    heads = "".join(f"<th>{_text(name)}</th>" for name in ("task", "during", "final", "change", *by_task))
    return (
        f"<table><caption>Test {_headline_name(matrix)} in percent: right after a task was learned (during), and at "
        f"the end (final).</caption><tr>{heads}</tr>{body}</table>"
    )


def _headline_name(matrix: ResultMatrix) -> str:
    return matrix.headline.replace("_", " ")


def _change(during: float, final: float) -> tuple[str, str, str]:
    return _number(during), _number(final), _number(final - during, "+")


def _inference(results: Results) -> str:
    scores = results.get("task_inference")
    if scores is None:
        return ""
    names, counts = results["task_names"], scores["inferred_counts"]
    columns = (scores["inference_accuracy"], scores["joint_accuracy"], results["final_accuracy"])
    mostly = [names[max(range(len(row)), key=row.__getitem__)] for row in counts]
    rows = [(name, *map(_number, values), taken) for name, *values, taken in zip(names, *columns, mostly, strict=True)]
    means = ("mean", *(_number(sum(map(_or_nan, column)) / len(column)) for column in columns), "")
    heads = "".join(f"<th>{name}</th>" for name in ("task", "found", "inferred", "known", "mostly taken for"))
    caption = (
        "Percent of test sequences whose task was found by the entropy of the answers, and accuracy in percent on all "
        "sequences with the inferred and with the known task."
    )
    table = f"<table><caption>{caption}</caption><tr>{heads}</tr>{_rows(rows)}{_rows([means], 'mean')}</table>"
    return _section("Task unknown", table)


def _samples(picture: Path) -> str:
    """The picture of training examples; empty without one."""
    if not picture.is_file():
        return ""
    code = base64.b64encode(picture.read_bytes()).decode()
    return _section("Samples of the data", f'<img alt="samples" width="100%" src="data:image/png;base64,{code}">')


def _comparison_table(comparisons: Sequence[Comparison]) -> str:
    rows = "".join(
        f"<tr><td>{_text(row.label)}</td><td>{_number(row.during)}</td><td>{_number(row.final)}</td>"
        f'<td>{_number(row.forgetting)}</td><td class="text">{_text(row.source)}</td></tr>'
        for row in comparisons
    )
    heads = '<tr><th>method</th><th>during</th><th>final</th><th>forgetting</th><th class="text">source</th></tr>'
    return f"<table>{heads}{rows}</table>"


def _facts(results: Results) -> str:
    timing = results["timing"]
    rows = [("training and testing", f"{timing['total_seconds']:.0f} s")]
    rows += [
        (name, f"{task['train_seconds']:.1f} s")
        for name, task in ((f"training of {task['task']} ({task['steps']} steps)", task) for task in timing["tasks"])
    ]
    if "compile_seconds" in timing:
        share = f"{timing['compile_seconds']:.0f} s, {timing.get('compile_share', 0.0):.0%} of steps and tests"
        rows += [("of it and of the tests before training: compilation, estimated", share)]
    rows += [("trained parameters", f"{results['num_parameters']:,.0f}")]
    rows += [("weights of the main network", f"{results['num_main_network_weights']:,.0f}")]
    if "num_table_parameters" in results:
        size = f", {results['table_bytes'] / 1e6:,.3f} MB" if "table_bytes" in results else ""  # not in older results
        rows += [("parameters of the tables of n-grams", f"{results['num_table_parameters']:,.0f}{size}")]
    if "compression_ratio" in results:
        rows += [("parameters per generated weight", f"{results['compression_ratio']:.3f}")]
    rows += [
        (f"kept for old tasks: {name}", f"{size / 1e6:,.3f} MB")
        for name, size in (results.get("kept_bytes") or [{}])[-1].items()
    ]
    if "separate_networks_bytes" in results:
        separate = results["separate_networks_bytes"] / 1e6
        rows += [("a separate network for each task would take", f"{separate:,.3f} MB")]
    rows += [(name, version) for name, version in results["versions"].items()]
    return f"<table>{_rows(rows)}</table>"


def _rows(rows: Sequence[Sequence[str]], kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return "".join(f"<tr{attribute}>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)


def _section(title: str, body: str) -> str:
    return f"<h2>{_text(title)}</h2>{body}"


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return '<p class="note">No figure: matplotlib is not installed (pip install matplotlib).</p>'
    return figures.svg(figure)


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None or math.isnan(value) else f"{value:{sign}.2f}"


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _text(value: object) -> str:
    return html.escape(str(value))
