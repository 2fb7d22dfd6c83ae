"""The flags of a search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clrnn_tf.ranges import NonNegativeInt, PositiveInt, Settings, Share

TunerName = Literal["random", "bayesian", "hyperband", "grid"]
ProtocolName = Literal["oracle", "first-k", "plasticity-stability"]


@dataclass(frozen=True)
class SearchOptions(Settings):
    """What is searched, and where it is written."""

    section = "search"
    help: bool = False
    """Show this text."""
    benchmark: str | None = None
    """Benchmark whose settings are searched."""
    method: str | None = None
    """Continual-learning method; hnet without."""
    preset: str | None = None
    """Named settings to start from, which are also the first trial."""
    config: Path | None = None
    """YAML file of settings to start from."""
    quick: bool = False
    """Short runs on little data. Too short to learn."""
    data_dir: Path | None = None
    """Directory of data, as of the trainers."""
    tuner: TunerName = "random"
    """Oracle of Keras Tuner that proposes the values."""
    max_trials: PositiveInt = 20
    """Trials at most."""
    space: tuple[str, ...] = ()
    """Values to choose from: NAME=log:LOW:HIGH, NAME=linear:LOW:HIGH, NAME=VALUE,VALUE; else those that are shipped."""
    objective: str = "accuracy"
    """Metric whose mean over tasks decides, on validation data: accuracy, f1, loss, or another of the outputs."""
    protocol: ProtocolName = "oracle"
    """What the search may see: all tasks, the first tasks, or at each task this task alone."""
    first_tasks: PositiveInt = 2
    """Tasks that first-k and plasticity-stability see."""
    drop: Share = 0.02
    """Share of the accuracy right after learning that plasticity-stability may give up for stability."""
    seeds: str = "0"
    """Seeds of each trial, such as 0-2 or 0,3,5; the mean over them decides."""
    search_seed: NonNegativeInt = 1
    """Seed of the values that are proposed."""
    early_end: bool = True
    """End a run that can no longer become the best."""
    out: Path | None = None
    """Directory of the search to write."""
    resume: bool = False
    """Continue the search in --out where it was."""
    checkpoint_every: PositiveInt | None = None
    """Steps from checkpoint to checkpoint of a run; else one a minute."""
    workers: NonNegativeInt = 0
    """Processes of this machine that take trials at the same time; 0 takes them one after another."""
    role: Literal["chief", "worker"] | None = None
    """Part in a search on several machines that share --out; a worker needs no other flag."""
    address: str | None = None
    """HOST:PORT at which the chief listens; else a free port of 127.0.0.1."""
    timeout: PositiveInt = 60
    """Seconds of silence after which a worker, or the chief, counts as gone."""


OF_THE_PROCESS = ("help", "out", "resume", "workers", "role", "address", "timeout", "data_dir", "checkpoint_every")
"""Flags that may differ when a search is continued."""
OF_THE_TRAINER = ("method", "preset", "config", "quick", "data_dir")
"""Flags that the trainer of the benchmark has, too."""
