"""Settings of published commands, in the terms in which the READMEs' tables give them: `MH K=5 bs=64 it=2000 lr=0.005`.

One line holds all settings of a preset, and is shown with it; nothing is written twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.errors import require
from clrnn_tf.methods import (
    coresets,
    fine_tuning,
    from_scratch,
    generative_replay,
    hnet,
    hnet_replay,
    masking,
    masking_si,
    multitask,
    online_ewc,
    si,
)
from trainers.presets import Expected, Preset

PUBLISHED = "published README of Ehret et al. 2021"

Terms = dict[str, str]


def published_preset(
    summary: str, method: str, terms: str, data: object, numbers: tuple[float | None, float | None], units: int = 256
) -> Preset:
    """The preset of a published command.

    Args:
      summary: What it is, in a line.
      method: Name of the method.
      terms: Settings: `name=value`, or a name alone (`MH`: a head for each task; else a single head). Others have the
        published defaults.
      data: The benchmark's settings.
      numbers: During and final accuracy.
      units: LSTM units, where `rnn` is not among the terms.

    Raises:
      ConfigurationError: A term is unknown.
    """
    left = dict(term.partition("=")[::2] for term in terms.split())
    network = NetworkConfig(
        hidden_sizes=_sizes(left.pop("rnn", str(units))),
        heads="multi" if _flag(left, "MH") else "single",
        task_id_input=_flag(left, "TASK-ID-IN"),
        recurrent_initializer="orthogonal" if _flag(left, "orth_init") else "uniform",
        biases="two",
    )
    options = _OPTIONS[method](left)
    hypernetwork = _hypernetwork(left) if method.startswith("hnet") else HypernetworkConfig()
    train = _train(left)
    for name in ("K", "m"):  # the data say so
        left.pop(name, None)
    require(not left, f"unknown terms of a published command: {' '.join(left)}.")
    return Preset(
        summary=summary,
        method=method,
        method_options=options,
        data=data,
        network=network,
        hypernetwork=hypernetwork,
        train=train,
        published_settings=terms,
        expected=Expected(*numbers, PUBLISHED),
    )


def starter(preset: Preset, what: str, data: object, **train: Any) -> Preset:
    """The method of a preset on embedded data, in minutes.

    Args:
      preset: The published one.
      what: The method, in words.
      data: Settings of the data.
      train: What is different in training.
    """
    return dataclasses.replace(
        preset,
        summary=f"{what} on the embedded data (no data needed)",
        data=data,
        train=dataclasses.replace(preset.train, **train),
        published_settings="",
        expected=None,
    )


def _flag(left: Terms, name: str) -> bool:
    return left.pop(name, None) is not None


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _number(left: Terms, name: str, default: float) -> float:
    return float(left.pop(name, default))


def _train(left: Terms) -> TrainConfig:
    clip, orthogonal = _number(left, "clip", -1), _number(left, "orth", -1)
    return TrainConfig(
        steps=int(left.pop("it")),
        batch_size=int(left.pop("bs")),
        learning_rate=_number(left, "lr", 1e-3),
        clip_norm=clip if clip > 0 else None,
        orthogonal_strength=max(0.0, orthogonal),
        l2=_number(left, "weight_decay", 0.0),
        keep_best=_flag(left, "best_model"),
    )


def _hypernetwork(left: Terms) -> HypernetworkConfig:
    return HypernetworkConfig(
        chunk_size=int(left.pop("chunk")),
        hidden_sizes=_sizes(left.pop("hnet")),
        task_embedding_size=int(left.pop("temb", 32)),
        chunk_embedding_size=int(left.pop("cemb", 32)),
        task_embedding_std=_number(left, "std_temb", 1.0),
        chunk_embedding_std=_number(left, "std_cemb", 1.0),
    )


def _online_ewc(left: Terms) -> online_ewc.Config:
    sequences = int(left.pop("n_fisher", -1))
    return online_ewc.Config(strength=_number(left, "lamEWC", 5000), num_sequences=sequences if sequences > 0 else None)


def _si(left: Terms) -> dict[str, Any]:
    """The options that SI and masking with SI share."""
    of_task = _flag(left, "si_task_only")
    return {"strength": _number(left, "lamSI", 1.0), "importance": "task_loss" if of_task else "total_loss"}


def _fraction(left: Terms) -> float:
    return _number(left, "mask", 0.8)


def _replay(left: Terms) -> dict[str, Any]:
    """The options that generative replay and HNET+R share."""
    return {
        "distillation_strength": _number(left, "distill", 1.0),
        "prior_strength": _number(left, "pm", 1.0),
        "reconstruction_strength": _number(left, "rec", 1.0),
        "latent_dim": int(left.pop("z", 100)),
        "decoder_hidden_sizes": _sizes(left.pop("dec", "256")),
        "decoder_dense_before": _sizes(left.pop("dec_pre", "")),
        "decoder_dense_after": _sizes(left.pop("dec_post", "")),
    }


_OPTIONS: Mapping[str, Callable[[Terms], object]] = {
    "hnet": lambda left: hnet.Config(strength=_number(left, "beta", 0.005)),
    "online_ewc": _online_ewc,
    "si": lambda left: si.Config(**_si(left)),
    "masking": lambda left: masking.Config(fraction=_fraction(left)),
    "masking_si": lambda left: masking_si.Config(**_si(left), fraction=_fraction(left)),
    "coresets": lambda left: coresets.Config(
        strength=_number(left, "distill", 1.0), size=int(left.pop("coreset", 100))
    ),
    "generative_replay": lambda left: generative_replay.Config(**_replay(left)),
    "hnet_replay": lambda left: hnet_replay.Config(**_replay(left), strength=_number(left, "beta", 0.005)),
    "fine_tuning": lambda left: fine_tuning.Config(),
    "from_scratch": lambda left: from_scratch.Config(),
    "multitask": lambda left: multitask.Config(),
}
"""Options of a method, from the terms; those that are used are taken out."""
