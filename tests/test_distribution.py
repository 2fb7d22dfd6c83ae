"""Training shared by several processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from clrnn_tf.execution.distribution import Workers
from trainers import copy_task
from trainers.run import main

ROOT = Path(__file__).parent.parent
SETTINGS = [
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
    "20",
    "--train.log-every",
    "5",
    "--train.batch-size",
    "12",
    "--network.hidden-sizes",
    "8",
    "--train.jit",
    "off",
]


ONE_WORKER = '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'


@pytest.mark.parametrize(
    "config",
    [
        None,
        "{",
        "[" * 10_000,
        '{"cluster": {}}',
        ONE_WORKER.replace("0", "1"),
        ONE_WORKER.replace("0", "-1"),
        ONE_WORKER.replace('["a:1"]', '"a"'),
        ONE_WORKER.replace('"type": "worker"', '"type": "chief"'),
        ONE_WORKER.replace('"worker": [', '"chief": ["b:1"], "worker": ['),
    ],
)
def test_workers_must_be_named(config, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ConfigurationError, match="distributed training needs the environment variable TF_CONFIG"):
        Workers()


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(out, ports, rank):
    workers = [f"127.0.0.1:{port}" for port in ports]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}}
    return subprocess.Popen(
        [sys.executable, "-m", "trainers.copy_task", *SETTINGS, "--distribute", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "TF_CONFIG": json.dumps(config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def losses(path):
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return np.array([list(entry["losses"].values()) for entry in entries if entry["kind"] == "train"])


@pytest.mark.slow
def test_two_workers_take_the_steps_of_one(tmp_path):
    assert main(copy_task.BENCHMARK, [*SETTINGS, "--out", str(tmp_path / "one")]) == 0
    ports = free_ports(2)
    processes = [start(tmp_path / "two", ports, rank) for rank in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 8
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
