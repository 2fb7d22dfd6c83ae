import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainers import compiled_programs
from trainers.compiled_programs import keep_compiled_programs


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("CLRNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    return tmp_path / "cache"


def test_xla_is_told_where_to_keep_programs_of_this_processor_and_this_tensorflow(directory, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")
    keep_compiled_programs()
    given, flag, kinds = os.environ["TF_XLA_FLAGS"].split()
    assert given == "--tf_xla_auto_jit=0"
    folder = flag.removeprefix("--tf_xla_persistent_cache_directory=")
    assert [folder] == [str(path) for path in directory.iterdir()]
    assert kinds == "--tf_xla_persistent_cache_device_types=CPU"
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    keep_compiled_programs()
    assert len(list(directory.iterdir())) == 2


def test_nothing_is_kept_where_the_user_says_so_or_has_a_directory_or_none_can_be_written(directory, monkeypatch):
    monkeypatch.setenv("CLRNN_CACHE_DIR", "")
    keep_compiled_programs()
    for named in ("a directory", directory / "file" / "below"):
        (directory / "file").parent.mkdir(exist_ok=True)
        (directory / "file").touch()
        monkeypatch.setenv("CLRNN_CACHE_DIR", str(named))
        keep_compiled_programs()
    assert "TF_XLA_FLAGS" not in os.environ
    monkeypatch.setenv("CLRNN_CACHE_DIR", str(directory))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=mine")
    keep_compiled_programs()
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_persistent_cache_directory=mine"


def test_the_oldest_programs_are_removed_where_there_are_too_many(directory, monkeypatch):
    monkeypatch.setattr(compiled_programs, "_MOST_BYTES", 40)
    keep_compiled_programs()
    (folder,) = directory.iterdir()
    for age in range(5):
        (folder / f"program{age}").write_bytes(b"\x0a\x08" + bytes(8))
        os.utime(folder / f"program{age}", (1e9 - age, 1e9 - age))
    monkeypatch.delenv("TF_XLA_FLAGS")
    keep_compiled_programs()
    assert {path.name for path in folder.iterdir()} == {"program0", "program1"}


def test_programs_whose_files_were_cut_are_removed(directory):
    keep_compiled_programs()
    (folder,) = directory.iterdir()
    whole = b"\x0a\x03key" + b"\x1a\xac\x02" + bytes(300)  # a field of 3 bytes and one of 300
    files = {"whole.pb": whole, "cut.pb": whole[:-1], "short.pb": whole[:6], "empty.pb": b"", "other.pb": b"\x08"}
    files["cut.pb.tmp"] = whole[:6]  # another process is writing it
    for name, content in files.items():
        (folder / name).write_bytes(content)
    del os.environ["TF_XLA_FLAGS"]
    keep_compiled_programs()
    assert {path.name for path in folder.iterdir()} == {"whole.pb", "cut.pb.tmp"}
    assert "TF_XLA_FLAGS" in os.environ


def test_nothing_is_kept_on_a_disk_that_is_nearly_full(directory, monkeypatch):
    monkeypatch.setattr(compiled_programs, "_LEAST_FREE_BYTES", 1 << 60)
    keep_compiled_programs()
    assert "TF_XLA_FLAGS" not in os.environ


PROGRAM = """
import trainers
import tensorflow as tf
product = tf.function(lambda x: tf.reduce_sum(tf.tanh(x @ x)), jit_compile=True)
print(float(product(tf.random.stateless_normal([30, 30], [1, 2]))).hex())
"""


@pytest.mark.slow
def test_a_program_is_kept_and_taken_again_with_the_same_number_also_when_its_file_is_damaged(directory):
    def run():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    first = run()
    (file,) = directory.glob("*/*")
    written = file.stat().st_mtime_ns
    assert run() == first
    assert file.stat().st_mtime_ns == written
    file.write_bytes(file.read_bytes()[:3000])
    assert run() == first
