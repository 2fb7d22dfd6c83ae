"""`report.html`: one page that needs nothing else, made from the files of one run directory or of several."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from clrnn_tf.durable_files import write_text
from clrnn_tf.recording.comparisons import Comparison
from clrnn_tf.recording.coverage import coverage_table
from clrnn_tf.recording.report import overview
from clrnn_tf.recording.report.certificate import certificate_section
from clrnn_tf.recording.report.confusions import confusions_section
from clrnn_tf.recording.report.costs import memory_section, time_section
from clrnn_tf.recording.report.elements import section, text
from clrnn_tf.recording.report.entries import entry_of, entry_of_runs, without_data
from clrnn_tf.recording.report.provenance import again_section, provenance_section, settings_details
from clrnn_tf.recording.report.several import groups_of, several_body, several_title
from clrnn_tf.recording.report.stored_run import read_run
from clrnn_tf.recording.report.style import STYLE
from clrnn_tf.recording.report.tasks import curves_section, inference_section, matrix_section, task_table


def write_report(path: Path, comparisons: Sequence[Comparison] = (), out: Path | None = None) -> Path:
    """Write `report.html` into the run directory `path` and return its path.

    Args:
      path: The run directory.
      comparisons: What the run is set beside: other runs, published figures.
      out: Another file to write.

    Raises:
      ConfigurationError: There are no results at `path`, or they are damaged.

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
    run = read_run(path)
    label = f"{run.results['method']}{' (this run)' if comparisons else ''}"
    this_run = entry_of_runs(label, [run], f"seed {run.results['seed']}", this=True)
    others = [entry_of(each.over(run.matrix.task_names)) for each in comparisons]
    entries = [this_run, *(without_data(other, run.results["data_source"]) for other in others)]
    body = [
        overview.head(run),
        overview.warnings(run),
        overview.lead(run),
        overview.tiles(run),
        overview.top(entries, run),
        matrix_section(this_run, f"{run.headline.capitalize()} on every task after each task"),
        task_table(this_run, entries[1:], run),
        certificate_section(path),
        curves_section(run),
        confusions_section(run),
        inference_section(run),
        _samples(path / "samples.png"),
        _coverage(run.results.get("data", {})),
        memory_section(run),
        time_section(run),
        again_section(run),
        provenance_section(run),
        settings_details(run),
    ]
    return _write(out or path / "report.html", overview.page_title(run), body)


def write_report_of_several(paths: Sequence[Path], out: Path, comparisons: Sequence[Comparison] = ()) -> Path:
    """Write one report of several runs of the same tasks to `out`; runs that differ in their seed alone are one row.

    Args:
      paths: Run directories.
      out: The file to write.
      comparisons: What the runs are set beside: published figures.

    Raises:
      ConfigurationError: A directory has no results, or the runs have not learned the same tasks.
    """
    groups = groups_of([read_run(path) for path in paths])
    return _write(out, several_title(groups), several_body(groups, comparisons))


def is_whole_report(path: Path) -> bool:
    """Whether the run directory `path` has a report that was written to its end."""
    report = path / "report.html"
    return report.is_file() and report.read_bytes().endswith(b"</html>\n")


def _write(path: Path, title: str, body: Sequence[str]) -> Path:
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    return path


def _samples(picture: Path) -> str:
    """The picture of training examples; empty without one."""
    if not picture.is_file():
        return ""
    code = base64.b64encode(picture.read_bytes()).decode()
    return section("Samples of the data", f'<img alt="training examples" src="data:image/png;base64,{code}">')


def _coverage(data_facts: dict[str, object]) -> str:
    return section("Words with a vector", coverage_table(data_facts))
