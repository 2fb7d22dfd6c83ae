import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError
from export import verify
from export.reload import PROBES, Stranger, compare, read_probes
from tests import servables


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

DTYPES = {1: np.float32, 3: np.int32}
STRING = 7


def packed_name(tensor):
    operation, _, index = tensor.partition(":")
    return struct.pack("I", len(operation)) + operation.encode() + struct.pack("I", int(index))


def packed(value):
    kind = STRING if value.dtype.kind == "S" else next(k for k, dtype in DTYPES.items() if value.dtype == dtype)
    head = struct.pack("II", kind, value.ndim) + struct.pack(f"{value.ndim}q", *value.shape)
    if kind == STRING:
        return head + b"".join(struct.pack("Q", len(text)) + text for text in value.ravel().tolist())
    return head + struct.pack("Q", value.nbytes) + value.tobytes()


def unpacked(file):
    kind, rank = struct.unpack("II", file.read(8))
    shape = struct.unpack(f"{rank}q", file.read(8 * rank))
    if kind == STRING:
        texts = [file.read(struct.unpack("Q", file.read(8))[0]) for _ in range(int(np.prod(shape)))]
        return np.array(texts, "S").reshape(shape)
    return np.frombuffer(file.read(struct.unpack("Q", file.read(8))[0]), DTYPES[kind]).reshape(shape)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The C program, linked with the library of the TensorFlow that is installed."""
    compiler, library = shutil.which("gcc"), Path(tf.sysconfig.get_lib())
    if compiler is None or not (library / "libtensorflow_cc.so.2").exists():
        pytest.skip("needs gcc and a TensorFlow with its C library")
    program = tmp_path_factory.mktemp("native") / "servable"
    source = Path(__file__).parent / "native" / "servable.c"
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{library}"]
    command = [compiler, "-Wall", "-Werror", "-O1", source, f"-I{tf.sysconfig.get_include()}", f"-L{library}"]
    subprocess.run([*command, *libraries, "-o", program], check=True)
    return program


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t0", "all-tasks"])
def test_a_program_in_c_gets_the_recorded_answers(native, models, tmp_path, name):
    path = models / name / "1"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def
    probes, request = read_probes(path / PROBES), b""
    for signature, probe in probes.items():
        tensors = signatures[signature]
        request += struct.pack("I", len(probe["inputs"]))
        for key, value in probe["inputs"].items():
            request += packed_name(tensors.inputs[key].name) + packed(value)
        request += struct.pack("I", len(probe["outputs"]))
        request += b"".join(packed_name(tensors.outputs[key].name) for key in probe["outputs"])
    (tmp_path / "request").write_bytes(request)
    subprocess.run([native, path, tmp_path / "request", tmp_path / "answer"], check=True)
    with (tmp_path / "answer").open("rb") as answer:
        for probe in probes.values():
            for recorded in probe["outputs"].values():
                received = unpacked(answer)
                if recorded.dtype.kind == "f":
                    np.testing.assert_allclose(received, recorded, atol=1e-5)
                else:
                    np.testing.assert_array_equal(received, recorded)
        assert not answer.read()
