"""Presets made from the terms of published commands."""

import json

import pytest

from clrnn_tf.config import NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError
from clrnn_tf.methods import generative_replay, hnet, online_ewc
from trainers import sequential_stroke_mnist, split_audioset, stroke_mnist
from trainers.published_terms import PUBLISHED, published_preset
from trainers.run import main

TRAINERS = (stroke_mnist, sequential_stroke_mnist, split_audioset)


def preset(method, terms):
    return published_preset("what", method, terms, None, (None, None))


def test_a_published_command_becomes_its_settings():
    made = sequential_stroke_mnist.PRESETS["hnet_m3"]
    assert made.method_options == hnet.Config(strength=1.0)
    assert made.network == NetworkConfig(cell="lstm", hidden_sizes=(256,), biases="two")
    assert made.train == TrainConfig(steps=8000, batch_size=64, learning_rate=1e-3)
    assert made.data.num_digits == 3 and made.data.two_classes
    hypernetwork = made.hypernetwork
    assert (hypernetwork.chunk_size, hypernetwork.hidden_sizes) == (5000, (50, 50))
    assert (hypernetwork.task_embedding_size, hypernetwork.chunk_embedding_size) == (32, 16)
    assert (hypernetwork.task_embedding_std, hypernetwork.chunk_embedding_std) == (0.1, 0.1)
    assert (made.expected.during, made.expected.final, made.expected.source) == (98.45, 98.48, PUBLISHED)


def test_terms_that_are_not_there_have_the_published_defaults():
    made = preset("online_ewc", "bs=64 it=5000 clip=-1 n_fisher=-1")
    assert made.method_options == online_ewc.Config(strength=5000.0, num_sequences=None)
    assert made.network.heads == "single" and not made.network.task_id_input
    assert made.train == TrainConfig(steps=5000, batch_size=64, learning_rate=1e-3)


def test_replay_networks_regularisers_and_best_models_are_understood():
    terms = "MH bs=8 it=9 pm=0.1 rec=2 distill=3 z=16 dec=25 dec_pre=26 dec_post=27 best_model"
    made = preset("generative_replay", terms)
    assert made.method_options == generative_replay.Config(
        distillation_strength=3.0,
        prior_strength=0.1,
        reconstruction_strength=2.0,
        latent_dim=16,
        decoder_hidden_sizes=(25,),
        decoder_dense_before=(26,),
        decoder_dense_after=(27,),
    )
    assert made.train.keep_best
    made = preset("fine_tuning", "MH TASK-ID-IN bs=8 it=9 rnn=32 orth_init orth=0.1 weight_decay=0.01 clip=100")
    assert (made.train.l2, made.train.orthogonal_strength, made.train.clip_norm) == (0.01, 0.1, 100.0)
    assert made.network.recurrent_initializer == "orthogonal" and made.network.task_id_input
    assert made.network.hidden_sizes == (32,)


def test_an_unknown_term_is_refused():
    with pytest.raises(ConfigurationError, match="unknown terms of a published command: lamEWC"):
        preset("si", "bs=8 it=9 lamEWC=3")


@pytest.mark.parametrize(("trainer", "number"), zip(TRAINERS, (8, 40, 18), strict=True))
def test_every_published_run_is_a_preset_and_says_its_numbers(trainer, number):
    published = [each for each in trainer.PRESETS.values() if each.published_settings]
    assert len(published) == number
    for each in published:
        assert each.expected.final is not None or each.method == "from_scratch"
        assert 20 < (each.expected.final or each.expected.during) <= 100
    for each in trainer.PRESETS.values():
        each.experiment(trainer.BENCHMARK.name)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_without_data_a_starter_preset_is_taken(trainer):
    assert trainer.BENCHMARK.default_preset("hnet", embedded=True) == "starter_hnet"
    assert trainer.BENCHMARK.expected("starter_hnet", trainer.PRESETS["starter_hnet"].experiment("x"), None) is None


def small(out, *more):
    flags = ["--network.hidden-sizes", "8", "--train.steps", "4", "--train.log-every", "2", "--train.jit", "off"]
    return ["--quick", *flags, "--data.num-tasks", "2", "--out", str(out), *more]


def test_a_run_without_data_leaves_a_report_with_samples(tmp_path, monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    assert main(stroke_mnist.BENCHMARK, small(tmp_path / "run", "--method", "fine_tuning")) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert "scikit-learn digits" in results["data_source"]
    assert (tmp_path / "run" / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert "Samples of the data" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_quick_runs_end(trainer, tmp_path, monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    assert main(trainer.BENCHMARK, ["--quick", "--train.steps", "20", "--out", str(tmp_path / "run")]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", ["generative_replay", "hnet_replay", "coresets"])
def test_replay_of_strokes_runs(method, tmp_path, monkeypatch):
    monkeypatch.delenv("CLRNN_DATA_DIR", raising=False)
    options = {"coresets": ["--coresets.size", "5"]}.get(method, [f"--{method.replace('_', '-')}.latent-dim", "3"])
    assert main(stroke_mnist.BENCHMARK, small(tmp_path / "run", "--preset", f"starter_{method}", *options)) == 0


def test_damaged_data_end_a_command_with_one_line(tmp_path, capsys):
    (tmp_path / "stroke_mnist.npz").write_bytes(b"no archive")
    flags = ["--data-dir", str(tmp_path), "--out", str(tmp_path / "run"), "--preset", "fine_tuning"]
    assert main(stroke_mnist.BENCHMARK, flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: {tmp_path / 'stroke_mnist.npz'} cannot be read as an archive of arrays")
