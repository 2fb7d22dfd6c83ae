"""Settings of a run: frozen dataclasses that read no data and import no TensorFlow.

Every field is a typed flag on the command line (``--network.hidden-sizes 64 32``), a key in a YAML file and a
keyword argument in Python. Ranges are checked when an object is made, so a bad value is reported before any work.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from clrnn_tf.errors import ConfigurationError, nearest, require
from clrnn_tf.ranges import Fraction, NonNegative, NonNegativeInt, Positive, PositiveInt, Settings
from clrnn_tf.setting_types import converted, require_type

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

CellName = Literal["lstm", "elman"]
"""Names of `clrnn_tf.networks.cells.CELLS`; a new cell is added to both."""

_LARGEST_SEED = 2_000_000_000  # offsets are added to it, and it becomes an int32 tensor


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """The main network: dense layers, recurrent layers, dense layers, task heads.

    Example:
      >>> from clrnn_tf import NetworkConfig
      >>> NetworkConfig(cell="elman", hidden_sizes=(64, 32), direction="bidirectional").heads
      'multi'
    """

    section = "network"
    cell: CellName = "lstm"
    """Recurrent cell; `elman` has an output layer inside each recurrent layer."""
    hidden_sizes: tuple[PositiveInt, ...] = (256,)
    """Units of each recurrent layer (per direction)."""
    direction: Literal["forward", "backward", "bidirectional"] = "forward"
    """Reading direction; `backward` alone reproduces what the published PoS code really trains."""
    dense_before: tuple[PositiveInt, ...] = ()
    """Units of dense layers between the inputs and the first recurrent layer."""
    dense_after: tuple[PositiveInt, ...] = ()
    """Units of dense layers between the last recurrent layer and the heads."""
    activation: Literal["tanh", "relu", "linear"] = "tanh"
    """Activation of dense layers, of the Elman cell, and of the LSTM's cell state before its output gate."""
    heads: Literal["multi", "single"] = "multi"
    """`multi`: one output head per task inside the network; `single`: one head used by every task. A
    hypernetwork generates a different single head for each task, so the network does not depend on their number."""
    recurrent_initializer: Literal["uniform", "orthogonal"] = "uniform"
    """`orthogonal` draws each hidden-to-hidden matrix (each LSTM gate's block) orthogonal (shared weights only)."""
    biases: Literal["one", "two"] = "one"
    """Biases of each recurrent sum; published: two."""
    task_id_input: bool = False
    """Whether the network reads the task: a one-hot task id follows the features of every step."""

    def _check(self, name: str, hint: object) -> None:
        super()._check(name, str if name == "cell" else hint)  # `CELLS` may have more; the network asks there

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.hidden_sizes) > 0, "network.hidden_sizes needs at least one recurrent layer. Received: ().")

    @property
    def starts_orthogonal(self) -> bool:
        """Whether hidden-to-hidden matrices of shared weights start orthogonal."""
        return self.recurrent_initializer == "orthogonal"


@dataclass(frozen=True)
class HypernetworkConfig(Settings):
    """The hypernetwork: an MLP from a task embedding (and chunk embeddings) to the main network's weights.

    Example:
      >>> from clrnn_tf import HypernetworkConfig
      >>> HypernetworkConfig(chunk_size=500, hidden_sizes=(25, 25)).task_embedding_size
      32
    """

    section = "hypernetwork"
    chunk_size: int | None = 1000
    """Weights generated per chunk; `None` generates all at once (a full hypernetwork)."""
    hidden_sizes: tuple[PositiveInt, ...] = (50, 50)
    """Units of the MLP's hidden layers; empty gives a linear hypernetwork."""
    task_embedding_size: NonNegativeInt = 32
    """Dimension of each task's trainable embedding."""
    chunk_embedding_size: int = 32
    """Dimension of each chunk's trainable embedding."""
    chunk_embeddings: Literal["shared", "per_task"] = "shared"
    """Whether tasks share the chunk embeddings, or every task has different ones (then `task_embedding_size` may be
    0)."""
    activation: Literal["relu", "sigmoid", "tanh", "elu", "linear"] = "relu"
    """Activation of the hidden layers."""
    use_bias: bool = True
    """Whether the MLP's layers have biases."""
    dropout: Fraction = 0.0
    """Rate of dropout on the hidden layers while training; targets are always generated without it."""
    task_embedding_std: NonNegative = 1.0
    """Standard deviation of the normal initialisation of task embeddings."""
    chunk_embedding_std: NonNegative = 1.0
    """Standard deviation of the normal initialisation of chunk embeddings."""
    initializer: Literal["uniform", "hyperfan_in", "hyperfan_out", "hyperfan_harmonic"] = "uniform"
    """`uniform`: +-1/sqrt(fan_in), as published; the others scale the *generated* weights (Chang et al. 2020)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.chunk_size is None or self.chunk_size > 0,
            f"hypernetwork.chunk_size must be above 0, or None for a full hypernetwork. Received: {self.chunk_size}.",
        )
        smallest = 0 if self.chunk_size is not None and self.chunk_embeddings == "per_task" else 1
        require(
            self.task_embedding_size >= smallest,
            f"hypernetwork.task_embedding_size must be at least {smallest}. Received: {self.task_embedding_size}.",
        )
        require(
            self.chunk_size is None or self.chunk_embedding_size > 0,
            f"hypernetwork.chunk_embedding_size must be above 0. Received: {self.chunk_embedding_size}.",
        )


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Optimisation of one task; every task gets the same number of steps and a fresh optimizer state.

    Example:
      >>> from clrnn_tf import TrainConfig
      >>> TrainConfig(steps=500, learning_rate=5e-3, clip_norm=1.0).batch_size
      64
    """

    section = "train"
    steps: PositiveInt = 5000
    """Optimizer steps per task."""
    batch_size: PositiveInt = 64
    """Sequences per step."""
    learning_rate: Positive = 1e-3
    """Adam's step size; with a schedule, the highest one."""
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate falls to 0 over the steps of a task."""
    warmup_steps: NonNegativeInt = 0
    """Steps over which the learning rate first rises from 0."""
    adam_beta1: Fraction = 0.9
    """Decay of Adam's first moment."""
    clip_norm: Positive | None = None
    """Largest global norm of the gradients; `None` does not clip."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay (AdamW): variables shrink by learning_rate * weight_decay each step."""
    l2: NonNegative = 0.0
    """Coupled weight decay as published: l2 * variable is added to the gradient before Adam's moments."""
    orthogonal_strength: NonNegative = 0.0
    """Strength of sum ||U U^T - I||^2 over the hidden-to-hidden matrices of the current task's weights."""
    validate_every: PositiveInt = 250
    """Steps between validations, where there is validation data."""
    keep_best: bool = False
    """Whether a task ends with the weights of its best validation accuracy instead of the last ones."""
    early_stopping: PositiveInt | None = None
    """Validations without improvement after which a task ends early; `None` never does."""
    length_blocks: int | None = None
    """Blocks of sequences of similar length into which a batch is divided for the main network, so that short ones
    are not computed up to the longest. `None` takes 4 where lengths differ and 2 elsewhere; 1 where XLA does not
    compile."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the main network while training; `bfloat16` is for GPUs. The hypernetwork, penalties, losses,
    the optimizer and evaluation stay in float32."""
    input_dropout: Fraction = 0.0
    """Share of steps whose features are 0 while training, and of steps whose letters are."""
    output_dropout: Fraction = 0.0
    """Rate of dropout before the heads, while training."""
    log_every: PositiveInt = 50
    """Steps per compiled call, and between log entries."""
    eval_batch_size: PositiveInt = 256
    """Sequences per evaluation batch."""
    jit: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the main network; `auto` does on CPU and does not on GPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.length_blocks is None or (self.length_blocks > 0 and self.batch_size % self.length_blocks == 0),
            f"train.length_blocks must divide train.batch_size ({self.batch_size}), or be None. "
            f"Received: {self.length_blocks}.",
        )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides the result of a run, except the data.

    Example:
      >>> from clrnn_tf import Experiment, NetworkConfig, TrainConfig
      >>> Experiment(method="hnet", network=NetworkConfig(hidden_sizes=(32,)), train=TrainConfig(steps=500)).seed
      0
    """

    benchmark: str = ""
    """Name of the module in `data_pipelines`; empty for a stream of another kind."""
    method: str
    """Name of the module in `clrnn_tf.methods`."""
    seed: int = 0
    """Seed of weights, batches and every other draw."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    hypernetwork: HypernetworkConfig = field(default_factory=HypernetworkConfig)
    """For methods that have a hypernetwork."""
    train: TrainConfig = field(default_factory=TrainConfig)
    method_options: object = None
    """The method's frozen dataclass, its module's `Config`; None stands for `Config()`."""
    data: object = None
    """The benchmark's frozen dataclass, its module's `Config`."""

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self)).items():
            require_type(getattr(self, name), hint, name)
        require(0 <= self.seed <= _LARGEST_SEED, f"seed must be in [0, {_LARGEST_SEED}]. Received: {self.seed}.")

    def to_dict(self) -> dict[str, object]:
        """The settings as plain nested dictionaries (tuples as lists), ready for YAML or JSON.

        The method's options go by the method's name, as on the command line: `{"hnet": {"strength": 0.01}}`.
        """
        return {_key(self, name): _plain(value) for name, value in dataclasses.asdict(self).items()}


def updated(settings: T, values: Mapping[str, object], where: str = "") -> T:
    """A copy of a settings dataclass with values from plain nested dictionaries, as read from YAML.

    Args:
      settings: Gives the values that are not named, and the types.
      values: By field name; nested dataclasses take dictionaries, tuples take lists. The options of an experiment's
        method go by the method's name.
      where: Name of `settings` for error messages.

    Raises:
      ConfigurationError: A name is unknown (the nearest known ones are named), or a value has a wrong type.
    """
    fields = {_key(settings, item.name): item.name for item in dataclasses.fields(settings)}
    hints = typing.get_type_hints(type(settings))
    changes: dict[str, Any] = {}
    for key, value in values.items():
        label = f"{where}.{key}" if where else str(key)
        require(key in fields, f"unknown setting '{label}'.{nearest(str(key), fields)}")
        name = fields[key]
        present = getattr(settings, name)
        if dataclasses.is_dataclass(present) and not isinstance(present, type):
            if not isinstance(value, Mapping):
                raise ConfigurationError(f"{label} must hold settings by name. Received: {value!r}.")
            changes[name] = updated(present, value, label)
        else:
            changes[name] = converted(value, hints[name], label)
    return dataclasses.replace(settings, **changes)


def with_present_names(values: Mapping[str, object], method: str) -> dict[str, object]:
    """Settings by their present names; earlier versions wrote `method_options` for the options of the method."""
    return {method if name == "method_options" else name: value for name, value in values.items()}


def _key(settings: object, name: str) -> str:
    """Name of a field in files and on the command line."""
    return settings.method if isinstance(settings, Experiment) and name == "method_options" else name


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value  # NumPy's numbers
