"""Probes: requests with the answers that a model gave when it was written, and must give wherever it is loaded."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from export.parts import MOST_EXAMPLES, Parts

Arrays = dict[str, np.ndarray]
Functions = Mapping[str, tf.types.experimental.PolymorphicFunction]
_NOBODY = "no-such-task"
_SENTENCES = ("Das ist 1 Haus .", "the naïve 東京 ?", "Москва , 2024 !", "un grand arbre")


class Probe(NamedTuple):
    """A request and its answer, arrays by name."""

    inputs: Arrays
    outputs: Arrays


class MixedBatch(NamedTuple):
    """Test examples whose rows may be of different tasks."""

    inputs: np.ndarray
    """[B, T, F]."""
    lengths: np.ndarray
    """[B] int32."""
    task_ids: np.ndarray
    """[B] int32."""


def mixed_batch(parts: Parts, task_ids: Sequence[int]) -> MixedBatch:
    """The first test examples of some tasks in turn, at most 32 altogether: of the first 32 tasks."""
    examples = [parts.examples(task_id) for task_id in task_ids[:MOST_EXAMPLES]]
    of_each = MOST_EXAMPLES // len(examples)
    longest = max(of.inputs.shape[1] for of in examples)
    padded = [np.pad(of.inputs[:of_each], [(0, 0), (0, longest - of.inputs.shape[1]), (0, 0)]) for of in examples]
    inputs, lengths = np.concatenate(padded), np.concatenate([of.lengths[:of_each] for of in examples])
    counts = [len(of.lengths[:of_each]) for of in examples]
    ids = np.repeat(np.array(task_ids[:MOST_EXAMPLES], np.int32), counts)
    in_turn = np.argsort(np.concatenate(list(map(np.arange, counts))), kind="stable")
    return MixedBatch(inputs[in_turn], lengths[in_turn], ids[in_turn])


def recorded(functions: Functions, batch: MixedBatch, names: Sequence[str]) -> dict[str, Probe]:
    """What signatures answer to the examples of a batch, or to a few sentences.

    Where requests say their tasks, the task of the last row is unknown.

    Args:
      functions: The signatures; each gets what its arguments are called: `inputs`, `lengths`, `task`, ...
      batch: The examples.
      names: Of the tasks, by task id.
    """
    probes = {}
    for name, function in functions.items():
        wanted = {spec.name: spec for spec in function.input_signature}
        request = {key: _value(spec, batch, names, "words" in wanted) for key, spec in wanted.items()}
        concrete = function.get_concrete_function()  # calls of 20 functions of one name look like retracing
        answer = concrete(*map(tf.constant, request.values()))
        probes[name] = Probe(request, {key: _as_stored(value.numpy()) for key, value in answer.items()})
    return probes


def as_npz(probes: Mapping[str, Probe]) -> bytes:
    """The arrays of `export.reload.PROBES`."""
    arrays = {
        f"{signature}/{kind}/{name}": value
        for signature, probe in probes.items()
        for kind, values in probe._asdict().items()
        for name, value in values.items()
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _value(spec: tf.TensorSpec, batch: MixedBatch, names: Sequence[str], are_words: bool) -> np.ndarray:
    """What a signature's argument is in a probe."""
    rows = [sentence.split() for sentence in _SENTENCES]
    if spec.name == "words":
        longest = max(map(len, rows))
        return _as_stored(np.array([row + [""] * (longest - len(row)) for row in rows], object))
    if spec.name == "inputs":
        inputs = batch.inputs if spec.shape.rank == 3 else batch.inputs[:, 0]
        return inputs if inputs.shape[-1] == spec.shape[-1] else _ramp((*inputs.shape[:-1], spec.shape[-1]))
    if spec.name == "lengths":
        return np.array([len(row) for row in rows], np.int32) if are_words else batch.lengths
    num_rows = len(_SENTENCES) if are_words else len(batch.lengths)
    if spec.name == "state":
        return _ramp((num_rows, spec.shape[1]))
    if spec.name == "task_id":
        return np.append(batch.task_ids[: num_rows - 1], np.int32(len(names)))
    return _as_stored(np.array([*(names[task_id] for task_id in batch.task_ids[: num_rows - 1]), _NOBODY], object))


def _ramp(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that rise from -0.5 to 0.5."""
    return np.linspace(-0.5, 0.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def _as_stored(value: np.ndarray) -> np.ndarray:
    """Strings as bytes of one size, which are read without unpickling."""
    if value.dtype != object:
        return value
    return np.array([text.encode() if isinstance(text, str) else text for text in value.flat], "S").reshape(value.shape)
