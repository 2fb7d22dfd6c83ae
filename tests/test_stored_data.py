"""The data of stored settings are found again, or the command says that there are others."""

import numpy as np
import pytest
import yaml

from clrnn_tf import ConfigurationError
from data_pipelines import own_data
from data_pipelines.storage import DataWarning
from trainers.own_data import BENCHMARK
from trainers.settings import parse
from trainers.stored_data import names_other_directory, warn_of_other_data


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Settings of a run on data in a directory."""
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "a.npz", x=np.ones((8, 3, 1)), y=np.arange(8) % 2)
    experiment = parse(BENCHMARK, [str(tmp_path / "data")]).experiment
    stream = own_data.make_stream(experiment.data, tmp_path / "data")
    provenance = {
        "data_dir": str(tmp_path / "data"),
        "data_source": stream.data_source,
        "fingerprint": stream.data_facts["fingerprint"],
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**experiment.to_dict(), "provenance": provenance}))
    return path


def data_dir_of(*arguments):
    return parse(BENCHMARK, list(map(str, arguments))).data_dir


def test_settings_of_a_run_read_its_data(stored, tmp_path, monkeypatch):
    data, other = tmp_path / "data", tmp_path / "other"
    other.mkdir()
    assert data_dir_of("--config", stored) == data
    assert data_dir_of("--config", stored, "--data-dir", other) == other
    monkeypatch.setenv("CLRNN_DATA_DIR", str(other))
    assert data_dir_of("--config", stored) == data
    data.rename(tmp_path / "moved")  # as on another machine
    assert data_dir_of("--config", stored) == other
    monkeypatch.delenv("CLRNN_DATA_DIR")
    with pytest.raises(ConfigurationError, match=f"read its data from {data}, which is not there. Name the directory"):
        data_dir_of("--config", stored)
    for asked in ("--help", "--list-presets"):
        assert data_dir_of("--config", stored, asked) is None


def test_other_data_are_pointed_out(stored, tmp_path, recwarn):
    def warnings_of(*arguments):
        recwarn.clear()
        command = parse(BENCHMARK, ["--config", str(stored), *arguments])
        stream = own_data.make_stream(command.experiment.data, tmp_path / "data")
        warn_of_other_data(stored, command.experiment, stream)
        return [str(warning.message) for warning in recwarn if warning.category is DataWarning]

    assert warnings_of() == warnings_of("--seed", "3") == []
    np.savez(tmp_path / "data" / "a.npz", x=np.zeros((8, 3, 1)), y=np.arange(8) % 2)
    assert warnings_of()[0].startswith(f"the data of the run of {stored} have changed since: fingerprint ")
    np.savez(tmp_path / "data" / "b.npz", x=np.zeros((8, 3, 1)), y=np.arange(8) % 2)
    assert warnings_of() == [
        f"{stored} is of a run on other data: data: 1 tasks, 8 sequences, read from {tmp_path}/data. "
        "Received: data: 2 tasks, 16 sequences. Name the directory of data by --data-dir."
    ]
    assert warnings_of("--data.max-sequences", "7") == []  # other settings have other data


def test_the_same_files_elsewhere_are_the_same_data(stored, tmp_path, recwarn):
    (tmp_path / "data").rename(tmp_path / "moved")
    experiment = parse(BENCHMARK, [str(tmp_path / "moved")]).experiment
    recwarn.clear()
    warn_of_other_data(stored, experiment, own_data.make_stream(experiment.data, tmp_path / "moved"))
    assert not [warning for warning in recwarn if warning.category is DataWarning]
    assert names_other_directory(stored, tmp_path / "moved") and not names_other_directory(stored, None)
    assert not names_other_directory(stored, tmp_path / "moved" / ".." / "data")
