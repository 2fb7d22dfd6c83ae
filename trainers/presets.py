"""What a trainer says about its benchmark: presets, each with the command it reproduces and the number to expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.errors import require


@dataclass(frozen=True)
class Expected:
    """Accuracies in percent that a preset should come near; None where the source gives none."""

    during: float | None
    final: float | None
    source: str
    """Where the numbers come from: published, or a run of ours."""


@dataclass(frozen=True)
class Preset:
    """One named set of settings of a benchmark."""

    summary: str
    """What it is, in a line."""
    method: str
    method_options: object
    data: object
    network: NetworkConfig
    train: TrainConfig
    hypernetwork: HypernetworkConfig = field(default_factory=HypernetworkConfig)
    published_settings: str = ""
    """Settings of the published command that it reproduces, in the paper's terms; empty for our own."""
    expected: Expected | None = None

    def experiment(self, benchmark: str, seed: int = 0) -> Experiment:
        """The experiment that the preset stands for."""
        return Experiment(
            benchmark=benchmark,
            method=self.method,
            seed=seed,
            network=self.network,
            hypernetwork=self.hypernetwork,
            train=self.train,
            method_options=self.method_options,
            data=self.data,
        )


@dataclass(frozen=True)
class Benchmark:
    """What a trainer module says about its benchmark."""

    name: str
    """Name of the module in `data_pipelines`."""
    pipeline: ModuleType
    """Has `Config`, `make_stream(config, data_dir)` and `quick(config)`."""
    presets: Mapping[str, Preset]
    examples: str
    """Commands for the end of the help text."""
    uses_data: bool = False
    """Whether there is data to find; without, it is generated."""

    def default_preset(self, method: str, data_dir: Path | None) -> str:
        """The preset used without `--preset`: `starter_METHOD` on embedded data, else the first of the method."""
        if self.uses_data and data_dir is None and f"starter_{method}" in self.presets:
            return f"starter_{method}"
        names = [name for name, preset in self.presets.items() if preset.method == method]
        require(bool(names), f"{self.name} has no preset of method {method}; choose one with --preset. Received: none.")
        return names[0]


@dataclass(frozen=True)
class RunOptions:
    """Flags that are no settings of the experiment."""

    out: Path
    data_dir: Path | None
    resume: bool
    overwrite: bool
    distribute: bool
    compare_with: tuple[Path, ...]
    infer_task: bool
