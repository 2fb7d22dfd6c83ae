"""Where the main network's weights come from: sources that map a task id to a dictionary of weights.

Here are shared variables and a set of weights for each task; a hypernetwork is a third kind
(`clrnn_tf.hypernetworks.hypernetwork`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

import clrnn_tf.backend  # noqa: F401 - refuses other backends
from clrnn_tf.networks.weights import Weights, WeightSpec, bytes_of, initial_value, pack, total_size, unpack
from clrnn_tf.seeds import InitialKey


class WeightSource(keras.layers.Layer):
    """Maps a task id to the weights of the main network for that task.

    A subclass implements `call`. Its variables are what a trainer trains.

    Args:
      specs: Tensors of the main network (`RecurrentNetwork.weight_specs`).

    Example:
      A source that halves the shared weights of every task but the first:

      >>> import tensorflow as tf
      >>> from clrnn_tf import SharedWeights, WeightSource, WeightSpec
      >>> class Halved(WeightSource):
      ...     def __init__(self, specs):
      ...         super().__init__(specs)
      ...         self.shared = SharedWeights(specs)
      ...
      ...     def call(self, task_id):
      ...         factor = tf.where(task_id == 0, 1.0, 0.5)
      ...         return {name: factor * tensor for name, tensor in self.shared(task_id).items()}
      >>> source = Halved([WeightSpec("head/bias", (1, 4), "bias", fan_in=3, bound=0.5, per_head=True)])
      >>> first, second = (source(tf.constant(task_id))["head/bias"] for task_id in (0, 1))
      >>> bool(tf.reduce_all(second == first / 2))
      True
    """

    depends_on_task = True
    """Whether tasks have different weights, heads not counted."""
    num_tasks: int | None = None
    """K, the tasks that have weights; None where any task has."""

    def __init__(self, specs: Sequence[WeightSpec], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.specs = tuple(WeightSpec(*spec) for spec in specs)

    def call(self, task_id: tf.Tensor) -> Weights:
        """The weights for `task_id` (scalar int32), a dictionary by the names of `specs`."""
        raise NotImplementedError(f"{type(self).__name__} must say how it makes the weights of a task.")

    @property
    def num_bytes(self) -> int:
        """Memory of the variables."""
        return bytes_of(sum(int(np.prod(variable.shape)) for variable in self.variables))

    def all_variables(self) -> list[tf.Variable]:
        """TensorFlow's variables of the source, trained or not, in a fixed order."""
        return [variable.value for variable in self.variables]

    def copy_from(self, other: WeightSource) -> None:
        """Take over the variables of a source of the same structure; both give the same weights afterwards."""
        for variable, other_variable in zip(self.variables, other.variables, strict=True):
            variable.assign(other_variable.value)


class SharedWeights(WeightSource):
    """One variable per tensor, the same for every task.

    Args:
      specs: Tensors of the main network.
      seed: Seed of the initial values.
      orthogonal: Whether hidden-to-hidden matrices start orthogonal (each gate's block for an LSTM).

    Example:
      >>> import tensorflow as tf
      >>> from clrnn_tf import NetworkConfig, RecurrentNetwork, SharedWeights
      >>> network = RecurrentNetwork(NetworkConfig(hidden_sizes=(5,)), num_features=3, num_outputs=2, num_tasks=4)
      >>> weights = SharedWeights(network.weight_specs, seed=1)(tf.constant(0))
      >>> weights["head/kernel"].shape  # tasks, units, outputs
      TensorShape([4, 5, 2])
    """

    depends_on_task = False

    def __init__(self, specs: Sequence[WeightSpec], seed: int = 0, orthogonal: bool = False, **kwargs: object) -> None:
        super().__init__(specs, **kwargs)
        self.tensors = [
            self.add_weight(
                name=spec.name.replace("/", "_"),
                shape=spec.shape,
                initializer=_constant(initial_value(spec, seed, index, orthogonal)),
            )
            for index, spec in enumerate(self.specs)
        ]

    def call(self, task_id: tf.Tensor) -> Weights:
        """The shared variables, whatever the task."""
        del task_id
        return {spec.name: tf.convert_to_tensor(v.value) for spec, v in zip(self.specs, self.tensors, strict=True)}


class SeparateWeights(WeightSource):
    """A set of weights for every task. The weights of the one task in training are separate variables.

    Args:
      specs: Tensors of the main network.
      num_tasks: K.
      seed: Seed of the initial values, which differ by task.
      orthogonal: See `SharedWeights`.
    """

    def __init__(
        self, specs: Sequence[WeightSpec], num_tasks: int, seed: int = 0, orthogonal: bool = False, **kwargs: object
    ) -> None:
        super().__init__(specs, **kwargs)
        self.num_tasks, self.num_weights = num_tasks, total_size(self.specs)
        initial = np.stack(
            [
                np.concatenate(
                    [
                        initial_value(spec, seed, index + InitialKey.WEIGHTS_OF_NEXT_TASK * task_id, orthogonal).ravel()
                        for index, spec in enumerate(self.specs)
                    ]
                )
                for task_id in range(num_tasks)
            ]
        )
        self.stored = self.add_weight(
            name="stored", shape=initial.shape, initializer=_constant(initial), trainable=False
        )
        self.in_training = self.add_weight(
            name="in_training", shape=(), dtype="int32", initializer=_constant(np.array(-1, np.int32)), trainable=False
        )
        self._initial = initial
        self.tensors = [
            self.add_weight(name=spec.name.replace("/", "_"), shape=spec.shape, initializer="zeros")
            for spec in self.specs
        ]

    def of_fewer_heads(self, stored: np.ndarray) -> np.ndarray:
        """Stored weights of k < K tasks, [k, W'], where W' counts k heads if W counts K; initial values for others.

        Returns:
          [k, W].
        """
        num_old = len(stored)
        old_specs = [
            spec._replace(shape=(num_old, *spec.shape[1:])) if spec.per_head and spec.shape[0] > 1 else spec
            for spec in self.specs
        ]
        if total_size(old_specs) != stored.shape[1]:
            return stored  # of another network
        rows = []
        for old, initial in zip(stored, self._initial, strict=False):
            pieces = np.split(old, np.cumsum([spec.size for spec in old_specs])[:-1])
            wholes = np.split(initial, np.cumsum([spec.size for spec in self.specs])[:-1])
            pairs = zip(pieces, wholes, strict=True)
            rows.append(np.concatenate([np.append(piece, whole[piece.size :]) for piece, whole in pairs]))
        return np.stack(rows)

    def begin(self, task_id: int) -> None:
        """Put a task into training, from its initial weights."""
        for tensor, value in zip(self.tensors, unpack(self._initial[task_id], self.specs).values(), strict=True):
            tensor.assign(value)
        self.in_training.assign(task_id)

    def end(self) -> None:
        """Store the weights of the task in training. No task is in training afterwards."""
        self.stored.value[int(self.in_training.value)].assign(pack(self.working(), self.specs))
        self.in_training.assign(-1)

    def working(self) -> Weights:
        """The weights in training."""
        return {spec.name: tf.convert_to_tensor(v.value) for spec, v in zip(self.specs, self.tensors, strict=True)}

    def call(self, task_id: tf.Tensor) -> Weights:
        """The task's weights: those in training, those stored after training, or the initial ones."""
        stored = tf.gather(tf.convert_to_tensor(self.stored.value), task_id)
        working = pack(self.working(), self.specs)
        return unpack(tf.where(task_id == self.in_training.value, working, stored), self.specs)


def _constant(value: np.ndarray) -> Callable[..., tf.Tensor]:
    """A Keras initializer."""
    return lambda shape, dtype=None: tf.reshape(tf.constant(value, dtype), shape)
