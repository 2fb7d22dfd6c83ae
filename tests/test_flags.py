"""From words to settings: flags, layers, help; nothing is trained unless a test says so."""

import json
import sys

import pytest
import yaml
from rich.console import Console

from clrnn_tf import methods
from trainers import (
    cognitive_tasks,
    copy_task,
    own_data,
    pos_tagging,
    speech_commands,
    split_audioset,
    stroke_mnist,
    student_teacher,
)
from trainers.flags import field_docs
from trainers.help import print_help, print_presets
from trainers.run import main
from trainers.settings import parse

PUBLISHED = [copy_task.BENCHMARK, pos_tagging.BENCHMARK]
BENCHMARKS = [*PUBLISHED, *(each.BENCHMARK for each in (cognitive_tasks, own_data, student_teacher))]
TINY = [
    "--data.num-tasks",
    "2",
    "--data.num-train",
    "40",
    "--data.num-test",
    "8",
    "--data.num-validation",
    "0",
    "--train.steps",
    "2",
    "--train.batch-size",
    "4",
    "--network.hidden-sizes",
    "4",
    "--train.jit",
    "off",
]


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


def error_of(capsys, benchmark, *arguments):
    """The one line on standard error of a command that must exit with 2."""
    assert main(benchmark, [str(argument) for argument in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--train.step", "5"], "unknown flag --train.step. Did you mean --train.steps?"),
        (["--describe"], "unknown flag --describe. It shows a benchmark: python -m data_pipelines.NAME --describe."),
        (["--meth", "si"], "unknown flag --meth. Did you mean --method?"),  # flags are not abbreviated
        (["--xylophone"], "unknown flag --xylophone. --help lists the flags."),
        (["--train.steps", "many"], "train.steps must be of type int. Received: 'many'."),
        (["--train.steps", "1e3"], "train.steps must be of type int. Received: '1e3'."),
        (["--train.steps"], "--train.steps needs a value (INT). Received: none."),
        (["--train.steps", "3", "4"], "--train.steps takes one value. Received: 3 4."),
        (["--quick=yes"], "--quick takes no value. Received: yes."),
        (["now", "--quick"], "a flag was expected first, such as --method. Received: now. See --help."),
        (["--si.strength", "1"], "--si.strength is an option of method si. Received: method hnet. Add --method si."),
        (
            ["--method", "si", "--hypernetwork.chunk-size", "9"],
            "--hypernetwork.chunk-size needs a method with a hypernetwork. Received: method si.",
        ),
        (["--method", "hnett"], f"method must be one of {', '.join(methods.names())}. Received: hnett."),
        (["--preset", "short"], "unknown preset 'short'. Did you mean hnet_short?"),
        (["--config", "nowhere.yaml"], "no such settings file: nowhere.yaml."),
        (["--out", "a\udcffb"], "out must be printable text. Received: 'a\\udcffb'."),
        (["--resume"], "--resume needs --out with the directory of the run to continue."),
        (
            ["--hypernetwork.chunk-size", "0"],
            "hypernetwork.chunk_size must be above 0, or None for a full hypernetwork. Received: 0.",
        ),
        (["--train.learning-rate", "-inf"], "train.learning_rate must be a finite number. Received: -inf."),
        (["--hnet.strength", "nan"], "hnet.strength must be a finite number. Received: nan."),
        (["--seed", "-1"], "seed must be in [0, 2000000000]. Received: -1."),
        (["--seed", "2000000001"], "seed must be in [0, 2000000000]. Received: 2000000001."),
        (
            ["--data.num-train", "1000000000000"],
            "data.num_train must be in [-2147483647, 2147483647]. Received: 1000000000000.",
        ),
    ],
)
def test_a_wrong_flag_gives_one_line(capsys, arguments, line):
    assert error_of(capsys, copy_task.BENCHMARK, *arguments) == f"error: {line}"


def test_underscores_and_dashes_are_alike_and_values_may_follow_an_equals_sign():
    dashes = parse(copy_task.BENCHMARK, ["--data-dir", ".", "--train.learning-rate=0.5", "--data.no-permute-time"])
    others = parse(copy_task.BENCHMARK, ["--data_dir", ".", "--train.learning_rate", ".5", "--data.no_permute_time"])
    assert dashes.experiment == others.experiment
    assert dashes.options == others.options
    assert dashes.experiment.train.learning_rate == 0.5
    assert dashes.experiment.data.permute_time is False


def test_the_last_of_a_repeated_flag_counts_and_values_may_look_like_flags(capsys):
    words = ["--seed", "1", "--data.permute-time", "--seed=2", "--data.no-permute-time", "--out=a=b"]
    command = parse(copy_task.BENCHMARK, words)
    assert (command.experiment.seed, command.experiment.data.permute_time) == (2, False)
    assert str(command.out) == "a=b"
    tagging = parse(pos_tagging.BENCHMARK, ["--out", "x", "--data.vectors-dir=my vectors", "--quick"])
    assert (str(tagging.out), str(tagging.experiment.data.vectors_dir)) == ("x", "my vectors")
    for words, line in (
        (["--train.learning-rate", "-1e-3"], "train.learning_rate must be above 0. Received: -0.001."),
        (["--train.clip_norm=-1e-3"], "train.clip_norm must be above 0, or None. Received: -0.001."),
        (["--checkpoint-every", "0"], "--checkpoint-every must be above 0. Received: 0."),
        (["--network.hidden-sizes", "8", "-4"], "network.hidden_sizes must hold sizes above 0. Received: (8, -4)."),
        (["--network.hidden-sizes", "8", "--seed=3", "4"], "--seed takes one value. Received: 3 4."),
        (["--data.no-permute-time=yes"], "--data.no-permute-time takes no value. Received: yes."),
        (["--network.hidden-sizes=8", "--", "4"], "unknown flag --. --help lists the flags."),
    ):
        assert error_of(capsys, copy_task.BENCHMARK, *words) == f"error: {line}"


@pytest.mark.parametrize("word", ["-h", "--h", "-help", "--help"])
def test_help_is_asked_for_in_many_ways(word):
    assert parse(copy_task.BENCHMARK, ["--method", "si", word]).options.help


def test_flags_take_lists_none_and_on_or_off():
    words = ["--network.hidden-sizes", "8", "4", "--train.clip-norm", "none", "--network.task-id-input"]
    experiment = parse(copy_task.BENCHMARK, words).experiment
    assert experiment.network.hidden_sizes == (8, 4)
    assert experiment.train.clip_norm is None
    assert experiment.network.task_id_input is True
    assert parse(copy_task.BENCHMARK, ["--network.dense-after"]).experiment.network.dense_after == ()


def test_settings_are_layered_preset_file_quick_flags(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("train: {steps: 9000, batch_size: 7, learning_rate: 0.25}\nhnet: {strength: 3.0}\n")
    train = parse(copy_task.BENCHMARK, ["--config", str(path), "--train.batch-size", "5"]).experiment.train
    assert (train.steps, train.batch_size, train.learning_rate, train.clip_norm) == (9000, 5, 0.25, 1.0)
    command = parse(copy_task.BENCHMARK, ["--config", str(path), "--quick", "--seed", "4"])
    assert (command.experiment.train.steps, command.experiment.seed) == (150, 4)
    assert command.experiment.method_options.strength == 3.0


def test_settings_of_earlier_versions_are_read(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("method: si\nmethod_options: {strength: 3.0}\nprovenance: {preset: si_permuted}\n")
    command = parse(copy_task.BENCHMARK, ["--config", str(path)])
    assert (command.experiment.method, command.experiment.method_options.strength) == ("si", 3.0)
    assert command.experiment.to_dict()["si"] == {"strength": 3.0, "importance": "task_loss"}


def test_another_method_takes_a_files_settings_but_not_its_method_options(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("method: si\nsi: {strength: 3.0}\ntrain: {steps: 9}\nprovenance: {preset: si_permuted}\n")
    experiment = parse(copy_task.BENCHMARK, ["--config", str(path), "--method", "fine_tuning"]).experiment
    assert (experiment.method, experiment.train.steps) == ("fine_tuning", 9)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("benchmark: pos_tagging", "FILE holds settings of benchmark pos_tagging. Received: benchmark copy_task."),
        ("provenance: 3", "provenance must hold facts by name. Received: 3."),
        ("provenance: {preset: [1]}", "preset must be a name. Received: [1]."),
        ("method: 5", "method must be a name. Received: 5."),
        ("[1, 2]", "FILE must hold settings by name. Received: list."),
        ("train: {stpes: 3}", "unknown setting 'train.stpes'. Did you mean steps?"),
        ("3: 4", "FILE is no YAML: line 1, column 1: names of settings must be text."),
        (
            "si: {strength: 1.0}",
            "unknown setting 'si'. Known: benchmark, data, hnet, hypernetwork, method, network, seed, train.",
        ),
        (
            "train: {learning_rate: 1" + 400 * "0" + "}",
            "train.learning_rate must be of type float. Received: '1" + 400 * "0" + "'.",
        ),
        ("train: {learning_rate: .inf}", "train.learning_rate must be a finite number. Received: inf."),
    ],
)
def test_a_wrong_file_gives_one_line(tmp_path, capsys, text, line):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assert error_of(capsys, copy_task.BENCHMARK, "--config", path) == f"error: {line}".replace("FILE", str(path))


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
@pytest.mark.parametrize("method", methods.names())
def test_every_method_can_be_chosen_for_every_benchmark(benchmark, method):
    """With a preset where it has one; else with the network, training and data of the benchmark's base preset."""
    command = parse(benchmark, ["--method", method])
    assert command.experiment.method == method
    if method not in [preset.method for preset in benchmark.presets.values()]:
        base = benchmark.presets[command.preset]
        assert command.experiment.method_options == methods.load(method).Config()
        assert (command.experiment.network, command.experiment.train) == (base.network, base.train)
        assert command.out.name == f"{benchmark.name}_{command.preset}_{method}_seed0"
    assert parse(benchmark, ["--method", method, "--quick", "--seed", "3"]).experiment.seed == 3


@pytest.mark.parametrize(
    ("benchmark", "words", "num_tasks"),
    [
        (stroke_mnist, "--data.classes-per-task 10", 1),
        (stroke_mnist, "--data.classes-per-task 10 --data.variants plain flipped", 2),
        (speech_commands, "--data.words yes no", 1),
        (speech_commands, "--data.words-per-task 10", 1),
        (split_audioset, "--data.classes-per-task 60", 1),
        (split_audioset, "--data.classes-per-task 20 --data.num-tasks 3", 3),
        (cognitive_tasks, "--data.tasks fdgo dm1", 2),
    ],
)
def test_a_quick_run_has_as_many_tasks_as_the_flags_of_its_data_leave(benchmark, words, num_tasks):
    data = parse(benchmark.BENCHMARK, ["--quick", *words.split()]).experiment.data
    assert getattr(data, "num_tasks", None) in (None, num_tasks)
    assert len(getattr(data, "tasks", range(num_tasks))[: getattr(data, "num_tasks", None)]) == num_tasks


def test_a_quick_run_says_what_is_wrong_with_the_flags_of_its_data(tmp_path, capsys):
    line = error_of(capsys, stroke_mnist.BENCHMARK, "--quick", "--data.classes-per-task", 11, "--out", tmp_path / "run")
    assert line == "error: data.classes_per_task must be in [2, 10], the digits. Received: 11."


@pytest.mark.parametrize("method", ["generative_replay", "hnet_replay"])
def test_methods_that_make_no_sense_for_a_benchmark_are_refused(tmp_path, capsys, method):
    line = error_of(capsys, pos_tagging.BENCHMARK, "--method", method, "--quick", "--out", tmp_path / "run")
    assert "inputs" in line
    assert not (tmp_path / "run").exists()


def test_a_file_among_the_methods_is_all_that_a_method_needs(tmp_path, monkeypatch):
    """Its options are flags, and it runs, without an entry anywhere else."""
    (tmp_path / "l2_pull.py").write_text(
        '"""Pulls weights to zero."""\n'
        "from dataclasses import dataclass\n"
        "import tensorflow as tf\n"
        "from clrnn_tf.methods.base import Method\n"
        "@dataclass(frozen=True)\n"
        "class Config:\n"
        '    """Options of the pull."""\n'
        "    strength: float = 0.5\n"
        '    """How hard it pulls."""\n'
        "class Pull(Method):\n"
        '    loss_names = ("pull",)\n'
        "    def weights_and_penalties(self, task_id, step):\n"
        "        weights, _ = super().weights_and_penalties(task_id, step)\n"
        "        squares = [tf.reduce_sum(variable**2) for variable in self.variables_to_train()]\n"
        '        return weights, {"pull": self.setup.options.strength * tf.add_n(squares)}\n'
        "METHOD = Pull\n"
    )
    package = tmp_path / "parts"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "clrnn_tf.methods.l2_pull", raising=False)
    assert "l2_pull" in methods.names() and "parts" not in methods.names()
    out = tmp_path / "run"
    words = ["--method", "l2_pull", "--l2-pull.strength", "2", *TINY, "--out", str(out)]
    assert main(copy_task.BENCHMARK, words) == 0
    assert yaml.safe_load((out / "config.yaml").read_text())["l2_pull"] == {"strength": 2.0}
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert entries[-1]["losses"]["pull"] > 0
    assert "How hard it pulls." in help_of(copy_task.BENCHMARK, "--method", "l2_pull")


def test_a_preset_can_be_run_with_another_method(tmp_path):
    """Under the preset's settings, without the figures that are expected of the preset."""
    out = tmp_path / "run"
    words = ["--preset", "masking_permuted", "--method", "masking_ewc", "--masking-ewc.fraction", "0.5", *TINY]
    assert main(copy_task.BENCHMARK, [*words, "--out", str(out)]) == 0
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["method"] == "masking_ewc" and config["masking_ewc"]["fraction"] == 0.5
    assert config["network"]["recurrent_initializer"] == "orthogonal"
    assert config["provenance"]["preset"] == "masking_permuted"
    assert "(expected)" not in (out / "report.html").read_text()


def test_figures_are_expected_only_of_a_presets_settings(tmp_path):
    def expected(benchmark, *words):
        return parse(benchmark, list(map(str, words))).expected

    copy, tagging = PUBLISHED
    assert expected(copy, "--preset", "si_permuted", "--seed", 7).final == 94.5
    for words in (["--quick"], ["--si.strength", 1], ["--method", "fine_tuning"]):
        assert expected(copy, "--preset", "si_permuted", *words) is None
    assert expected(tagging, "--preset", "si") is None  # on embedded data
    assert expected(tagging, "--preset", "si", "--data-dir", tmp_path).final == 85.08


def help_of(benchmark, *words):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_help(parse(benchmark, ["--help", *words]), "clrnn x", console)
    return console.export_text()


def test_help_says_what_to_type_first_and_the_exit_codes_last():
    text = help_of(pos_tagging.BENCHMARK)
    titles = ["What to type", "Run", "Data. ", "Method: hnet. ", "Train. ", "Network. ", "Hypernetwork. ", "Exit codes"]
    starts = [text.index(f"\n{title}") for title in titles]
    assert starts == sorted(starts)
    assert "clrnn x --data-dir DIR --preset hnet --out runs/pos" in text
    assert "--train.steps INT                     Optimizer steps per task. [400]" in text
    for code in ("0 ", "1 ", "2 ", "130 "):
        assert f"\n  {code}" in text[starts[-1] :]
    assert "hnet_annealed" not in text  # presets have a table
    assert len(text.splitlines()) < 200


def test_help_shows_the_values_of_the_command():
    text = help_of(copy_task.BENCHMARK, "--method", "si", "--si.strength", "0.125", "--data.no-permute-time")
    assert "--si.strength FLOAT" in text and "[0.125]" in text
    assert "--data.permute-time  " in text and "--data.no-permute-width" not in text
    assert "Hypernetwork. " not in text and "--hnet." not in text


@pytest.mark.parametrize("benchmark", PUBLISHED, ids=lambda each: each.name)
def test_presets_have_a_table_with_what_to_expect(benchmark):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_presets(benchmark, "clrnn x", console)
    text = console.export_text()
    for name, preset in benchmark.presets.items():
        (row,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
        assert row.split()[1] == preset.method
        if preset.expected and preset.expected.final:
            assert f"{preset.expected.final:.2f}" in row
    assert "published README of Ehret et al. 2021" in text


def test_every_flag_has_a_help_text():
    for benchmark in BENCHMARKS:
        for method in methods.names():
            experiment = parse(benchmark, ["--method", method]).experiment
            for settings in (experiment.data, experiment.method_options, experiment.network, experiment.train):
                docs = field_docs(type(settings))
                assert all(docs.get(name) for name in vars(settings)), (method, settings)
