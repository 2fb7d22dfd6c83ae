import json
import shutil
import subprocess

import pytest
import yaml

from clrnn_tf.errors import ConfigurationError
from export import bundle, releases, rollback, verify
from export.model_card import DOCKER_RUN, IMAGE
from export.reload import WARM_UP, warm_up_problems
from tests import servables

pytest.importorskip("tensorflow_serving", reason="bundles need the messages of tensorflow-serving-api")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A directory that was published to twice."""
    directory = tmp_path_factory.mktemp("bundle") / "models"
    for _ in range(2):
        assert bundle.main([str(servables.models().parent), "--out", str(directory)]) == 0
    return directory


@pytest.fixture
def copy(published, tmp_path):
    return shutil.copytree(published, tmp_path / "models")


def test_a_bundle_has_what_a_server_reads(published):
    assert sorted(path.name for path in published.iterdir()) == [
        "SHA256SUMS",
        "batching_params.pbtxt",
        "docker-compose.yaml",
        "models.config",
        "monitoring.config",
        "tiny",
    ]
    assert releases.versions_of(published, "tiny") == [1, 2]
    version = published / "tiny" / "2"
    assert {path.name for path in version.iterdir()} >= {
        "saved_model.pb",
        "labels.txt",
        "metadata.json",
        "MODEL_CARD.md",
    }
    assert (version / WARM_UP).is_file()


def test_the_official_messages_read_which_versions_are_served(published):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((published / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("tiny", "/models/tiny", "tensorflow")
    assert list(model.model_version_policy.specific.versions) == [2]
    assert dict(model.version_labels) == {"stable": 2}


def test_every_signature_is_warmed_up(published):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(published / "tiny" / "2" / WARM_UP)).as_numpy_iterator()
    specs = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request.model_spec for record in records]
    assert [(spec.name, spec.signature_name) for spec in specs] == [
        ("tiny", name) for name in ("by_task_id", "serving_default", "step", "tag", "tag_unknown_task", "unknown_task")
    ]


def test_a_bundle_is_verified_with_all_its_versions(published, copy, capsys):
    assert verify.main([str(published)]) == 0
    assert [line.partition(";")[0] for line in capsys.readouterr().out.splitlines()] == ["tiny/1: well", "tiny/2: well"]
    (copy / "tiny" / "2" / WARM_UP).write_bytes(b"no records" * 10)
    (copy / "models.config").write_text((copy / "models.config").read_text().replace("versions: 2", "versions: 7"))
    shutil.rmtree(copy / "tiny" / "1")
    assert verify.main([str(copy)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"tiny/2: {WARM_UP} cannot be answered")
    assert f"tiny/2/{WARM_UP}: is not as SHA256SUMS says." in lines
    assert "tiny/1/saved_model.pb: is not as SHA256SUMS says." in lines
    assert "models.config: version 7 of 'tiny' is served, and is not there." in lines


def test_a_signature_without_a_warm_up_request_is_found(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert warm_up_problems({"tag": None}, tmp_path / "empty") == [f"{WARM_UP} has no request to signature tag."]
    assert warm_up_problems({"tag": None}, tmp_path / "none") == []


def test_a_config_that_no_server_reads_is_found(copy):
    config = copy / "models.config"
    config.write_text(config.read_text() + "no_such_field: 1\n")
    assert any('no field named "no_such_field"' in problem for problem in verify.problems_of_bundle(copy))


def test_checksums_are_those_of_the_usual_tool(published):
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum")
    done = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=published, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert releases.changed_files(published) == []


def test_rolling_back_serves_the_version_before_and_publishing_goes_forward(copy, capsys):
    assert rollback.main([str(copy)]) == 0
    assert capsys.readouterr().out == "tiny: version 1 is served now.\n"
    assert releases.served(copy) == {"tiny": 1} and releases.versions_of(copy, "tiny") == [1, 2]
    assert releases.changed_files(copy) == []
    assert rollback.main([str(copy)]) == 2
    assert "'tiny' has no version before 1, which is served." in capsys.readouterr().err
    for version in (3, 4, 5):
        assert bundle.bundle(servables.models(), copy) == copy / "tiny" / str(version)
    assert releases.served(copy) == {"tiny": 5} and releases.versions_of(copy, "tiny") == [3, 4, 5]


def test_two_models_are_served_side_by_side(copy):
    bundle.bundle(servables.models(), copy, "other")
    assert releases.served(copy) == {"other": 1, "tiny": 2}


def test_a_failure_leaves_what_is_served(copy, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left")

    before = (copy / "models.config").read_text()
    monkeypatch.setattr(bundle, "write_warm_up", fail)
    with pytest.raises(OSError, match="no space left"):
        bundle.bundle(servables.models(), copy)
    assert releases.versions_of(copy, "tiny") == [1, 2] and (copy / "models.config").read_text() == before


def test_the_card_says_what_the_model_is(published):
    text = (published / "tiny" / "2" / "MODEL_CARD.md").read_text()
    _, head, body = text.split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["pipeline_tag"] == "token-classification" and said["language"] == ["t0", "t1"]
    values = [result["metrics"][0]["value"] for result in said["model-index"][0]["results"]]
    assert values == [90.0, 91.0] and "| t1 | 91.00 |" in body
    assert DOCKER_RUN in body and "generated for tests" in body


def test_the_compose_file_and_the_command_line_start_the_same_server(published):
    service = yaml.safe_load((published / "docker-compose.yaml").read_text())["services"]["model-server"]
    assert DOCKER_RUN.endswith(" ".join([IMAGE, *service["command"]]))
    assert service["volumes"] == [".:/models:ro"]
    for flag in service["command"]:
        path = flag.partition("=")[2]
        assert not path.startswith("/models/") or (published / path.removeprefix("/models/")).is_file()


def test_what_cannot_be_published_is_refused(published, tmp_path, capsys):
    assert bundle.main([str(tmp_path), "--out", str(tmp_path / "models")]) == 2
    assert "no model of all tasks in" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"it has no models\.config"):
        bundle.bundle(servables.models(), tmp_path)
    with pytest.raises(ConfigurationError, match="name must be letters"):
        bundle.bundle(servables.models(), published, "a/b")
    (tmp_path / "models.config").write_text("model_config_list {}")
    with pytest.raises(ConfigurationError, match="names no model"):
        releases.served(tmp_path)
    assert json.loads((published / "tiny" / "1" / "metadata.json").read_text())["benchmark"] == "tiny"
