"""Part-of-speech tagging, one language after another: ``python -m trainers.pos_tagging``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, TrainConfig
from clrnn_tf.methods import (
    coresets,
    hnet,
)
from data_pipelines import pos_tagging
from trainers import letter_presets, treebank_presets
from trainers.presets import Benchmark, Expected, Preset
from trainers.run import main


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
        network=dataclasses.replace(
            treebank_presets.BILSTM, heads="multi" if preset.method == "fine_tuning" else "single"
        ),
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
_DEMO_FROM_SCRATCH = _demo(treebank_presets.FROM_SCRATCH, "a network of its own for each language,")
_DEMO_HNET = dataclasses.replace(
    _demo(treebank_presets.PUBLISHED_HNET, "HNET"),
    method_options=hnet.Config(strength=0.1),
    hypernetwork=dataclasses.replace(letter_presets.CHUNKS_OF_EACH_TASK, chunk_size=256, chunk_embedding_size=96),
    train=dataclasses.replace(_DEMO_FROM_SCRATCH.train, learning_rate=2e-3),
)

PRESETS = {
    "hnet": treebank_presets.HNET,
    "hnet_published": treebank_presets.PUBLISHED_HNET,
    "hnet_annealed": treebank_presets.ANNEALED_HNET,
    "hnet_backward": dataclasses.replace(
        treebank_presets.HNET,
        summary="the same with a right-to-left LSTM alone, which is what the published code really trains",
        network=dataclasses.replace(treebank_presets.BILSTM, direction="backward"),
        expected=Expected(84.42, 84.00, "our run, seed 0, on the data of docs/results.md"),
    ),
    "fine_tuning": treebank_presets.FINE_TUNING,
    "si": treebank_presets.SI,
    "online_ewc": treebank_presets.ONLINE_EWC,
    "online_ewc_task_id": dataclasses.replace(
        treebank_presets.ONLINE_EWC,
        summary="online EWC, the network being told the language",
        network=dataclasses.replace(treebank_presets.BILSTM, task_id_input=True),
        train=dataclasses.replace(treebank_presets.ONLINE_EWC.train, steps=5_000),
        published_settings="MH K=20 bs=64 it=5000 lr=0.005 clip=100 rnn=32 task-id input orth=1 lamEWC=10.0 "
        "n_fisher=200",
        expected=Expected(89.78, 89.67, treebank_presets.PUBLISHED),
    ),
    "masking": treebank_presets.MASKING,
    "masking_si": treebank_presets.MASKING_SI,
    "multitask": treebank_presets.MULTITASK,
    "from_scratch": treebank_presets.FROM_SCRATCH,
    "context_mod": treebank_presets.CONTEXT_MOD,
    "coresets": treebank_presets.CORESETS,
    "coresets_500": dataclasses.replace(
        treebank_presets.CORESETS,
        summary="distillation on 500 sentences of each old language",
        method_options=coresets.Config(strength=10.0, size=500, normalize="step"),
        train=TrainConfig(steps=2_500, batch_size=64, learning_rate=5e-3, clip_norm=100.0),
        published_settings="MH K=20 bs=64 it=2500 lr=0.005 clip=100 rnn=32 distill=10 coreset=500",
    ),
    "hnet_letters": letter_presets.HNET,
    "from_scratch_letters": letter_presets.FROM_SCRATCH,
    "fine_tuning_letters": letter_presets.FINE_TUNING,
    "online_ewc_letters": letter_presets.ONLINE_EWC,
    "starter_hnet": dataclasses.replace(
        _starter(
            treebank_presets.PUBLISHED_HNET, "HNET (with a linear hypernetwork, as 60 sentences a language call for)"
        ),
        method_options=hnet.Config(strength=1.0),
        hypernetwork=HypernetworkConfig(
            chunk_size=None, hidden_sizes=(), task_embedding_size=32, task_embedding_std=0.1
        ),
        train=TrainConfig(steps=400, batch_size=32, learning_rate=1e-2, validate_every=100),
    ),
    "starter_fine_tuning": _starter(treebank_presets.FINE_TUNING, "fine-tuning"),
    "starter_si": _starter(treebank_presets.SI, "synaptic intelligence"),
    "starter_online_ewc": _starter(treebank_presets.ONLINE_EWC, "online EWC"),
    "starter_masking": _starter(treebank_presets.MASKING, "masking"),
    "starter_masking_si": _starter(treebank_presets.MASKING_SI, "masking and SI"),
    "starter_multitask": _starter(treebank_presets.MULTITASK, "all languages at once"),
    "starter_from_scratch": _starter(treebank_presets.FROM_SCRATCH, "a network of its own for each language,"),
    "starter_context_mod": _starter(
        treebank_presets.CONTEXT_MOD, "gains and shifts of each language's own, network frozen after the first,"
    ),
    "starter_coresets": _starter(treebank_presets.CORESETS, "distillation on 100 sentences of each old language,"),
    "demo_fine_tuning": _demo(treebank_presets.FINE_TUNING, "fine-tuning"),
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
