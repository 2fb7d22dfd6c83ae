"""Copy Task family: ``python -m trainers.copy_task``."""

from __future__ import annotations

import dataclasses
import sys

from clrnn_tf.config import HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.methods import (
    context_mod,
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
from data_pipelines import copy_task
from trainers.presets import Benchmark, Expected, Preset
from trainers.run import main

_PUBLISHED = "published README of Ehret et al. 2021"
_ELMAN = NetworkConfig(cell="elman", hidden_sizes=(256,))
_PERMUTED = copy_task.Config(num_tasks=5, input_length=5, permute_time=True)
_PADDED = copy_task.Config(num_tasks=5, input_length=25, pattern_length=5, permute_time=True)
_REPLAY = generative_replay.Config(
    distillation_strength=1.0,
    prior_strength=1.0,
    reconstruction_strength=10.0,
    decoder_orthogonal_strength=1.0,
    latent_dim=8,
    decoder_cell="elman",
    decoder_hidden_sizes=(256,),
)
_ORTHOGONAL_START = dataclasses.replace(_ELMAN, recurrent_initializer="orthogonal")


def _hnet_of_xor(permutations: int, strength: float, expected: Expected) -> Preset:
    return Preset(
        summary=f"HNET, pattern manipulation: recalled bits are parities of up to {permutations + 1} input bits",
        method="hnet",
        method_options=hnet.Config(strength=strength),
        data=_xor(permutations),
        network=_ELMAN,
        hypernetwork=HypernetworkConfig(chunk_size=4000, hidden_sizes=(64, 64, 32), activation="sigmoid"),
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-3, clip_norm=1.0, orthogonal_strength=1.0),
        published_settings=f"MH perm_t xor chunk=4000 beta={strength} K=5 bs=128 it=20000 lr=0.005 clip=1 "
        f"hnet=64,64,32 sigmoid temb=32 cemb=32 orth=1.0 r={permutations}",
        expected=expected,
    )


def _online_ewc_of_xor(permutations: int, train: TrainConfig, expected: Expected) -> Preset:
    return Preset(
        summary=f"online EWC, pattern manipulation: recalled bits are parities of up to {permutations + 1} input bits",
        method="online_ewc",
        method_options=online_ewc.Config(strength=1000.0, num_sequences=200),
        data=_xor(permutations),
        network=_ORTHOGONAL_START,
        train=dataclasses.replace(train, steps=20_000, batch_size=128, orthogonal_strength=10.0),
        published_settings=f"MH perm_t xor K=5 bs=128 it=20000 lr={train.learning_rate} clip={train.clip_norm or -1} "
        f"orth_init orth=10 lamEWC=1000.0 n_fisher=200 r={permutations}",
        expected=expected,
    )


def _xor(permutations: int) -> copy_task.Config:
    return dataclasses.replace(_PERMUTED, permute_xor=True, xor_separate=True, xor_iterations=permutations)


_SHORT = NetworkConfig(cell="elman", hidden_sizes=(64,))

PRESETS = {
    "hnet_permuted": Preset(
        summary="HNET, Permuted Copy, p = i = 5",
        method="hnet",
        method_options=hnet.Config(strength=10.0),
        data=_PERMUTED,
        network=_ELMAN,
        hypernetwork=HypernetworkConfig(
            chunk_size=2500,
            hidden_sizes=(50, 50),
            task_embedding_size=32,
            chunk_embedding_size=32,
            task_embedding_std=1.0,
            chunk_embedding_std=0.1,
        ),
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-4, clip_norm=1.0, orthogonal_strength=10.0),
        published_settings="MH perm_t chunk=2500 beta=10 K=5 bs=128 it=20000 lr=0.0005 clip=1 orth=10",
        expected=Expected(100.0, 100.0, _PUBLISHED),
    ),
    "fine_tuning_permuted": Preset(
        summary="fine-tuning, Permuted Copy, p = i = 5",
        method="fine_tuning",
        method_options=fine_tuning.Config(),
        data=_PERMUTED,
        network=_ELMAN,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=1e-3, clip_norm=1.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 clip=1",
        expected=Expected(99.99, None, _PUBLISHED),
    ),
    "hnet_permuted_one_random_task": Preset(
        summary="HNET regularised on one random old task per step, single generated head",
        method="hnet",
        method_options=hnet.Config(strength=1.0, tasks_per_step=1),
        data=_PERMUTED,
        network=NetworkConfig(cell="elman", hidden_sizes=(256,), heads="single"),
        hypernetwork=HypernetworkConfig(
            chunk_size=2500,
            hidden_sizes=(50, 50),
            task_embedding_size=32,
            chunk_embedding_size=16,
            task_embedding_std=1.0,
            chunk_embedding_std=0.1,
        ),
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-4, clip_norm=1.0, orthogonal_strength=10.0),
        published_settings="perm_t chunk=2500 beta=1 K=5 bs=128 it=20000 lr=0.0005 clip=1 cemb=16 reg_bs=1 orth=10",
        expected=Expected(None, 100.0, _PUBLISHED),
    ),
    "si_permuted": Preset(
        summary="synaptic intelligence, Permuted Copy, p = i = 5",
        method="si",
        method_options=si.Config(strength=0.01),
        data=_PERMUTED,
        network=_ELMAN,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=1e-3, clip_norm=1.0, orthogonal_strength=1.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 clip=1 orth=1.0 lamSI=0.01 si_task_only",
        expected=Expected(98.7, 94.5, _PUBLISHED),
    ),
    "online_ewc_permuted": Preset(
        summary="online EWC, Permuted Copy, p = i = 5",
        method="online_ewc",
        method_options=online_ewc.Config(strength=100.0),
        data=_PERMUTED,
        network=_ELMAN,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=1e-3, clip_norm=1.0, orthogonal_strength=0.01),
        published_settings="MH perm_t K=5 bs=128 it=20000 lr=0.001 clip=1.0 lamEWC=100.0 n_fisher=-1 orth=0.01",
        expected=Expected(99.93, 98.66, _PUBLISHED),
    ),
    "online_ewc_task_id": Preset(
        summary="online EWC, Permuted Copy, p = i = 5, the network being told the task",
        method="online_ewc",
        method_options=online_ewc.Config(strength=1e7, num_sequences=200),
        data=_PERMUTED,
        network=dataclasses.replace(_ORTHOGONAL_START, task_id_input=True),
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=1e-2, clip_norm=1.0, orthogonal_strength=1.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 lr=0.01 clip=1 task-id input orth_init orth=1 "
        "lamEWC=10000000.0 n_fisher=200",
        expected=Expected(97.61, 97.54, _PUBLISHED),
    ),
    "masking_permuted": Preset(
        summary="masking, Permuted Copy, p = i = 5",
        method="masking",
        method_options=masking.Config(fraction=0.8),
        data=_PERMUTED,
        network=_ORTHOGONAL_START,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-3, clip_norm=100.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 lr=0.005 clip=100 orth_init mask=0.8",
        expected=Expected(99.93, 73.73, _PUBLISHED),
    ),
    "masking_si_permuted": Preset(
        summary="masking and SI, Permuted Copy, p = i = 5",
        method="masking_si",
        method_options=masking_si.Config(strength=1.0, fraction=0.8),
        data=_PERMUTED,
        network=_ORTHOGONAL_START,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-3, clip_norm=100.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 lr=0.005 clip=100 orth_init mask=0.8 lamSI=1 si_task_only",
        expected=Expected(100.0, 100.0, _PUBLISHED),
    ),
    "multitask_permuted": Preset(
        summary="all tasks at once, Permuted Copy, p = i = 5 (100,000 steps in all)",
        method="multitask",
        method_options=multitask.Config(),
        data=_PERMUTED,
        network=_ELMAN,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-4, clip_norm=1.0, orthogonal_strength=1.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 lr=0.0005 clip=1 orth=1.0",
        expected=Expected(None, 100.0, _PUBLISHED),
    ),
    "from_scratch_permuted": Preset(
        summary="a network of its own for each task, Permuted Copy, p = i = 5",
        method="from_scratch",
        method_options=from_scratch.Config(),
        data=_PERMUTED,
        network=dataclasses.replace(_ELMAN, heads="single"),
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-4, orthogonal_strength=1.0),
        published_settings="perm_t K=5 bs=128 it=20000 lr=0.0005 clip=-1 orth=1.0",
        expected=Expected(100.0, None, _PUBLISHED),
    ),
    "context_mod_permuted": Preset(
        summary="gains and shifts of each task's own, network frozen after the first task, Permuted Copy, p = i = 5",
        method="context_mod",
        method_options=context_mod.Config(train_network="first_task"),
        data=_PERMUTED,
        network=_ELMAN,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=1e-3, clip_norm=1.0),
    ),
    "coresets_permuted": Preset(
        summary="distillation on 100 sequences of each old task, Permuted Copy, p = i = 5",
        method="coresets",
        method_options=coresets.Config(strength=10.0, size=100),
        data=_PERMUTED,
        network=_ORTHOGONAL_START,
        train=TrainConfig(steps=10_000, batch_size=128, learning_rate=1e-4, orthogonal_strength=10.0),
        published_settings="MH perm_t K=5 bs=128 it=10000 lr=0.0001 clip=-1 orth_init orth=10 distill=10 coreset=100",
        expected=Expected(None, 100.0, _PUBLISHED),
    ),
    "generative_replay_permuted": Preset(
        summary="generative replay, Permuted Copy, p = i = 5",
        method="generative_replay",
        method_options=_REPLAY,
        data=_PERMUTED,
        network=_ORTHOGONAL_START,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=1e-4, clip_norm=100.0, orthogonal_strength=1.0),
        published_settings="MH perm_t K=5 bs=128 it=20000 lr=0.0001 clip=100 orth_init orth=1.0 pm=1.0 rec=10.0 "
        "distill=1.0 z=8 dec=256 dec_type=elman",
        expected=Expected(100.0, 100.0, _PUBLISHED),
    ),
    "hnet_replay_permuted": Preset(
        summary="generative replay by the decoders of a hypernetwork, Permuted Copy, p = i = 5",
        method="hnet_replay",
        method_options=hnet_replay.Config(
            **dataclasses.asdict(dataclasses.replace(_REPLAY, decoder_orthogonal_strength=0.0)), strength=10.0
        ),
        data=_PERMUTED,
        network=_ORTHOGONAL_START,
        hypernetwork=HypernetworkConfig(chunk_size=2500, chunk_embedding_std=0.1),
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-4, clip_norm=1.0, orthogonal_strength=1.0),
    ),
    "hnet_padded": Preset(
        summary="HNET, Padded Copy, p = 5, i = 25 (permuted, where the published command leaves all tasks alike)",
        method="hnet",
        method_options=hnet.Config(strength=10.0),
        data=_PADDED,
        network=_ELMAN,
        hypernetwork=HypernetworkConfig(
            chunk_size=4000,
            hidden_sizes=(60, 60, 30),
            task_embedding_size=16,
            chunk_embedding_size=32,
            task_embedding_std=0.1,
            chunk_embedding_std=0.1,
        ),
        train=TrainConfig(steps=10_000, batch_size=128, learning_rate=1e-3, clip_norm=10.0, orthogonal_strength=10.0),
        published_settings="MH NO perm_t chunk=4000 beta=10.0 K=5 bs=128 it=10000 lr=0.001 clip=10 hnet=60,60,30 "
        "temb=16 cemb=32 std_temb=0.1 std_cemb=0.1 orth=10.0 i=25 p=5",
        expected=Expected(None, 100.0, _PUBLISHED),
    ),
    "online_ewc_padded": Preset(
        summary="online EWC, Padded Copy, p = 5, i = 25",
        method="online_ewc",
        method_options=online_ewc.Config(strength=10_000.0, num_sequences=200),
        data=_PADDED,
        network=_ORTHOGONAL_START,
        train=TrainConfig(steps=20_000, batch_size=128, learning_rate=5e-3, clip_norm=1.0, orthogonal_strength=1.0),
        published_settings="MH perm_t K=5 i=25 p=5 bs=128 it=20000 lr=0.005 clip=1 orth_init orth=1.0 lamEWC=10000.0 "
        "n_fisher=200",
        expected=Expected(98.03, 98.07, _PUBLISHED),
    ),
    "hnet_xor": _hnet_of_xor(1, 1.0, Expected(100.0, 100.0, _PUBLISHED)),
    "hnet_xor_5": _hnet_of_xor(5, 10.0, Expected(97.07, 93.93, _PUBLISHED)),
    "online_ewc_xor": _online_ewc_of_xor(
        1, TrainConfig(learning_rate=5e-3, clip_norm=1.0), Expected(99.65, 95.92, _PUBLISHED)
    ),
    "online_ewc_xor_5": _online_ewc_of_xor(5, TrainConfig(learning_rate=1e-3), Expected(94.41, 86.39, _PUBLISHED)),
    "hnet_short": Preset(
        summary="HNET, a smaller network and 1,500 steps a task: minutes instead of the published run's half hour",
        method="hnet",
        method_options=hnet.Config(strength=1.0),
        data=copy_task.Config(num_tasks=3, input_length=3, permute_time=True, num_train=20_000),
        network=_SHORT,
        hypernetwork=HypernetworkConfig(chunk_size=500, chunk_embedding_std=0.1),
        train=TrainConfig(steps=1_500, batch_size=64, learning_rate=2e-3, clip_norm=1.0, orthogonal_strength=1.0),
    ),
}

_EXAMPLES = (
    ("--quick", "does everything work?"),
    ("--preset hnet_short --out runs/copy", "learn three short tasks in minutes"),
    ("--out runs/copy --resume", "continue it after an interrupt"),
    ("--method si --data.input-length 8 --train.steps 5000", "another method, and settings of your own"),
    ("--list-presets", "the published runs, and what to expect of them"),
)

BENCHMARK = Benchmark("copy_task", copy_task, PRESETS, "fine_tuning_permuted", _EXAMPLES)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
