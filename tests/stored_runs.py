"""Finished runs as they lie on the disk, without training: settings, results and a log."""

from clrnn_tf.durable_files import write_text
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.results import scores_of
from clrnn_tf.recording.run_directory import RunDirectory, as_json, library_versions
from trainers.copy_task import BENCHMARK

STEPS = 100
"""Of each task, in the log."""


def store(
    path, seed=0, method=None, rows=((90, 50), (80, 95)), names=("task0", "task1"), change=None, fingerprint=None
):
    """Write the run of a preset of the Copy Task.

    Args:
      path: Its directory.
      seed: Its seed.
      method: Another method than HNET.
      rows: Accuracies; fewer than tasks where the run is not finished.
      names: Of the tasks.
      change: Called with the experiment; returns another.
      fingerprint: Of the data.
    """
    experiment = BENCHMARK.presets["hnet_short"].experiment("copy_task", seed, method)
    experiment = change(experiment) if change else experiment
    provenance = {"preset": "hnet_short", "data_source": "made up", "data_dir": None, "fingerprint": fingerprint}
    run = RunDirectory.create(path, experiment, provenance)
    matrix = ResultMatrix(
        tuple(names),
        initial=[Evaluation(5.0, 50.0)] * len(names),
        rows=[[Evaluation(10 - accuracy / 10, float(accuracy)) for accuracy in row] for row in rows],
    )
    results = {
        **scores_of(matrix),
        "num_parameters": 1,
        "num_main_network_weights": 1,
        "benchmark": experiment.benchmark,
        "method": experiment.method,
        "seed": experiment.seed,
        "data_source": "made up",
        "versions": library_versions(),
        "timing": {"tasks": [], "total_seconds": 1.0, "compile_seconds": 0.5, "compile_share": 0.5},
    }
    write_text(run.results, as_json(results))
    entries = [
        {"kind": "validation", "task_id": task, "step": step, "accuracy": row[task] * step / STEPS, "loss": 0.5}
        for task, row in enumerate(rows)
        for step in range(STEPS // 4, STEPS + 1, STEPS // 4)
    ]
    write_text(run.metrics, "".join(map(as_json, entries)))
    return path


def store_seeds(out, seeds=range(3), method=None, low=0, change=None):
    """A directory of seeds; the accuracies of seed n are n + `low` points lower, but for the last task's."""
    for seed in seeds:
        store(out / f"seed{seed}", seed, method, ((90, 50), (80 - seed - low, 95)), change=change)
    return out
