"""Search of settings: spaces, trials, protocols, what is written, and what a killed search goes on with."""

import csv
import dataclasses
import functools
import importlib.util
import json

import pytest
import yaml

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.experiment import build_trainer
from clrnn_tf.methods import names as method_names
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.run_directory import RunDirectory
from tests import tiny
from tests.searches import SPACES, FakeRuns, accuracy, events, run_search, search_plan, values_by_trial
from trainers import clrnn, copy_task, pos_tagging, search
from trainers.recorders import recorders
from trainers.searching import trial_run
from trainers.searching.journal import Journal
from trainers.searching.options import SearchOptions
from trainers.searching.plans import new_plan, stored_plan
from trainers.searching.scores import Objective
from trainers.searching.shipped import shipped
from trainers.searching.spaces import Choices, Range, parse_space, parse_spaces
from trainers.searching.trial_run import Hopeless, HopelessError, on_validation_data
from trainers.settings import parse

pytest.importorskip("keras_tuner", reason="Keras Tuner is the extra 'search'")
EXPERIMENT = parse(copy_task.BENCHMARK, ["--preset", "hnet_short"]).experiment


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


def error_of(capsys, *words):
    """The one line on standard error of a search that must exit with 2."""
    assert search.main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_space_is_a_range_or_choices():
    assert parse_space("hnet.strength=log:0.1:100", EXPERIMENT) == Range("hnet.strength", 0.1, 100.0, True)
    assert parse_space("train.batch-size=linear:8:64", EXPERIMENT).whole
    space = parse_space("train.clip_norm=none,1,10", EXPERIMENT)
    assert space == Choices("train.clip_norm", ("none", "1", "10"), (None, 1, 10))
    assert parse_space("network.hidden_sizes=64,64 32", EXPERIMENT).values == ([64], [64, 32])
    assert parse_space("hypernetwork.use_bias=true,false", EXPERIMENT).values == (True, False)
    for text in ("hnet.strength=log:0.1:100", "train.clip_norm=none,1,10", "hnet.strength=linear:0:1:3"):
        assert str(parse_space(text, EXPERIMENT)) == text


def test_a_range_gives_numbers_of_three_digits_within_its_bounds():
    space = parse_space("hnet.strength=log:0.12345:100", EXPERIMENT)
    assert space.value(0.12345) == 0.12345
    assert space.value(1.23456) == 1.23
    assert space.grid() == (0.12345, 1.15, 10.7, 100.0)
    assert parse_space("train.batch_size=log:8:64", EXPERIMENT).grid() == (8, 16, 32, 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hnet.strength=1", "at least two values"),
        ("hnet.strength=1,1", "at least two values"),
        ("hnet.strength=log:1:1", "at least two values"),
        ("hnet.strength=log:2:1", "the lowest first"),
        ("hnet.strength=log:0:1", "above 0 for log"),
        ("hnet.strength=log:a:1", "numbers as bounds"),
        ("hnet.strength", "NAME=log:LOW:HIGH"),
        ("hnet.strenth=1,2", "unknown setting 'hnet.strenth'. Did you mean hnet.strength"),
        ("si.strength=1,2", "unknown setting 'si.strength'"),
        ("hnet.strength=-1,2", "hnet.strength must not be negative. Received: -1.0"),
        ("train.batch_size=linear:8:64.5", "whole numbers"),
        ("network.heads=log:1:2", "takes no numbers"),
        ("network.heads=single,many", "many"),
        ("hypernetwork.use_bias=yes,no", "true or false"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigurationError) as error:
        parse_space(text, EXPERIMENT)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_setting_has_one_space():
    with pytest.raises(ConfigurationError, match="once"):
        parse_spaces(["hnet.strength=1,2", "hnet.strength=3,4"], EXPERIMENT)


@pytest.mark.parametrize("benchmark", clrnn.benchmarks())
@pytest.mark.parametrize("method", method_names())
def test_spaces_are_shipped_for_every_benchmark_and_method(benchmark, method):
    module = __import__(f"trainers.{benchmark}", fromlist=["BENCHMARK"])
    preset = module.BENCHMARK.default_preset(method, embedded=True)
    experiment = module.BENCHMARK.preset(preset).experiment(benchmark, method=method)
    spaces = parse_spaces(shipped(benchmark, method), experiment)
    assert any(space.name == "train.learning_rate" for space in spaces)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--benchmark", "copy_task", "--tuner", "foo"],
            "search.tuner must be random, bayesian, hyperband or grid.",
        ),
        (["--benchmark", "copy_task", "--seeds", "2-1"], "--seeds must count upwards"),
        (["--benchmark", "copy_tsk"], "Did you mean copy_task"),
        ([], "--benchmark"),
        (["--benchmark", "copy_task", "--space", "hnet.strength=1"], "at least two values"),
        (["--benchmark", "copy_task", "--space", "hnet.strenth=1,2"], "Did you mean hnet.strength"),
        (["--benchmark", "copy_task", "--sedes", "1"], "unknown flag --sedes"),
        (["--benchmark", "copy_task", "--infer-task"], "Received: --infer-task; leave it out."),
        (["--benchmark", "copy_task", "--max-trials", "0"], "search.max_trials must be above 0"),
        (["--benchmark", "copy_task", "--method", "fine_tuning", "--protocol", "plasticity-stability"], "a strength"),
        (["--resume"], "--out"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, message, capsys):
    assert message in error_of(capsys, *words)


def test_a_search_is_not_overwritten_and_not_continued_with_other_settings(tmp_path, capsys):
    words = ["--benchmark", "copy_task", *("--out", tmp_path / "s", "--space", *SPACES)]
    assert "no search to continue" in error_of(capsys, "--out", tmp_path / "s", "--resume")
    search_plan(tmp_path / "s")
    assert "--resume" in error_of(capsys, *words)
    assert "--tuner" in error_of(capsys, "--out", tmp_path / "s", "--resume", "--tuner", "grid")
    line = error_of(capsys, *words, "--resume", "--tuner", "grid", "--preset", "hnet_short", "--data.num-tasks", 2)
    assert "search.tuner (stored 'random', now 'grid')" in line
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    assert "is no search" in error_of(capsys, "--benchmark", "copy_task", "--out", tmp_path / "other")


def test_the_search_that_is_stored_is_the_one_that_began(tmp_path):
    plan = search_plan(tmp_path / "s", "--train.steps", "77", tuner="bayesian", seeds="0-1", protocol="first-k")
    options = dataclasses.replace(SearchOptions(), out=tmp_path / "s", resume=True)
    again = stored_plan(options, ("out", "resume"), [])
    assert again.facts() == plan.facts()
    assert again.experiment == plan.experiment
    assert again.experiment.train.steps == 77
    assert again.seeds == (0, 1)
    assert again.command.preset == "hnet_short"


def test_the_first_trial_is_the_preset_and_the_best_settings_are_a_config_file(tmp_path):
    plan = search_plan(tmp_path / "s")
    runs = FakeRuns()
    oracle = run_search(plan, runs)
    assert len(oracle.trials) == 6
    assert runs.settings[0]["hnet"]["strength"] == 1.0
    assert runs.settings[0]["train"]["learning_rate"] == 0.002
    from trainers.searching.running import conclude

    assert conclude(plan, oracle) == 0
    best = parse(copy_task.BENCHMARK, ["--config", str(plan.out / "best.yaml")])
    found = max(runs.settings, key=accuracy)
    assert best.experiment.to_dict()["hnet"] == found["hnet"]
    assert best.experiment.train.learning_rate == found["train"]["learning_rate"]
    assert best.preset == "hnet_short"
    table = json.loads((plan.out / "trials.json").read_text())
    assert table["protocol"] == "oracle (validation data of all tasks)"
    assert table["scored_on"] == "validation data"
    assert max(trial["score"] for trial in table["trials"]) == pytest.approx(accuracy(found))
    rows = list(csv.DictReader((plan.out / "trials.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows if row["best"] == "True"] == [table["best"]]
    assert {row["protocol"] for row in rows} == {table["protocol"]}
    assert "protocol oracle" in (plan.out / "trials.txt").read_text()
    assert "protocol oracle" in (plan.out / "best.yaml").read_text().splitlines()[0]


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "grid"])
def test_a_killed_search_goes_on_with_the_same_trials(tuner, tmp_path):
    straight = values_by_trial(run_search(search_plan(tmp_path / "straight", tuner=tuner, max_trials=9), FakeRuns()))
    plan = search_plan(tmp_path / "killed", tuner=tuner, max_trials=9)
    for kill_in in (3, 2, 4):  # in trials 2, 3 and 6
        with pytest.raises(KeyboardInterrupt):
            run_search(plan, FakeRuns(kill_in))
    with (plan.out / "events.jsonl").open("a") as journal:
        journal.write('{"event": "cre')  # killed while it wrote
    assert values_by_trial(run_search(plan, FakeRuns())) == straight
    assert len(straight) == 9


def test_the_oracle_is_asked_again_after_a_pause_only_where_no_trial_came(tmp_path, monkeypatch):
    from keras_tuner import HyperParameters
    from keras_tuner.engine.trial import Trial, TrialStatus

    from trainers.searching import tuner

    plan, pauses = search_plan(tmp_path / "s"), []
    monkeypatch.setattr(tuner.time, "sleep", pauses.append)
    oracle = run_search(plan, FakeRuns())
    assert len(oracle.trials) == 6
    assert pauses == []
    answers = iter([TrialStatus.IDLE, TrialStatus.IDLE, TrialStatus.STOPPED])
    monkeypatch.setattr(oracle, "create_trial", lambda tuner_id: Trial(HyperParameters(), status=next(answers)))
    tuner.SearchTuner(plan, oracle, None, print).search()
    assert len(pauses) == 2 and min(pauses) > 0.0


def test_a_trial_that_has_ended_is_not_run_again(tmp_path):
    plan = search_plan(tmp_path / "s")
    run_search(plan, FakeRuns())
    runs = FakeRuns()
    lines = (plan.out / "events.jsonl").read_text().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if '"end"' in line]
    (plan.out / "events.jsonl").write_text("".join(lines[: ends[-1]]))  # killed before the last result was told
    assert len(run_search(plan, runs).trials) == 6
    assert runs.commands == []


def test_a_journal_of_other_trials_is_refused(tmp_path):
    plan = search_plan(tmp_path / "s")
    run_search(plan, FakeRuns())
    text = (plan.out / "events.jsonl").read_text()
    (plan.out / "events.jsonl").write_text(text.replace('"hnet.strength": ', '"hnet.strength": 1'))
    with pytest.raises(ConfigurationError, match="another trial"):
        run_search(plan, FakeRuns())
    (plan.out / "events.jsonl").write_text("nonsense\n" + text)
    with pytest.raises(ConfigurationError, match="is damaged"):
        Journal(plan.out / "events.jsonl").read()


def test_hyperband_trains_on_few_steps_first_and_takes_the_best_of_those_on_all(tmp_path):
    plan = search_plan(tmp_path / "s", tuner="hyperband", max_trials=30)
    runs = FakeRuns()
    oracle = run_search(plan, runs)
    steps = [settings["train"]["steps"] for settings in runs.settings]
    assert sorted(set(steps)) == [167, 500, 1500]
    assert steps[:9] == [167] * 9
    from trainers.searching.tables import best_of, rows_of

    best = best_of(plan, rows_of(plan, list(oracle.trials.values())))
    assert best.steps_share == 1.0


def test_a_grid_tries_every_combination_once(tmp_path):
    plan = search_plan(tmp_path / "s", tuner="grid", space=["hnet.strength=0.1,1,10", "network.heads=single,multi"])
    runs = FakeRuns()
    assert len(run_search(plan, runs).trials) == 6
    tried = {(settings["hnet"]["strength"], settings["network"]["heads"]) for settings in runs.settings}
    assert len(tried) == 6


def test_a_trial_is_the_mean_over_its_seeds(tmp_path):
    plan = search_plan(tmp_path / "s", seeds="3,4", max_trials=1)
    accuracies = iter([80.0, 90.0])
    runs = FakeRuns(scores=lambda settings: [[70.0, 50.0], [next(accuracies)] * 2])
    (trial,) = run_search(plan, runs).trials.values()
    assert trial.score == 85.0
    assert [command[command.index("--seed") + 1] for command in runs.commands] == ["3", "4"]
    assert json.loads((plan.trials / "0" / "outcome.json").read_text())["scores"] == [80.0, 90.0]


def test_a_trial_that_can_no_longer_win_ends_early_and_does_not_win(tmp_path):
    plan = search_plan(tmp_path / "s", max_trials=3)
    rows = iter([[[90.0, 50.0], [90.0, 90.0]], [[70.0, 99.0], [99.0, 99.0]], [[95.0, 50.0], [91.0, 91.0]]])
    oracle = run_search(plan, FakeRuns(scores=lambda settings: next(rows)))
    from trainers.searching.tables import best_of, rows_of

    table = rows_of(plan, list(oracle.trials.values()))
    assert [row.status for row in table] == ["finished", "ended early", "finished"]
    assert [row.score for row in table] == [90.0, 84.5, 91.0]
    assert best_of(plan, table).trial == "2"


def test_failed_trials_are_told_and_many_end_the_search(tmp_path, capsys):
    plan = search_plan(tmp_path / "s", max_trials=40)
    oracle = run_search(plan, FakeRuns(scores=lambda settings: "the loss is not finite."))
    assert len(oracle.trials) == 10
    from trainers.searching.running import conclude

    assert conclude(plan, oracle) == 1
    assert capsys.readouterr().err == (
        "error: too many trials failed one after another. The last: the loss is not finite.\n"
    )
    assert not (plan.out / "best.yaml").exists()


def test_values_that_do_not_go_together_fail_a_trial_and_not_the_search(tmp_path):
    plan = search_plan(tmp_path / "s", tuner="grid", space=["train.batch_size=64,60", "train.length_blocks=2,32"])
    oracle = run_search(plan, FakeRuns())
    assert sorted(trial.status for trial in oracle.trials.values()) == ["COMPLETED"] * 3 + ["FAILED"]
    (failed,) = [name for name, trial in oracle.trials.items() if trial.status == "FAILED"]
    text = json.loads((plan.trials / failed / "outcome.json").read_text())["error"]
    assert "train.length_blocks must divide train.batch_size" in text


def test_plasticity_comes_first_then_the_strength_is_lowered_until_it_costs_little(tmp_path):
    plan = search_plan(tmp_path / "s", protocol="plasticity-stability", max_trials=10, drop=0.05)

    def scores(settings):
        during = 90.0 - 3.0 * settings["hnet"]["strength"] - 500.0 * abs(settings["train"]["learning_rate"] - 0.002)
        return [[during, 50.0], [10.0, during]]

    runs = FakeRuns(scores=scores)
    oracle = run_search(plan, runs)
    strengths = [settings["hnet"]["strength"] for settings in runs.settings]
    assert strengths[:5] == [0.0] * 5
    assert strengths[5:] == [100.0, 10.0, 1.0]  # 87 is more than 95 % of 90; 60 is not
    assert {settings["train"]["learning_rate"] for settings in runs.settings[5:]} == {0.002}
    assert "--first-tasks" in runs.commands[0] and "--during" in runs.commands[0]
    from trainers.searching.running import conclude

    assert conclude(plan, oracle) == 0
    best = yaml.safe_load((plan.out / "best.yaml").read_text())
    assert (best["hnet"]["strength"], best["train"]["learning_rate"]) == (1.0, 0.002)
    assert "each right after learning it" in json.loads((plan.out / "trials.json").read_text())["protocol"]


def test_the_objective_is_a_mean_of_any_metric():
    matrix = ResultMatrix(("a", "b"))
    matrix.add([Evaluation(1.0, 80.0), Evaluation(3.0, 30.0)])
    final, during, loss = (
        Objective("accuracy", "final"),
        Objective("accuracy", "during"),
        Objective("loss", "final"),
    )
    assert (final.score(matrix), during.score(matrix), loss.score(matrix)) == (55.0, 55.0, 2.0)
    assert (final.bound(matrix), loss.bound(matrix)) == (90.0, 0.5)
    matrix.add([Evaluation(2.0, 60.0), Evaluation(1.0, 90.0)])
    assert (final.score(matrix), during.score(matrix), loss.score(matrix)) == (75.0, 85.0, 1.5)
    assert loss.is_better(1.0, 2.0) and final.is_better(2.0, 1.0)
    with pytest.raises(ConfigurationError, match="metric must be one of loss, accuracy"):
        Objective("beauty", "final").score(matrix)
    nan = ResultMatrix(("a",), rows=[[Evaluation(1.0, float("nan"))]])
    with pytest.raises(ConfigurationError, match="--objective loss"):
        final.score(nan)


def test_a_run_ends_when_perfect_scores_would_not_be_enough():
    matrix = ResultMatrix(("a", "b"))
    matrix.add([Evaluation(1.0, 80.0), Evaluation(3.0, 30.0)])
    result = type("Result", (), {"task": type("Task", (), {"name": "a"})})
    Hopeless(Objective("accuracy", "final"), 90.0).task_learned(result, matrix)
    with pytest.raises(HopelessError, match="can reach 90.00 % at best. Wanted: 90.10 %"):
        Hopeless(Objective("accuracy", "final"), 90.1).task_learned(result, matrix)


def test_a_search_sees_validation_data_of_its_tasks_and_no_test_data():
    stream = tiny.stream(3)
    seen = on_validation_data(stream, first_tasks=2)
    assert [task.test for task in seen] == [task.validation for task in stream.tasks[:2]]
    assert all(task.test is not original.test for task, original in zip(seen, stream.tasks, strict=False))
    assert seen.data_source == "generated for tests; scored on validation data; the first 2 of 3 tasks"
    with pytest.raises(ConfigurationError, match="must be 1 to 3. Received: 4"):
        on_validation_data(stream, first_tasks=4)
    with pytest.raises(ConfigurationError, match="task t0 has no validation data"):
        on_validation_data(tiny.stream(2, validation=False))


def test_what_a_search_varies_has_columns_of_its_own_in_tensorboard(tmp_path, monkeypatch):
    runs, varied = FakeRuns(), {space.partition("=")[0] for space in SPACES}
    run_search(search_plan(tmp_path / "s", max_trials=1), runs)
    executed = []
    monkeypatch.setattr(trial_run, "execute", lambda command: executed.append(command) or 0)
    monkeypatch.setattr(trial_run, "end_with_parent", lambda: None)
    assert trial_run.main(runs.commands[0][3:]) == 0
    assert set(executed[0].varied) == varied
    told = []
    monkeypatch.setattr("trainers.recorders.TensorBoardRecorder", lambda *_, **options: told.append(options["varied"]))
    recorders(executed[0], RunDirectory(tmp_path / "run"), build_trainer(tiny.experiment(), tiny.stream(2)))
    assert set(told[0]) == varied


def test_the_tables_are_there_after_each_trial(tmp_path, monkeypatch):
    from trainers.searching import running
    from trainers.searching.trials import TrialRunner

    plan = search_plan(tmp_path / "s")
    monkeypatch.setattr(running, "TrialRunner", functools.partial(TrialRunner, run=FakeRuns(kill_in=3)))
    with pytest.raises(KeyboardInterrupt):
        running.run_search(plan)
    assert len((plan.out / "trials.csv").read_text().splitlines()) == 3
    title = (plan.out / "trials.txt").read_text().splitlines()[0]  # not wrapped to the width of a narrow table
    assert title == "hnet on copy_task, tuner random; protocol oracle (validation data of all tasks)"
    assert (plan.out / "best.yaml").exists()


def test_a_search_without_keras_tuner_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    line = error_of(capsys, "--benchmark", "copy_task", "--out", tmp_path / "s")
    assert line == "error: a search needs the package keras-tuner: pip install 'clrnn_tf[search]'."
    assert not (tmp_path / "s").exists()


def test_clrnn_search_is_a_command(capsys):
    assert clrnn.main(["search", "--help"]) == 0
    text = capsys.readouterr().out
    assert "clrnn search --out runs/search --resume" in text
    assert "--protocol" in text


def test_the_trainer_of_tagging_is_searched_with_its_own_flags(tmp_path):
    options = dataclasses.replace(SearchOptions(), benchmark="pos-tagging", method="si", out=tmp_path, quick=True)
    plan = new_plan(options, ["--data.languages", "de", "en", "--train.weight-decay", "1e-3"])
    assert plan.experiment.data.languages == ("de", "en")
    assert plan.experiment.train.weight_decay == 1e-3
    assert plan.experiment.train.steps == 150
    assert plan.command.benchmark == pos_tagging.BENCHMARK


def test_the_journal_is_what_the_oracle_was_asked_and_told(tmp_path):
    plan = search_plan(tmp_path / "s", max_trials=2)
    run_search(plan, FakeRuns())
    assert [event["event"] for event in events(plan)] == ["create", "end", "create", "end", "create"]
    assert events(plan)[-1]["status"] == "STOPPED"
