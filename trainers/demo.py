"""The demo: ``python -m trainers.demo``. Nine languages one after another, learned by three methods.

Fine-tuning forgets, HNET does not, and a network for each language shows what could be reached. It needs no data: the
sentences are those of the embedded starter treebank.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table

from clrnn_tf.durable_files import write_bytes
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording import figures
from clrnn_tf.recording.comparisons import comparison_from_run
from clrnn_tf.recording.progress import captioned
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory
from data_pipelines.storage import DATA_DIR_VARIABLE
from trainers.pos_tagging import BENCHMARK
from trainers.run import main as run_benchmark

METHODS = {"fine_tuning": "fine-tuning", "hnet": "HNET", "from_scratch": "separate networks"}
"""Method by method, in the order in which they run: the name to show."""


@dataclass(frozen=True)
class DemoRun:
    """What the demo says about a finished run."""

    name: str
    matrix: ResultMatrix
    num_parameters: int
    """Trained parameters after the last task."""
    minutes: float
    """Training and testing, compilation included; without reading data, exports and reports."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the three methods, draw them in one figure and say where everything is; returns the exit code."""
    options = _parser().parse_args(arguments)
    os.environ.pop(DATA_DIR_VARIABLE, None)  # the demo is about the embedded treebank, also where there is other data
    for number, method in enumerate(METHODS, 1):
        print(f"\n[{number}/{len(METHODS)}] {METHODS[method]}", flush=True)
        code = run_benchmark(BENCHMARK, _command(method, options))
        if code:
            return code
    paths = [options.out / method for method in METHODS]
    runs = [demo_run(path) for path in paths]
    report = write_report(options.out / "hnet", [comparison_from_run(path) for path in paths if path.name != "hnet"])
    figure = write_figure(options.out / "demo.png", runs)
    console = Console()
    console.print(results_table(runs))
    for line in _farewell(options.out, figure, report):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return 0


def demo_run(path: Path) -> DemoRun:
    """The numbers of a finished run.

    Args:
      path: Its directory, whose name is that of the method.
    """
    run = RunDirectory(path)
    matrix = run.load()
    if matrix is None:
        raise ConfigurationError(f"{path} holds no finished run. Start the demo anew with --overwrite.")
    results = json.loads(run.results.read_text(encoding="utf-8"))
    return DemoRun(METHODS[path.name], matrix, results["num_parameters"], results["timing"]["total_seconds"] / 60.0)


def write_figure(path: Path, runs: Sequence[DemoRun]) -> Path | None:
    """Write accuracy over the tasks learned as a PNG; None where matplotlib is not installed."""
    methods = {name: method for method, name in METHODS.items()}
    figure = figures.accuracy_over_tasks({run.name: run.matrix for run in runs}, methods)
    if figure is None:
        return None
    write_bytes(path, figures.png(figure))
    return path


def results_table(runs: Sequence[DemoRun]) -> Group:
    """One row for each run: accuracies and forgetting, parameters, minutes."""
    languages = ", ".join(runs[0].matrix.task_names)
    table = Table()
    for name in ("method", "during", "final", "forgetting", "parameters", "minutes"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for run in runs:
        summary = run.matrix.summary()
        scores = (summary[name] for name in ("mean_during_accuracy", "mean_final_accuracy", "forgetting"))
        table.add_row(run.name, *(f"{score:.1f}" for score in scores), f"{run.num_parameters:,}", f"{run.minutes:.1f}")
    title = f"tagging {languages}: test accuracy right after learning (during) and at the end (final), %"
    caption = "minutes of training and testing, compilation included; reading data, exports, reports not counted"
    return captioned(table, title, caption)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainers.demo", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="directory to write (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and batches (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the runs of an earlier demo in --out")
    return parser


def _command(method: str, options: argparse.Namespace) -> list[str]:
    overwrite = ["--overwrite"] if options.overwrite else []
    return ["--preset", f"demo_{method}", "--seed", str(options.seed), "--out", str(options.out / method), *overwrite]


def _python() -> str:
    """The interpreter as it is typed here: that of a virtual environment below the working directory, or `python`."""
    running = Path(sys.executable)
    return str(running.relative_to(Path.cwd())) if running.is_relative_to(Path.cwd()) else "python"


def _farewell(out: Path, figure: Path | None, report: Path) -> list[str]:
    """Where everything is, and the next command to type."""
    return [
        f"picture   {figure}" if figure else "picture   none: it needs matplotlib (pip install matplotlib)",
        f"report    {report}",
        f"taggers   {out / 'hnet' / 'export'}/LANGUAGE/1  (SavedModels that need TensorFlow alone)",
        "",
        "Next, tag a sentence, or learn the treebanks and word vectors in a directory DIR:",
        f'  {_python()} -m trainers.tag {out / "hnet"} --language de "Das ist gut ."',
        f"  {_python()} -m trainers.pos_tagging --data-dir DIR --preset hnet_letters",
    ]


if __name__ == "__main__":
    sys.exit(main())
