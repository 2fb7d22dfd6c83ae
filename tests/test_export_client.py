"""The client against a server process of test code, `tests/model_server.py`: no TensorFlow Serving can be installed."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from clrnn_tf.errors import ConfigurationError
from export import bundle, client
from export.client import Client, padded
from export.transports import Patience, Rest, ServingError, connect
from tests import servables

pytest.importorskip("tensorflow_serving", reason="the server of the tests needs tensorflow-serving-api")
SERVER = Path(__file__).with_name("model_server.py")
SENTENCES = [["b", "a"], [], ["c", "", "a", "b"]]


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """Addresses of a server of the model `tiny`."""
    directory = tmp_path_factory.mktemp("served")
    bundle.bundle(servables.models(), directory)
    server = subprocess.Popen([sys.executable, SERVER, directory], stdout=subprocess.PIPE, text=True)
    http, grpc = server.stdout.readline().split()
    yield {"http": f"http://localhost:{http}", "grpc": f"grpc://localhost:{grpc}"}
    server.kill()
    server.communicate()


class Waits(list):
    """Pauses that were asked for; none is made."""

    def patience(self, tries=3):
        return Patience(timeout=5.0, tries=tries, pause=0.5, sleep=self.append)


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_sentences_of_several_tasks_come_back_with_their_tags(urls, way):
    at = Client.at(urls[way], "tiny")
    both = at.tag(SENTENCES, ["t0", "t1", "t1"])
    assert [len(answer.outputs["tags"]) for answer in both] == [2, 0, 4]
    assert [answer.task for answer in both] == ["t0", "t1", "t1"] and not any(answer.error for answer in both)
    for answer, sentence in zip(both, SENTENCES, strict=True):
        if sentence:
            (alone,) = at.tag([sentence], answer.task)
            assert alone.outputs["tags"].tolist() == answer.outputs["tags"].tolist()
            np.testing.assert_allclose(alone.outputs["probabilities"], answer.outputs["probabilities"], atol=1e-5)
    assert at.tag([]) == []


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_the_task_is_inferred_where_none_is_said(urls, way):
    answers = Client.at(urls[way], "tiny").tag(SENTENCES)
    assert {answer.task for answer in answers} <= {"t0", "t1"}
    assert all(0.5 <= answer.task_probability <= 1 for answer in answers)


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_sequences_of_any_length_are_answered_as_those_of_words(urls, way):
    at = Client.at(urls[way], "tiny")
    sequences = [np.eye(3, dtype=np.float32)[list(map("abc".index, words))] for words in ("ba", "cab")]
    answers, tagged = at.answer(sequences, "t1"), at.tag([["b", "a"], ["c", "a", "b"]], "t1")
    for answer, tags in zip(answers, tagged, strict=True):
        assert answer.outputs["classes"].tolist() == tags.outputs["classes"].tolist()


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_bad_row_has_an_error_and_the_others_answers(urls, way):
    good, bad = Client.at(urls[way], "tiny").tag([["a"], ["a"]], ["t0", "xx"])
    assert bad.error == "unknown task 'xx'. Known: t0, t1." and bad.outputs == {}
    assert len(good.outputs["tags"]) == 1 and not good.error


@pytest.mark.parametrize(("way", "code"), [("http", "404"), ("grpc", "NOT_FOUND")])
def test_a_model_that_is_not_served_is_not_asked_for_twice(urls, way, code):
    waits = Waits()
    at = Client(connect(urls[way], waits.patience()), "nobody")
    with pytest.raises(ServingError, match=rf"refuses the request \({code}\): Servable not found"):
        at.tag([["a"]], "t0")
    assert waits == []


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_inputs_of_another_width_are_refused(urls, way):
    with pytest.raises(ServingError, match="refuses the request"):
        Client.at(urls[way], "tiny").answer([np.zeros([2, 5], np.float32)], "t0")


def test_a_busy_server_is_asked_again_after_pauses_that_double(urls):
    waits = Waits()
    with pytest.raises(ServingError, match="Servable not found"):  # the second answer
        Client(connect(urls["http"], waits.patience()), "busy").tag([["a"]], "t0")
    assert len(waits) <= 1
    waits.clear()
    with pytest.raises(ServingError, match=r"no answer from http://localhost:1 after 4 tries: .*refused"):
        Client(Rest("http://localhost:1", waits.patience(4)), "tiny").tag([["a"]], "t0")
    assert waits == [0.5, 1.0, 2.0]


def test_the_port_of_grpc_and_an_answer_that_is_cut_off_are_told_from_a_server(urls):
    waits, request = Waits(), ("tiny", "tag", {"words": np.array([["a"]], object)})
    with pytest.raises(ServingError, match="port 8501 by default. Received: an answer that is not HTTP"):
        Rest(urls["grpc"].replace("grpc", "http"), waits.patience()).predict(*request)
    assert not waits
    with socket.create_server(("localhost", 0)) as server:
        answering = threading.Thread(target=cut_off, args=(server, 3))
        answering.start()
        with pytest.raises(ServingError, match="after 3 tries: IncompleteRead"):
            Rest(f"http://localhost:{server.getsockname()[1]}", waits.patience()).predict(*request)
        answering.join()
    assert len(waits) == 2


def cut_off(server, times):
    for _ in range(times):
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def test_the_command_tags_sentences(urls, capsys):
    flags = ["--url", urls["http"], "--model", "tiny"]
    assert client.main([*flags, "--task", "t0", "a b", "c"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [[pair.partition("/")[0] for pair in line.split()] for line in lines] == [["a", "b"], ["c"]]
    assert client.main([*flags, "a b"]) == 0
    assert capsys.readouterr().out.partition("\t")[0] in ("t0", "t1")
    assert client.main([*flags, "--task", "xx", "a"]) == 1
    assert capsys.readouterr().err == "error: unknown task 'xx'. Known: t0, t1.\n"
    assert client.main([*flags[:2], "--model", "nobody", "a"]) == 1
    assert "Servable not found" in capsys.readouterr().err
    assert client.main(["--url", "localhost", "a"]) == 2
    assert "url must begin with http://" in capsys.readouterr().err


def test_what_is_asked_wrongly_is_refused_here():
    at = Client(Rest("http://localhost:1"), "tiny")
    with pytest.raises(ConfigurationError, match="must be lists of words"):
        at.tag(["a b"], "t0")
    with pytest.raises(ConfigurationError, match=r"task must name one of each sequence\. Received: 2\."):
        at.tag([["a"]], ["t0", "t1"])


def test_sequences_are_filled_up_to_the_longest():
    batch = padded([np.array([1, 2, 3]), np.array([4])], 0)
    assert batch.tolist() == [[1, 2, 3], [4, 0, 0]]


def test_the_client_starts_without_tensorflow():
    command = "import sys, export.client; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
