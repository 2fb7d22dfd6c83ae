import json
from pathlib import Path

import pytest
import yaml

from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.training.learning import learn
from data_pipelines import copy_task as copy_pipeline
from results import registry
from trainers import pos_tagging
from trainers.copy_task import BENCHMARK

ROOT = Path(__file__).parent.parent
SMALL = {
    "data": {"num_tasks": 2, "num_train": 40, "num_validation": 0, "num_test": 8, "input_length": 2},
    "train": {"steps": 2, "batch_size": 4},
    "network": {"hidden_sizes": [4]},
}


def finished_run(path, seed=0, **more):
    """A run of a small copy task under the preset of fine-tuning."""
    from clrnn_tf.config import updated

    preset = BENCHMARK.presets["fine_tuning_permuted"]
    experiment = updated(preset.experiment("copy_task", seed), {**SMALL, **more})
    stream = copy_pipeline.make_stream(experiment.data)
    trainer = build_trainer(experiment, stream)
    provenance = {"preset": "fine_tuning_permuted", "data_source": stream.data_source, "data_dir": None}
    run = RunDirectory.create(path, experiment, provenance)
    trainer.observers.append(FileRecorder(run, experiment, trainer.method.facts()))
    learn(stream, trainer)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [finished_run(folder / str(seed), seed) for seed in (0, 1)]


def test_a_registered_run_has_its_command_and_figures(runs, tmp_path, capsys):
    path = tmp_path / "registry.jsonl"
    assert registry.main(["add", *map(str, runs), "--registry", str(path)]) == 0
    assert "2 runs" in capsys.readouterr().out
    first, second = registry.read(path)
    results = json.loads((runs[0] / "results.json").read_text())
    assert first["command"] == (
        "python -m trainers.copy_task --preset fine_tuning_permuted --network.hidden-sizes 4 --train.steps 2 "
        "--train.batch-size 4 --data.num-tasks 2 --data.input-length 2 --data.num-train 40 --data.num-validation 0 "
        "--data.num-test 8"
    )
    assert second["command"] == first["command"].replace("_permuted", "_permuted --seed 1")
    assert first["mean_final_accuracy"] == results["mean_final_accuracy"]
    assert first["seconds"] == results["timing"]["total_seconds"] > 0
    assert (first["seed"], second["seed"]) == (0, 1)


def test_a_registered_command_is_one_that_the_trainer_takes(runs):
    from trainers.settings import parse

    words = registry.entry_of(runs[1])["command"].split()[3:]
    experiment = parse(BENCHMARK, words).experiment
    stored = yaml.safe_load((runs[1] / "config.yaml").read_text())
    del stored["provenance"]
    assert experiment.to_dict() == stored


def test_settings_that_are_on_or_off_are_flags():
    from clrnn_tf.config import updated
    from trainers.settings import parse

    switched = {"data": {"permute_time": False, "permute_width": True}}
    experiment = updated(BENCHMARK.presets["fine_tuning_permuted"].experiment("copy_task", 0), switched)
    provenance = {"preset": "fine_tuning_permuted", "data_dir": None}
    _, command = registry.command_of(BENCHMARK, {**experiment.to_dict(), "provenance": provenance})
    assert command.endswith("--data.no-permute-time --data.permute-width")
    assert parse(BENCHMARK, command.split()[3:]).experiment == experiment


def test_a_path_in_the_data_is_told_from_the_directory_of_the_data():

    settings = pos_tagging.BENCHMARK.presets["hnet_letters"].experiment("pos_tagging").to_dict()
    settings["data"]["vectors_dir"] = "/some/data/vectors"
    provenance = {"preset": "hnet_letters", "data_dir": "/some/data"}
    _, command = registry.command_of(pos_tagging.BENCHMARK, {**settings, "provenance": provenance})
    assert command.endswith("--data-dir DIR --preset hnet_letters --data.vectors-dir DIR/vectors")


def test_the_same_command_again_replaces_its_line(runs, tmp_path):
    path = tmp_path / "registry.jsonl"
    for chosen in (runs, runs[:1]):
        registry.main(["add", *map(str, chosen), "--registry", str(path)])
    assert sorted(entry["seed"] for entry in registry.read(path)) == [0, 1]


def test_unfinished_runs_are_refused(tmp_path, capsys):
    assert registry.main(["add", str(tmp_path), "--registry", str(tmp_path / "r.jsonl")]) == 2
    assert "only finished runs are registered" in capsys.readouterr().err
    assert not (tmp_path / "r.jsonl").exists()


def test_tables_are_written_between_their_marks(runs):
    entries = [registry.entry_of(path) for path in runs]
    page = "a\n<!-- results: copy_task -->\nold\n<!-- end -->\nb\n<!-- results: copy_task by task -->\n<!-- end -->\n"
    made = registry.with_tables(page, entries)
    assert "old" not in made and made.startswith("a\n<!-- results: copy_task -->\n| method |")
    rows = made.splitlines()
    assert rows[4].startswith(f"| fine_tuning | `{entries[0]['command']}` | 0, 1 | ")
    assert registry.with_tables(made, entries) == made


def test_runs_that_differ_in_their_seed_share_a_row_with_mean_and_deviation(runs):
    figures = ({"mean_final_accuracy": 70.0, "seconds": None}, {"mean_final_accuracy": 74.0, "seconds": 120.0})
    first, second = ({**registry.entry_of(path), **figure} for path, figure in zip(runs, figures, strict=True))
    page = "<!-- results: copy_task -->\n<!-- end -->\n"
    assert len(registry.with_tables(page, [first]).splitlines()) == 5
    assert " | 70.00 | " in registry.with_tables(page, [first])
    row = registry.with_tables(page, [first, second]).splitlines()[3]
    assert f"`{first['command']}` | 0, 1 | " in row
    assert " | 72.00 ± 2.83 | " in row  # sample deviation: sqrt(((70 - 72)^2 + (74 - 72)^2) / (2 - 1))
    assert " | 2 | " in row  # minutes of the run that has them


def test_only_runs_of_a_preset_as_it_is_stand_beside_its_published_figures(runs):
    changed, second = (registry.entry_of(path) for path in runs)
    as_preset = "python -m trainers.copy_task --preset fine_tuning_permuted"
    entries = [changed, {**changed, "command": as_preset}, {**second, "command": f"{as_preset} --seed 1"}]
    page = "<!-- results: copy_task -->\n<!-- end -->\n<!-- results: copy_task by task -->\n<!-- end -->\n"
    rows = registry.with_tables(page, entries).splitlines()
    assert [row.rsplit("|", 2)[1].strip() for row in rows[3:5]] == ["–", "99.99, –"]
    by_task = [row for row in rows if row.startswith("| task1 | ")]
    shown = " → ".join(f"{changed[f'{when}_accuracy'][1]:.1f}" for when in ("during", "final"))
    assert by_task == [f"| task1 | {shown} |"]  # one column: seed 0 of the preset


def test_a_run_without_during_accuracy_has_a_dash_in_its_place(runs):
    entry = registry.entry_of(runs[0])
    entry |= {"command": "python -m trainers.copy_task --preset fine_tuning_permuted"}
    entry |= {"mean_during_accuracy": None, "during_accuracy": [None] * len(entry["task_names"]), "forgetting": None}
    page = "<!-- results: copy_task -->\n<!-- end -->\n<!-- results: copy_task by task -->\n<!-- end -->\n"
    rows = registry.with_tables(page, [entry]).splitlines()
    assert f"| 0 | – | {entry['mean_final_accuracy']:.2f} | – |" in rows[3]
    assert f"| task1 | – → {entry['final_accuracy'][1]:.1f} |" in rows


def test_the_tables_of_the_page_are_those_of_the_register():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    entries = registry.read(ROOT / "results" / "registry.jsonl")
    assert registry.with_tables(page, entries) == page
    assert page.count("<!-- results: ") >= 3
    for entry in entries:
        assert entry["preset"] in registry.benchmark_of(entry["benchmark"]).presets
