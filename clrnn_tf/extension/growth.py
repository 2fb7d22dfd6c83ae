"""A checkpoint of K tasks as the beginning of a trainer of K + 1 tasks.

What tasks have of their own (embeddings, heads, masks, tables of letters, networks from scratch) lies in rows, one for
each task, or as many for each: a variable of K tasks is the first rows of that of K + 1. The rows of the new task have
their initial values, which are functions of (seed, task). So a run that is extended is the run that has had the new
task from the beginning, up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.training.checkpoint_files import Arrays, Checkpoint
from clrnn_tf.training.checkpoints import variables_of
from clrnn_tf.training.trainer import Trainer

_GROWN = "grown"


class Grown(NamedTuple):
    """The values that a larger trainer begins with."""

    arrays: Arrays
    old_rows: tuple[int | None, ...]
    """Of each trained variable the rows of old tasks; None where it has no rows for tasks."""

    @property
    def facts(self) -> dict[str, object]:
        """For the checkpoint that holds the arrays."""
        return {_GROWN: list(self.old_rows)}


def grown(checkpoint: Checkpoint, trainer: Trainer) -> Grown:
    """The values of a checkpoint, with initial values for the new task.

    Args:
      checkpoint: Of a run after its last task.
      trainer: Of these tasks and one more. It has learned nothing.

    Raises:
      ConfigurationError: The model has other shapes: something else differs than the number of tasks.
    """
    arrays: dict[str, list[np.ndarray]] = {}
    for group, variables in variables_of(trainer, within_task=False):
        values = trainer.method.values_of_more_tasks(group, checkpoint.arrays.get(group, []))
        require(len(values) == len(variables), _other_model(checkpoint, f"{len(values)} arrays of group {group}"))
        arrays[group] = [
            _with_new_rows(value, variable, checkpoint) for value, variable in zip(values, variables, strict=True)
        ]
    pairs = zip(checkpoint.arrays.get("trained", []), arrays["trained"], strict=True)
    return Grown(arrays, tuple(len(old) if old.shape != new.shape else None for old, new in pairs))


def held_of(checkpoint: Checkpoint, trainer: Trainer) -> list[tf.Tensor]:
    """What old tasks use of each trained variable, as masks for `TrainingStep.held`.

    Args:
      checkpoint: One that has `Grown.facts`.
      trainer: The trainer of the larger model.

    Raises:
      ConfigurationError: Nothing is left that only the new task uses.
    """
    own = {variable.ref() for variable in trainer.variables_of_one_task()}
    masks = []
    for variable, rows in zip(trainer.variables, _old_rows(checkpoint), strict=True):
        size = 0 if variable.ref() in own else variable.shape[0] if rows is None else rows
        is_old = np.arange(variable.shape[0]) < size
        masks.append(tf.constant(is_old.reshape([-1] + [1] * (variable.shape.rank - 1))))
    require(
        not all(bool(tf.reduce_all(mask)) for mask in masks),
        "--keep-exact leaves nothing to train: all variables are shared by the old tasks. Leave it out, or begin with "
        "network.heads multi, which gives every task a head of its own.",
    )
    return masks


def _old_rows(checkpoint: Checkpoint) -> Sequence[int | None]:
    facts: Mapping[str, object] = checkpoint.facts
    rows = facts.get(_GROWN)
    if not isinstance(rows, list):
        raise ConfigurationError(f"{checkpoint.path} is not what an extended run begins with. Extend the run anew.")
    return rows


def _with_new_rows(value: np.ndarray, variable: tf.Variable, checkpoint: Checkpoint) -> np.ndarray:
    """A stored array, and the last rows of the variable's initial value where it has more."""
    shape = tuple(variable.shape)
    if value.shape == shape:
        return value
    fits = value.ndim == len(shape) > 0 and value.shape[1:] == shape[1:] and len(value) < shape[0]
    require(fits, _other_model(checkpoint, f"shape {list(value.shape)} for {list(shape)}"))
    return np.concatenate([value, variable.numpy()[len(value) :]]).astype(value.dtype)


def _other_model(checkpoint: Checkpoint, found: str) -> str:
    return (
        f"{checkpoint.path} holds another model than these settings make for its tasks and one more. "
        f"Received: {found}. Change nothing but the tasks and how the new one is trained."
    )
