"""What a trainer says about its benchmark: presets, each with the command it reproduces and the number to expect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from clrnn_tf import methods
from clrnn_tf.config import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig
from clrnn_tf.errors import ConfigurationError, nearest


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

    def experiment(self, benchmark: str, seed: int = 0, method: str | None = None) -> Experiment:
        """The experiment that the preset stands for.

        Args:
          benchmark: Name of the benchmark.
          seed: The seed.
          method: Another method than the preset's: it starts from its `Config()`; all else stays as it is.
        """
        options = self.method_options
        if method not in (None, self.method):
            options = methods.load(method).Config()
        return Experiment(
            benchmark=benchmark,
            method=method or self.method,
            seed=seed,
            network=self.network,
            hypernetwork=self.hypernetwork,
            train=self.train,
            method_options=options,
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
    base: str
    """The preset from which methods start that have none: their network, training and data are those of this one."""
    examples: tuple[tuple[str, str], ...]
    """Flags to type and what they do, for the top of the help text."""
    uses_data: bool = False
    """Whether there is data to find; without, it is generated."""
    directory_first: bool = False
    """Whether the directory of the data may be the first word, in place of `--data-dir`."""

    def default_preset(self, method: str, embedded: bool) -> str:
        """The preset used without `--preset`.

        The first of the method, or the base preset if it has none. Embedded data are small: for them, the preset of
        the same name with `starter_` before it is taken.
        """
        names = [name for name, preset in self.presets.items() if preset.method == method]
        name = names[0] if names else self.base
        starter = f"starter_{method if names else self.base}"
        return starter if embedded and starter in self.presets else name

    def preset(self, name: str) -> Preset:
        """The preset of a name.

        Raises:
          ConfigurationError: There is none.
        """
        if name not in self.presets:
            raise ConfigurationError(f"unknown preset '{name}'.{nearest(name, self.presets)}")
        return self.presets[name]

    def command(self, preset: str, program: str = "") -> str:
        """What to type to run a preset."""
        needs_data = self.uses_data and not preset.startswith("starter_")
        directory = " DIR" if self.directory_first else " --data-dir DIR"
        return f"{program or self.program}{directory if needs_data else ''} --preset {preset}"

    @property
    def program(self) -> str:
        """The command without its flags."""
        return f"python -m trainers.{self.name}"

    def expected(self, preset: str, experiment: Experiment, data_dir: Path | None) -> Expected | None:
        """What an experiment should come near: the figures of its preset, if nothing but the seed is different."""
        same = dataclasses.replace(experiment, seed=0) == self.presets[preset].experiment(self.name)
        return self.presets[preset].expected if same and (data_dir or not self.uses_data) else None
