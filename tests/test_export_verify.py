import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from export import verify
from export.native import NativeProgram, Request, verified
from export.reload import PROBES, Stranger, compare, read_probes
from tests import servables

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def models():
    return servables.models()


def rewrite_probes(path, change):
    probes = {
        f"{signature}/{kind}/{name}": value
        for signature, kinds in read_probes(path / PROBES).items()
        for kind, values in kinds.items()
        for name, value in values.items()
    }
    change(probes)
    np.savez(path / PROBES, **probes)


def cut(path):
    data = next((path / "variables").glob("*data*"))
    data.write_bytes(data.read_bytes()[:100])


def other_logits(path):
    rewrite_probes(path, lambda probes: probes["serving_default/outputs/logits"].__iadd__(0.01))


def other_tags(path):
    rewrite_probes(path, lambda probes: probes["tag/outputs/tags"].fill(b"x"))


def no_tag_probe(path):
    rewrite_probes(path, lambda probes: [probes.pop(key) for key in list(probes) if key.startswith("tag/")])


def no_probes(path):
    (path / PROBES).unlink()


def other_signatures(path):
    said = json.loads((path / "metadata.json").read_text())
    (path / "metadata.json").write_text(json.dumps({**said, "signatures": ["serving_default"]}))


def other_labels(path):
    (path / "labels.txt").write_text("a\nb\n")


def no_metadata(path):
    (path / "metadata.json").unlink()


HARM = {
    cut: "cannot be loaded",
    other_logits: "signature serving_default: logits differs by 1.0e-02 from what was recorded.",
    other_tags: "signature tag: tags differs from what was recorded.",
    no_tag_probe: "signature tag has no probe.",
    no_probes: f"{PROBES} cannot be read",
    other_signatures: "its signatures are ['serving_default', 'tag']. metadata.json says: ['serving_default'].",
    other_labels: "labels.txt has 2 labels. metadata.json says: 3; or others.",
    no_metadata: "metadata.json cannot be read",
}


def test_models_as_they_were_written_are_well(models, capsys):
    assert verify.main([str(models.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["all-tasks/1", "t0/1", "t1/1"]
    assert "well; 6 signatures, largest difference" in lines[0] and "well; 2 signatures" in lines[1]


def test_every_harm_is_found_and_named(models, tmp_path, capsys):
    for harm in HARM:
        harm(Path(shutil.copytree(models / "t0" / "1", tmp_path / harm.__name__ / "1")))
    shutil.copytree(models / "t0" / "1", tmp_path / "unharmed" / "1")
    assert verify.main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    for harm, problem in HARM.items():
        assert any(line.startswith(f"{harm.__name__}/1: {problem}") for line in lines), (harm, lines)
    assert [line for line in lines if "well" in line][0].startswith("unharmed/1: well")
    assert len(lines) == len(HARM) + 1


def test_nothing_to_verify_is_an_error(tmp_path, capsys):
    assert verify.main([str(tmp_path)]) == 2
    assert "no models to verify" in capsys.readouterr().err
    assert verify.main([str(tmp_path / "nowhere")]) == 2
    assert "no such directory" in capsys.readouterr().err
    with pytest.raises(ConfigurationError):
        verify.find_servables(tmp_path)


def test_the_newest_version_is_not_the_only_one_that_is_verified(models, tmp_path):
    for version in ("1", "2", "10"):
        shutil.copytree(models / "t1" / "1", tmp_path / "t1" / version)
    assert [path.name for path in verify.find_servables(tmp_path)] == ["1", "2", "10"]


def test_a_stranger_cannot_import_the_project():
    with pytest.raises(ImportError, match=r"wants to import export\.all_tasks"):
        Stranger().find_spec("export.all_tasks")
    assert Stranger().find_spec("numpy") is None


def test_answers_of_another_shape_or_name_are_found(models):
    path = models / "t0" / "1"
    signature, probe = tf.saved_model.load(str(path)).signatures["tag"], read_probes(path / PROBES)["tag"]
    assert compare(signature, {**probe, "inputs": {}})[1] == ["its inputs are ['words']. Recorded: []."]
    assert "its outputs are" in compare(signature, {**probe, "outputs": {}})[1][0]
    short = {name: value[:1] for name, value in probe["outputs"].items()}
    assert any("has shape" in problem for problem in compare(signature, {**probe, "outputs": short})[1])


# The native check.


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The C program, linked with the library of the TensorFlow that is installed."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    return NativeProgram(tmp_path_factory.mktemp("native"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t0", "all-tasks"])
def test_a_program_in_c_gets_the_recorded_answers(native, models, name):
    checked = verified(native, models / name / "1", tolerance=1e-5)
    assert checked.problems == [] and checked.largest_difference < 1e-5 and checked.seconds > 0


@pytest.mark.slow
def test_a_program_in_c_says_what_is_wrong(native, models, tmp_path):
    for harm, problem in {other_logits: "signature serving_default: logits differs", cut: "exit code 1"}.items():
        path = Path(shutil.copytree(models / "t0" / "1", tmp_path / harm.__name__ / "1"))
        harm(path)
        problems = verified(native, path).problems
        assert problems and "natively: " in problems[0] and problem in problems[0]


@pytest.mark.slow
def test_a_tensor_is_not_sent_twice_and_models_are_asked_in_turns(native, models):
    probe = read_probes(models / "t0" / "1" / PROBES)["tag"]
    again = dict.fromkeys(probe["inputs"])
    wanted = ["probabilities"]
    requests = [Request(0, "tag", probe["inputs"], wanted), *(Request(k, "tag", again, wanted) for k in (1, 0))]
    answers = native.run([models / "t0" / "1", models / "t1" / "1"], requests)
    assert len(answers.loaded) == 2 and len(answers.answered) == 3 and min(answers.answered).wall > 0
    first, other, last = (outputs["probabilities"] for outputs in answers.outputs)
    np.testing.assert_allclose(first, probe["outputs"]["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(last, first)
    assert np.abs(other - first).max() > 1e-4
    assert native.run([models / "t0" / "1"], requests[:1], keep_outputs=False).outputs == []


@pytest.mark.slow
def test_verify_runs_the_program_where_it_is_asked_to(native, models, capsys):
    assert verify.main([str(models / "t0" / "1"), "--native"]) == 0
    assert "natively" in capsys.readouterr().out


def test_without_a_compiler_one_line_says_so(models, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert verify.main([str(models / "t0" / "1"), "--native"]) == 2
    assert capsys.readouterr().err == "error: the native program needs gcc. Received: none on the PATH.\n"


@pytest.mark.slow
@pytest.mark.parametrize(("command", "flags"), [("verify", []), ("bundle", ["--out", "b"]), ("rollback", [])])
def test_a_command_of_its_own_prints_no_notices(tmp_path, command, flags):
    line = [sys.executable, "-m", f"export.{command}", "missing", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
