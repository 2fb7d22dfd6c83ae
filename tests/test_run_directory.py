"""What a run directory survives: overwriting, a second process, a disk that fails, damaged files."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf import durable_files
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.recording import files
from clrnn_tf.recording.comparisons import comparisons_from
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory
from clrnn_tf.recording.run_lock import RunLock
from tests import tiny
from trainers import copy_task
from trainers.run import main

ROOT = Path(__file__).parent.parent
TINY = [
    "--method=fine_tuning",
    "--data.num-tasks=3",
    "--data.num-train=40",
    "--data.num-test=8",
    "--data.num-validation=0",
    "--train.steps=2",
    "--train.batch-size=4",
    "--network.hidden-sizes=4",
    "--train.jit=off",
]
HOLD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from clrnn_tf.recording.run_lock import RunLock\n"
    "with RunLock(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


def run(*arguments):
    return main(copy_task.BENCHMARK, [str(argument) for argument in arguments])


def error_of(capsys, code, *arguments):
    """The one line on standard error of a command that must exit with `code`."""
    capsys.readouterr()
    assert run(*arguments) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def create(path, **options):
    return RunDirectory.create(path, tiny.experiment(), {"data_source": "somewhere"}, **options)


def without_timing(path):
    results = json.loads((path / "results.json").read_text())
    results.pop("timing")
    return results


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three tasks; copy it before changing it."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    assert run(*TINY, "--out", path) == 0
    return path


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


# Overwriting.


@pytest.mark.parametrize(
    "config",
    [
        "title: my thesis\n",
        "provenance: {author: me}\n",
        "provenance: {versions: [1]}\n",
        "provenance: 3\n",
        "\0\0",
        "",
    ],
)
def test_a_directory_without_our_mark_is_never_touched(tmp_path, config):
    (tmp_path / "config.yaml").write_text(config)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigurationError, match="no run of ours"):
        create(tmp_path, overwrite=True)
    assert (tmp_path / "config.yaml").read_text() == config
    assert (tmp_path / "checkpoints").is_dir()


def test_a_link_to_nothing_is_no_place_for_a_run(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "link", tmp_path / "link" / "run"):
        with pytest.raises(ConfigurationError, match="link is a link to nothing"):
            RunDirectory.require_writable(path, overwrite=True)
    assert not (tmp_path / "nowhere").exists()


def test_a_named_pipe_is_no_config_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(ConfigurationError, match="no run of ours"):
        create(tmp_path, overwrite=True)


def test_overwrite_keeps_what_no_run_wrote_and_says_so(copy, tmp_path, capsys):
    (copy / "notes.txt").write_text("mine")
    (copy / "data").mkdir()
    (copy / "export" / "old_name").mkdir()
    line = error_of(capsys, 0, *TINY, "--data.num-tasks", "2", "--out", copy, "--overwrite")
    assert line == f"warning: {copy} has files of no run, which are kept: data, notes.txt."
    assert (copy / "notes.txt").read_text() == "mine"
    accuracy = json.loads((copy / "results.json").read_text())["accuracy"]
    assert len(list((copy / "export").iterdir())) == len(accuracy) + 1  # one for all tasks


def test_overwrite_removes_links_but_not_what_they_point_to(tmp_path):
    real, elsewhere = tmp_path / "real", tmp_path / "elsewhere"
    create(real)
    elsewhere.mkdir()
    (elsewhere / "file").write_text("mine")
    (real / "checkpoints").symlink_to(elsewhere)
    (real / "results.json").symlink_to(elsewhere / "file")
    (real / "tensorboard").mkdir()
    (real / "tensorboard" / "inside").symlink_to(elsewhere)
    link = tmp_path / "link"
    link.symlink_to(real)
    create(link, overwrite=True)
    assert link.is_symlink()
    assert sorted(os.listdir(real)) == ["config.yaml"]
    assert (elsewhere / "file").read_text() == "mine"


def test_a_directory_in_the_place_of_a_file_is_kept(tmp_path):
    create(tmp_path)
    (tmp_path / "results.json").mkdir()
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(ConfigurationError, match=r"results.json is no file, so no run wrote it"):
        create(tmp_path, overwrite=True)
    assert (tmp_path / "metrics.jsonl").exists()


# One process at a time.


@pytest.fixture
def holder(copy):
    """A process that holds the lock of the run until its standard input is closed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(copy)], cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="run directories are not locked there")
@pytest.mark.parametrize("words", [["--resume"], [*TINY, "--overwrite"]], ids=["resume", "overwrite"])
def test_a_second_process_is_refused_and_told_who_writes(copy, holder, capsys, words):
    before = (copy / "results.json").read_bytes()
    line = error_of(capsys, 2, "--out", copy, *words)
    assert line.startswith(f"error: {copy} is written by process {holder.pid} on ") and " since 20" in line
    assert (copy / "results.json").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="run directories are not locked there")
def test_a_killed_process_leaves_no_lock(copy, holder):
    holder.kill()
    holder.wait()
    assert (copy / ".lock").exists()
    assert run("--out", copy, "--resume") == 0


def test_a_lock_writes_through_no_link(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigurationError, match="cannot be written: .*symbolic"), RunLock(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that makes no directories")
def test_a_directory_that_cannot_be_made_is_named(capsys):
    assert run("--out", "/proc/run") == 2
    line = capsys.readouterr().err
    assert line.startswith("error: /proc/run cannot be written: No such file or directory.") and line.count("\n") == 1


# A disk that fails.


def test_a_run_whose_directory_is_deleted_ends_in_one_line(tmp_path, capsys, monkeypatch):
    out, saved = tmp_path / "run", files.FileRecorder.task_learned

    def delete(self, result, matrix):
        saved(self, result, matrix)
        shutil.rmtree(out)

    monkeypatch.setattr(files.FileRecorder, "task_learned", delete)
    line = error_of(capsys, 1, *TINY, "--out", out)
    assert line.startswith("error: No such file or directory")
    assert not out.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=["full", "read_only"])
def test_a_run_on_a_disk_that_fails_ends_in_one_line_and_can_be_continued(
    finished, tmp_path, capsys, monkeypatch, number
):
    out, write = tmp_path / "run", durable_files.write_text

    def fail_at_second_task(path, text):
        if path.name == "results.json" and path.exists():
            raise OSError(number, os.strerror(number), str(path))
        write(path, text)

    monkeypatch.setattr(files, "write_text", fail_at_second_task)
    line = error_of(capsys, 1, *TINY, "--out", out)
    place = f"{out / 'results.json'}. What was learned before is in {out}."
    assert line == f"error: {os.strerror(number)}: {place}"
    assert len(json.loads((out / "results.json").read_text())["accuracy"]) == 1
    monkeypatch.undo()
    assert run("--out", out, "--resume") == 0
    assert without_timing(out) == without_timing(finished)


def test_a_run_whose_first_checkpoint_cannot_be_written_ends_in_one_line_and_can_be_continued(
    finished, tmp_path, capsys, monkeypatch
):
    def fail(file, **arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", fail)
    line = error_of(capsys, 1, *TINY, "--out", tmp_path / "run")
    assert line == f"error: No space left on device. What was learned before is in {tmp_path / 'run'}."
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    monkeypatch.undo()
    line = error_of(capsys, 0, "--out", tmp_path / "run", "--resume")
    assert line == f"warning: {tmp_path / 'run' / 'checkpoints'} has no checkpoint of the first task. Beginning anew."
    assert without_timing(tmp_path / "run") == without_timing(finished)


# Damaged files.

DAMAGES = {
    "cut": lambda content: content[: min(300, len(content) // 2)],
    "zeroed": lambda content: bytes(len(content)),
    "empty": lambda content: b"",
}


def damage(path, how):
    content = path.read_bytes()
    path.write_bytes(DAMAGES[how](content))


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", ["results.json", "confusion.npz"])
def test_damaged_results_are_one_line(copy, capsys, name, how):
    if name == "confusion.npz":  # the task has bits, not classes, so it wrote none
        np.savez_compressed(copy / name, row0=np.arange(1000))
    damage(copy / name, how)
    line = error_of(capsys, 2, "--out", copy, "--resume")
    assert line.startswith(f"error: {copy / name} is damaged (")
    assert line.endswith("Restore it from a copy, or start the run anew with --overwrite.")


def test_the_checkpoint_before_a_damaged_one_is_taken(finished, copy, capsys):
    remove_export(copy)
    damage(copy / "checkpoints" / "learned3.npz", "cut")
    line = error_of(capsys, 0, "--out", copy, "--resume")
    assert line.startswith(f"warning: {copy / 'checkpoints' / 'learned3.npz'} is damaged")
    assert line.endswith("Going on after 2 tasks instead.")
    assert without_timing(copy) == without_timing(finished)
    assert (copy / "metrics.jsonl").read_text().count("\n") == (finished / "metrics.jsonl").read_text().count("\n")


def test_a_run_without_a_readable_checkpoint_is_one_line(copy, capsys):
    remove_export(copy)
    assert sorted(os.listdir(copy / "checkpoints")) == ["learned2.npz", "learned3.npz"]
    for file in (copy / "checkpoints").iterdir():
        damage(file, "zeroed")
    line = error_of(capsys, 2, "--out", copy, "--resume")
    assert line.startswith(f"error: {copy / 'checkpoints' / 'learned3.npz'} is damaged")
    assert line.endswith("or start the run anew with --overwrite.")


# Exports and the report.


def remove_export(path):
    shutil.rmtree(next((path / "export").iterdir()))


def cut_export(path):
    damage(next((path / "export").glob("*/1/variables/*data*")), "cut")


def remove_report(path):
    (path / "report.html").unlink()


def cut_report(path):
    damage(path / "report.html", "cut")


@pytest.mark.parametrize("harm", [remove_export, cut_export, remove_report, cut_report])
def test_resume_makes_what_is_missing_of_a_finished_run(finished, copy, capsys, harm):
    harm(copy)
    capsys.readouterr()
    assert run("--out", copy, "--resume") == 0
    assert "report in" in capsys.readouterr().out
    assert (copy / "report.html").read_text().endswith("</html>\n")
    assert sorted(os.listdir(copy / "export")) == sorted(os.listdir(finished / "export"))
    for path in (copy / "export").iterdir():
        tf.saved_model.load(str(path / "1"))
    assert (copy / "results.json").read_bytes() == (finished / "results.json").read_bytes()
    assert run("--out", copy, "--resume") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_an_export_that_fails_leaves_the_one_before(finished, copy, capsys, monkeypatch):
    remove_report(copy)
    remove_export(copy)
    kept = {path: path.read_bytes() for path in (copy / "export").glob("*/1/saved_model.pb")}

    def fail(module, path, signatures):
        (Path(path) / "variables").mkdir(parents=True)
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    line = error_of(capsys, 1, "--out", copy, "--resume")
    assert "could not be written: No space left on device" in line
    assert kept and all(path.read_bytes() == content for path, content in kept.items())
    monkeypatch.undo()
    assert run("--out", copy, "--resume") == 0
    assert sorted(os.listdir(copy / "export")) == sorted(os.listdir(finished / "export"))


@pytest.mark.parametrize(
    "change",
    [
        lambda results: results.pop("timing"),
        lambda results: results.pop("method"),
        lambda results: results.update(num_parameters="many"),
        lambda results: results["timing"].update(tasks=[{}]),
        lambda results: results["task_names"].pop(),
        lambda results: results["accuracy"][0].__setitem__(0, "x"),
        lambda results: results["initial_loss"].pop(),
    ],
)
def test_results_that_lack_something_are_damaged(copy, change):
    results = json.loads((copy / "results.json").read_text())
    change(results)
    (copy / "results.json").write_text(json.dumps(results))
    for read in (lambda: comparisons_from(copy), lambda: write_report(copy)):
        with pytest.raises(ConfigurationError, match="results.json is damaged"):
            read()


def test_results_of_another_version_are_refused(copy, capsys):
    results = json.loads((copy / "results.json").read_text())
    (copy / "results.json").write_text(json.dumps({**results, "schema_version": 2}))
    line = error_of(capsys, 2, "--out", copy, "--resume")
    assert "results.json must be of schema version 1. Received: 2. Use the version of clrnn_tf that wrote it." in line
    with pytest.raises(ConfigurationError, match="must be of schema version 1"):
        write_report(copy)


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b"null\n", b"{}\n", b'{"kind"'])
def test_a_report_of_a_damaged_log_is_refused_in_one_line(copy, content):
    (copy / "metrics.jsonl").write_bytes(content)
    with pytest.raises(ConfigurationError, match="metrics.jsonl is damaged"):
        write_report(copy)
