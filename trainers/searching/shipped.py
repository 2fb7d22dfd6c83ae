"""The spaces that are searched without ``--space``, for every benchmark and method.

The bounds enclose what the best published runs used (the commands in the presets), with a factor of ten to spare.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clrnn_tf import methods

_LEARNING_RATE = "train.learning_rate=log:1e-4:1e-2"
_ORTHOGONAL = "train.orthogonal_strength=0,0.01,1,10"
_CLIP_NORM = "train.clip_norm=none,1,100"
_OF_GENERATED = "hypernetwork.chunk_embedding_std=log:0.01:1"

_OF_METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "hnet": ("hnet.strength=log:0.01:100", _OF_GENERATED),
        "online_ewc": ("online_ewc.strength=log:1:1e8",),
        "si": ("si.strength=log:0.001:100",),
        "masking": ("masking.fraction=0.2,0.4,0.6,0.8",),
        "masking_si": ("masking_si.strength=log:0.001:100", "masking_si.fraction=0.2,0.4,0.6,0.8"),
        "masking_ewc": ("masking_ewc.strength=log:1:1e8", "masking_ewc.fraction=0.2,0.4,0.6,0.8"),
        "context_mod": ("context_mod.train_network=always,first_task",),
        "coresets": ("coresets.strength=log:0.1:100", "coresets.size=100,500"),
        "generative_replay": (
            "generative_replay.distillation_strength=log:0.1:10",
            "generative_replay.prior_strength=log:0.1:10",
            "generative_replay.reconstruction_strength=log:0.1:10",
        ),
        "hnet_replay": (
            "hnet_replay.strength=log:0.1:100",
            "hnet_replay.distillation_strength=log:0.1:10",
            "hnet_replay.prior_strength=log:0.1:10",
            "hnet_replay.reconstruction_strength=log:0.1:10",
        ),
    }
)
_WITH_ORTHOGONAL = ("fine_tuning", "from_scratch", "multitask", "online_ewc", "si", "hnet")
_RATES: Mapping[str, str] = MappingProxyType(
    {
        "pos_tagging": "train.learning_rate=log:5e-4:2e-2",
        "split_audioset": "train.learning_rate=log:1e-5:1e-2",
    }
)


def shipped(benchmark: str, method: str) -> tuple[str, ...]:
    """The texts of the spaces of a method on a benchmark, as ``--space`` takes them.

    A method that is not known here is searched over its learning rate, and over its `strength` where it has one.

    Example:
      >>> shipped("copy_task", "si")[:2]
      ('si.strength=log:0.001:100', 'train.learning_rate=log:1e-4:1e-2')
    """
    of_method = _OF_METHODS.get(method) or _of_unknown(method)
    orthogonal = (_ORTHOGONAL,) if method in _WITH_ORTHOGONAL and benchmark != "pos_tagging" else ()
    clip = (_CLIP_NORM,) if benchmark in ("copy_task", "sequential_stroke_mnist") else ()
    return (*of_method, _RATES.get(benchmark, _LEARNING_RATE), *orthogonal, *clip)


def _of_unknown(method: str) -> tuple[str, ...]:
    has_strength = hasattr(methods.load(method).Config(), "strength")
    return (f"{method}.strength=log:0.001:1000",) if has_strength else ()
