"""Part-of-speech tagging, one language after another: ``python -m trainers.pos_tagging``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import (
    context_mod,
    coresets,
    fine_tuning,
    from_scratch,
    hnet,
    masking,
    masking_si,
    multitask,
    online_ewc,
    si,
)
from data_pipelines import pos_tagging
from trainers.presets import Benchmark, Expected, Preset
from trainers.run import main

_PUBLISHED = "published README of Ehret et al. 2021, on larger treebanks and with Polyglot vectors"
_BILSTM = NetworkConfig(cell="lstm", hidden_sizes=(32,), direction="bidirectional")

_PUBLISHED_HNET = Preset(
    summary="HNET as published, on every language found, in the paper's order",
    method="hnet",
    method_options=hnet.Config(strength=0.5),
    data=pos_tagging.Config(),
    network=_BILSTM,
    hypernetwork=HypernetworkConfig(
        chunk_size=190, hidden_sizes=(75, 125), task_embedding_size=32, chunk_embedding_size=8, activation="sigmoid"
    ),
    train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-3),
    published_settings="MH chunk=190 beta=0.5 K=20 bs=64 it=2500 lr=0.005 rnn=32 hnet=75,125 temb=32 cemb=8 sigmoid",
    expected=Expected(89.83, 89.30, _PUBLISHED),
)
# The penalty compares weights, so its strength presumes a scale of the inputs; and twenty languages need more room than
# the published hypernetwork has. docs/results.md shows what each change is worth.
_HNET = dataclasses.replace(
    _PUBLISHED_HNET,
    summary="HNET on every language found, in the paper's order: shorter vectors, a wider hypernetwork",
    data=pos_tagging.Config(vector_norm=2.0),
    hypernetwork=dataclasses.replace(_PUBLISHED_HNET.hypernetwork, hidden_sizes=(150, 250), task_embedding_size=64),
    published_settings="",
    expected=Expected(85.33, 85.10, "our run, seed 0, on the data of docs/results.md"),
)
_ANNEALED_HNET = dataclasses.replace(
    _PUBLISHED_HNET,
    summary="HNET of the published size on every language found: shorter vectors, annealed, a stronger penalty",
    method_options=hnet.Config(strength=2.0),
    data=pos_tagging.Config(vector_norm=2.0),
    train=dataclasses.replace(_PUBLISHED_HNET.train, learning_rate_schedule="cosine", warmup_steps=100),
    published_settings="",
    expected=Expected(79.41, 79.09, "our run, seed 0, on the data of docs/results.md"),
)
_FINE_TUNING = Preset(
    summary="fine-tuning on every language found, in the paper's order",
    method="fine_tuning",
    method_options=fine_tuning.Config(),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-4, clip_norm=100.0, orthogonal_strength=1.0),
    published_settings="MH K=20 bs=64 it=2500 lr=0.0005 clip=100 rnn=32 orth=1",
    expected=Expected(91.64, 49.11, _PUBLISHED),
)
_SI = Preset(
    summary="synaptic intelligence on every language found, in the paper's order",
    method="si",
    method_options=si.Config(strength=0.1),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=5_000, batch_size=64, learning_rate=1e-3, clip_norm=100.0, orthogonal_strength=1.0),
    published_settings="MH K=20 bs=64 it=5000 lr=0.001 clip=100 rnn=32 orth=1 lamSI=0.1 si_task_only",
    expected=Expected(85.96, 85.08, _PUBLISHED),
)
_ONLINE_EWC = Preset(
    summary="online EWC on every language found, in the paper's order",
    method="online_ewc",
    method_options=online_ewc.Config(strength=10.0, num_sequences=200),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-3, clip_norm=100.0, orthogonal_strength=1.0),
    published_settings="MH K=20 bs=64 it=2500 lr=0.005 clip=100 rnn=32 orth=1 lamEWC=10.0 n_fisher=200",
    expected=Expected(87.49, 86.89, _PUBLISHED),
)
_MASKING = Preset(
    summary="masking on every language found, in the paper's order",
    method="masking",
    method_options=masking.Config(fraction=0.2),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-4, orthogonal_strength=1.0),
    published_settings="MH K=20 bs=64 it=2500 lr=0.0005 clip=-1 rnn=32 mask=0.2 orth=1",
    expected=Expected(91.36, 49.54, _PUBLISHED),
)
_MASKING_SI = Preset(
    summary="masking and SI on every language found, in the paper's order",
    method="masking_si",
    method_options=masking_si.Config(strength=1.0, fraction=0.2),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=5_000, batch_size=64, learning_rate=1e-3, orthogonal_strength=1.0),
    published_settings="MH K=20 bs=64 it=5000 lr=0.001 clip=-1 rnn=32 mask=0.2 orth=1 lamSI=1.0 si_task_only",
    expected=Expected(82.74, 82.66, _PUBLISHED),
)
_MULTITASK = Preset(
    summary="all languages at once",
    method="multitask",
    method_options=multitask.Config(),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=5_000, batch_size=64, learning_rate=5e-3, clip_norm=100.0),
    published_settings="MH K=20 bs=64 it=5000 lr=0.005 clip=100 rnn=32",
    expected=Expected(None, 92.52, _PUBLISHED),
)
_FROM_SCRATCH = Preset(
    summary="a network of its own for each language",
    method="from_scratch",
    method_options=from_scratch.Config(),
    data=pos_tagging.Config(),
    network=dataclasses.replace(_BILSTM, heads="single"),
    train=TrainConfig(steps=5_000, batch_size=64, learning_rate=5e-3, clip_norm=100.0, orthogonal_strength=1.0),
    published_settings="K=20 bs=64 it=5000 lr=0.005 clip=100 rnn=32 orth=1",
    expected=Expected(95.04, None, _PUBLISHED),
)
_CORESETS = Preset(
    summary="distillation on 100 sentences of each old language",
    method="coresets",
    method_options=coresets.Config(strength=10.0, size=100, normalize="step"),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=5_000, batch_size=64, learning_rate=5e-3),
    published_settings="MH K=20 bs=64 it=5000 lr=0.005 clip=-1 rnn=32 distill=10 coreset=100",
    expected=Expected(92.0, 90.0, _PUBLISHED),
)
_CONTEXT_MOD = Preset(
    summary="gains and shifts of each language's own, network frozen after the first, on every language found",
    method="context_mod",
    method_options=context_mod.Config(train_network="first_task"),
    data=pos_tagging.Config(),
    network=_BILSTM,
    train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-3, clip_norm=100.0),
)


def _starter(preset: Preset, what: str) -> Preset:
    """The same method on the embedded treebank, in minutes."""
    return dataclasses.replace(
        preset,
        summary=f"{what} on the embedded starter treebank (no data needed)",
        train=TrainConfig(steps=400, batch_size=32, learning_rate=5e-3, validate_every=100),
        published_settings="",
        expected=None,
    )


def _demo(preset: Preset, what: str) -> Preset:
    """The same method in the demo: fixed word inputs, so that the network is all that is learned."""
    return dataclasses.replace(
        preset,
        summary=f"{what} in the demo (no data needed)",
        data=pos_tagging.Config(vectors="none", ngrams="frozen", ngram_dim=128),
        network=dataclasses.replace(_BILSTM, heads="multi" if preset.method == "fine_tuning" else "single"),
        train=TrainConfig(
            steps=200,
            batch_size=32,
            learning_rate=5e-3,
            learning_rate_schedule="cosine",
            validate_every=200,
            log_every=10,
            jit="off",
        ),
        published_settings="",
        expected=None,
    )


# Learning rates, strength and sizes were chosen on the dev sentences of the starter treebank (seed 0). A chunk has its
# embedding for each task and no hidden layer: 256 weights lie in a plane of 96 dimensions that all tasks share. The
# scale of the initial embeddings matters: 60 sentences are learned by heart from large ones. On the dev sentences
# (seed 0), HNET ends at 84.9, 85.0, 87.2, 85.7 and 85.5 % with chunk_embedding_std 0.01, 0.02, 0.05, 0.07 and 0.1. It
# was 0.02 before, and test scores were seen then; 0.05 was taken for its dev score alone. With 128 dimensions instead
# of 96 it ends at 86.1 %, fine-tuning at 68.1 %. These are 90 sentences: a point is chance. Over seeds 0, 1 and 2, dev
# accuracy right after learning is 85.1 % with 0.02 and 85.6 % with 0.05.
# Fine-tuning with a single head for all languages, or over 400 steps, ends within a point of this one (seed 1).
_DEMO_FROM_SCRATCH = _demo(_FROM_SCRATCH, "a network of its own for each language,")
_DEMO_HNET = dataclasses.replace(
    _demo(_PUBLISHED_HNET, "HNET"),
    method_options=hnet.Config(strength=0.1),
    hypernetwork=HypernetworkConfig(
        chunk_size=256,
        hidden_sizes=(),
        task_embedding_size=0,
        chunk_embedding_size=96,
        chunk_embeddings="per_task",
        chunk_embedding_std=0.05,
        use_bias=False,
    ),
    train=dataclasses.replace(_DEMO_FROM_SCRATCH.train, learning_rate=2e-3),
)

PRESETS = {
    "hnet": _HNET,
    "hnet_published": _PUBLISHED_HNET,
    "hnet_annealed": _ANNEALED_HNET,
    "hnet_backward": dataclasses.replace(
        _HNET,
        summary="the same with a right-to-left LSTM alone, which is what the published code really trains",
        network=dataclasses.replace(_BILSTM, direction="backward"),
        expected=Expected(84.42, 84.00, "our run, seed 0, on the data of docs/results.md"),
    ),
    "fine_tuning": _FINE_TUNING,
    "si": _SI,
    "online_ewc": _ONLINE_EWC,
    "online_ewc_task_id": dataclasses.replace(
        _ONLINE_EWC,
        summary="online EWC, the network being told the language",
        network=dataclasses.replace(_BILSTM, task_id_input=True),
        train=dataclasses.replace(_ONLINE_EWC.train, steps=5_000),
        published_settings="MH K=20 bs=64 it=5000 lr=0.005 clip=100 rnn=32 task-id input orth=1 lamEWC=10.0 "
        "n_fisher=200",
        expected=Expected(89.78, 89.67, _PUBLISHED),
    ),
    "masking": _MASKING,
    "masking_si": _MASKING_SI,
    "multitask": _MULTITASK,
    "from_scratch": _FROM_SCRATCH,
    "context_mod": _CONTEXT_MOD,
    "coresets": _CORESETS,
    "coresets_500": dataclasses.replace(
        _CORESETS,
        summary="distillation on 500 sentences of each old language",
        method_options=coresets.Config(strength=10.0, size=500, normalize="step"),
        train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-3, clip_norm=100.0),
        published_settings="MH K=20 bs=64 it=2500 lr=0.005 clip=100 rnn=32 distill=10 coreset=500",
    ),
    "starter_hnet": dataclasses.replace(
        _starter(_PUBLISHED_HNET, "HNET (with a linear hypernetwork, as 60 sentences a language call for)"),
        method_options=hnet.Config(strength=1.0),
        hypernetwork=HypernetworkConfig(
            chunk_size=None, hidden_sizes=(), task_embedding_size=32, task_embedding_std=0.1
        ),
        train=TrainConfig(steps=400, batch_size=32, learning_rate=1e-2, validate_every=100),
    ),
    "starter_fine_tuning": _starter(_FINE_TUNING, "fine-tuning"),
    "starter_si": _starter(_SI, "synaptic intelligence"),
    "starter_online_ewc": _starter(_ONLINE_EWC, "online EWC"),
    "starter_masking": _starter(_MASKING, "masking"),
    "starter_masking_si": _starter(_MASKING_SI, "masking and SI"),
    "starter_multitask": _starter(_MULTITASK, "all languages at once"),
    "starter_from_scratch": _starter(_FROM_SCRATCH, "a network of its own for each language,"),
    "starter_context_mod": _starter(
        _CONTEXT_MOD, "gains and shifts of each language's own, network frozen after the first,"
    ),
    "starter_coresets": _starter(_CORESETS, "distillation on 100 sentences of each old language,"),
    "demo_fine_tuning": _demo(_FINE_TUNING, "fine-tuning"),
    "demo_hnet": _DEMO_HNET,
    "demo_from_scratch": _DEMO_FROM_SCRATCH,
}

_EXAMPLES = (
    ("", "learn the embedded languages; no data needed"),
    ("--data-dir DIR --preset hnet --out runs/pos", "learn the treebanks in DIR"),
    ("--out runs/pos --resume", "continue it after an interrupt"),
    ("--data-dir DIR --method si --data.languages en de fr", "another method, three languages"),
    ("--list-presets", "the published runs, and what to expect of them"),
)

BENCHMARK = Benchmark("pos_tagging", pos_tagging, PRESETS, "fine_tuning", _EXAMPLES, uses_data=True)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
