"""The commands as a user types them; most in this process, a few in one of their own."""

import configparser
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import tensorflow as tf
import yaml

import clrnn_tf
import data_pipelines
from clrnn_tf.errors import ConfigurationError
from trainers import clrnn, copy_task, pos_tagging
from trainers.failures import guarded
from trainers.run import main

ROOT = Path(__file__).parent.parent
SMALL_COPY = [
    "--preset",
    "hnet_short",
    "--data.num-tasks",
    "2",
    "--data.num-train",
    "200",
    "--data.num-test",
    "20",
    "--data.num-validation",
    "20",
    "--train.steps",
    "6",
    "--train.log-every",
    "3",
    "--network.hidden-sizes",
    "8",
    "--train.jit",
    "off",
]


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)


def run(benchmark, *arguments):
    return main(benchmark, [str(argument) for argument in arguments])


def error_of(capsys, benchmark, *arguments):
    """The one line on standard error of a command that must exit with 2."""
    assert run(benchmark, *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_run_leaves_a_complete_directory(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", out, "--seed", 3) == 0
    results = json.loads((out / "results.json").read_text())
    assert results["schema_version"] == 1
    assert results["finished"] is True
    assert results["seed"] == 3
    assert "generated" in results["data_source"]
    assert 0 <= results["mean_final_accuracy"] <= 100
    assert len(results["final_accuracy"]) == 2
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["network"]["hidden_sizes"] == [8]
    for name in ("metrics.jsonl", "results.csv", "report.html", "tensorboard", "checkpoints"):
        assert (out / name).exists(), name
    assert len(list((out / "export").glob("*/1/saved_model.pb"))) == 3  # one for all tasks
    printed = capsys.readouterr().out
    assert "during" in printed and "final" in printed and "forgetting" in printed


def test_the_stored_settings_rebuild_the_run(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", first) == 0
    assert run(copy_task.BENCHMARK, "--config", first / "config.yaml", "--out", second) == 0
    assert without_timing(first) == without_timing(second)


def without_timing(path):
    results = json.loads((path / "results.json").read_text())
    results.pop("timing")
    return results


def test_an_existing_run_is_not_overwritten(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", out) == 0
    before = (out / "results.json").read_bytes()
    capsys.readouterr()
    line = error_of(capsys, copy_task.BENCHMARK, *SMALL_COPY, "--out", out)
    assert "--resume" in line and "--overwrite" in line
    assert (out / "results.json").read_bytes() == before
    assert run(copy_task.BENCHMARK, "--out", out, "--resume") == 0
    assert "finished; nothing to do" in capsys.readouterr().out
    line = error_of(capsys, copy_task.BENCHMARK, "--out", out, "--resume", "--train.learning-rate", "0.5")
    assert "learning_rate" in line
    assert run(copy_task.BENCHMARK, *SMALL_COPY, "--out", out, "--overwrite") == 0


@pytest.mark.parametrize("directory", ["missing", "not_a_run"])
def test_overwrite_and_resume_touch_runs_only(tmp_path, capsys, directory):
    out = tmp_path / directory
    if directory == "not_a_run":
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
        error_of(capsys, copy_task.BENCHMARK, *SMALL_COPY, "--out", out, "--overwrite")
        assert (out / "thesis.tex").exists()
    assert "no run to continue" in error_of(capsys, copy_task.BENCHMARK, "--out", out, "--resume")


def test_pos_tagging_reports_bad_data_in_one_line(tmp_path, capsys):
    benchmark = pos_tagging.BENCHMARK
    missing = tmp_path / "nowhere"
    assert "no such directory" in error_of(capsys, benchmark, "--data-dir", missing, "--out", tmp_path / "a")
    assert "klingon" in error_of(capsys, benchmark, "--data.languages", "klingon", "--out", tmp_path / "b")
    folder = tmp_path / "UD_English-Bad"
    folder.mkdir()
    good = "1\tHello\t_\tINTJ\t_\t_\t_\t_\t_\t_\n\n"
    (folder / "en_bad-ud-train.conllu").write_text(good + "1\tworld\tNOUN\n\n")
    (folder / "en_bad-ud-test.conllu").write_text(good)
    line = error_of(capsys, benchmark, "--data-dir", tmp_path, "--data.languages", "en", "--out", tmp_path / "c")
    assert "en_bad-ud-train.conllu" in line and "3" in line
    assert not (tmp_path / "c").exists()


def test_a_run_is_continued_after_its_last_finished_task(tmp_path):
    """Kill a run of its own process between tasks, continue it, and compare with one that went through."""
    arguments = [*SMALL_COPY, "--data.num-tasks", "3"]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert run(copy_task.BENCHMARK, *arguments, "--out", straight) == 0
    code = (
        "import os, sys\n"
        "from clrnn_tf.recording.events import Observer\n"
        "from clrnn_tf.recording.files import FileRecorder\n"
        "from trainers.copy_task import BENCHMARK\n"
        "from trainers.run import main\n"
        "written = FileRecorder.task_learned\n"
        "def die_after_second_task(self, result, matrix):\n"
        "    written(self, result, matrix)\n"
        "    if len(matrix.rows) == 2:\n"
        "        os.kill(os.getpid(), 9)\n"
        "FileRecorder.task_learned = die_after_second_task\n"
        "main(BENCHMARK, sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--out", str(killed)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -9
    assert json.loads((killed / "results.json").read_text())["finished"] is False
    assert run(copy_task.BENCHMARK, "--out", killed, "--resume") == 0
    assert without_timing(killed) == without_timing(straight)


def test_a_directory_that_cannot_be_written_is_refused_before_the_data_are_read(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "below"):
        line = error_of(capsys, copy_task.BENCHMARK, *SMALL_COPY, "--out", out)
        assert line == f"error: {file} is a file, not a directory. Choose another directory with --out."
    line = error_of(capsys, copy_task.BENCHMARK, *SMALL_COPY, "--out", tmp_path / (300 * "a"))
    assert line.startswith("error: File name too long")


@pytest.mark.parametrize(
    ("stopped_by", "code", "line"),
    [
        (ConfigurationError("one\ntwo"), 2, "error: one two"),
        (FileNotFoundError(2, "No such file or directory", "x.yaml"), 2, "error: No such file or directory: x.yaml."),
        (OSError(28, "No space left on device"), 2, "error: No space left on device."),
        (MemoryError(), 1, "error: there is not enough memory. Make the network, the batches or the data smaller."),
        (
            tf.errors.ResourceExhaustedError(None, None, "a/file; No space left on device"),
            1,
            "error: No space left on device.",
        ),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
        (KeyboardInterrupt(), 130, "stopped; the same command with --resume continues where its last checkpoint is."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_stops_a_command_is_one_line_and_an_exit_code(capfd, stopped_by, code, line):
    def run():
        raise stopped_by

    number = sys.stdout.fileno()  # that of a file of pytest's, or 1
    kept = os.dup(number)
    try:
        assert guarded(run) == code
    finally:
        os.dup2(kept, number)
        os.close(kept)
    assert capfd.readouterr().err.strip() == line


def test_warnings_of_our_packages_are_one_line(capsys):
    def run():
        warnings.warn_explicit("three words\nare unknown", UserWarning, data_pipelines.__file__, 1)
        return 0

    assert guarded(run) == 0
    assert capsys.readouterr().err == "warning: three words are unknown\n"


def shell(line, **options):
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, **options)


def test_closed_and_full_streams_leave_no_traceback():
    command = f"{sys.executable} -m trainers.clrnn copy-task"
    help_of_two = shell(f"{command} --help | head -n 2", cwd=ROOT)
    assert help_of_two.stdout.startswith("The Copy Task") and help_of_two.stderr == ""
    assert shell(f"{command} --seed -1 2>&-", cwd=ROOT).returncode == 2
    if Path("/dev/full").exists():
        full = shell(f"{command} --help > /dev/full", cwd=ROOT)
        assert (full.returncode, full.stderr) == (2, "error: No space left on device.\n")


def test_the_command_clrnn_lists_its_benchmarks_and_runs_them(capsys):
    assert clrnn.main([]) == 0
    listed = capsys.readouterr().out
    assert "clrnn copy-task" in listed and "clrnn pos-tagging" in listed and "one language after another" in listed
    assert "clrnn verify " in listed and "Serve the version before the present one" in listed
    assert clrnn.main(["rollback", "no-such-directory"]) == 2
    assert "no releases in no-such-directory" in capsys.readouterr().err
    assert clrnn.main(["--version"]) == 0
    assert capsys.readouterr().out == f"clrnn_tf {clrnn_tf.__version__}\n"
    assert clrnn.main(["copy-tsk"]) == 2
    assert capsys.readouterr().err == "error: unknown benchmark copy-tsk. Did you mean copy-task?\n"
    assert clrnn.main(["copy_task", "--seed", "-1"]) == 2
    assert "seed must be in" in capsys.readouterr().err
    assert clrnn.main(["pos-tagging", "--help"]) == 0
    assert "clrnn pos-tagging --list-presets" in capsys.readouterr().out


def test_version_overview_and_unknown_commands_need_no_tensorflow():
    code = (
        "import sys\nfrom trainers import clrnn\n"
        "codes = [clrnn.main([word]) for word in ('--version', '--help', 'copy-tsk')]\n"
        "assert codes == [0, 0, 2] and 'tensorflow' not in sys.modules, codes\n"
        "import tensorflow\nassert tensorflow.__spec__.loader.path\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "error: unknown benchmark copy-tsk. Did you mean copy-task?\n"


def test_packages_in_the_working_directory_do_not_get_in_the_way_of_clrnn(tmp_path):
    """A script that an installer writes has its own folder first on the path, not the working directory."""
    for name in ("trainers", "export", "data_pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not this one')")
    script = tmp_path / "bin" / "clrnn"
    script.parent.mkdir()
    script.write_text("import sys\nfrom trainers.clrnn import main\nsys.exit(main())\n")
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["options.entry_points"]["console_scripts"].strip() == "clrnn = trainers.clrnn:main"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"clrnn_tf {clrnn_tf.__version__}\n"), done.stderr


@pytest.mark.slow
def test_the_embedded_default_trains_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "trainers.pos_tagging", "--quick", "--out", str(tmp_path / "run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert "starter" in results["data_source"]
    assert results["mean_during_accuracy"] > 30
