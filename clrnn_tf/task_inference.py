"""Infers which task a sequence comes from: the one whose network has the lowest predictive entropy (HNET+ENT).

Where the task is not given, the network of every task answers, and the answer of lowest entropy is taken:

    H_k(x) = sum_t w_t h_kt(x) / sum_t w_t,     k* = argmin_k H_k(x)

with the entropy h_kt of the outputs of task k's network at step t (`OutputKind.entropy`) and the weights w
of scored steps; of equal tasks the first is taken. Entropies are comparable because all heads have the same outputs.
Source: von Oswald et al., "Continual learning with hypernetworks" (ICLR 2020). It works for every method whose
networks differ by task, and inferring the task of a batch costs as much as running it through all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clrnn_tf.errors import require
from clrnn_tf.execution.batch_blocks import valid_targets
from clrnn_tf.model import TaskModel
from clrnn_tf.networks.weights import Weights
from clrnn_tf.streams.splits import batches_of_any_length
from clrnn_tf.streams.tasks import TaskStream


class Inferred(NamedTuple):
    """What is answered without knowing the task; K tasks, B batch, T time, C outputs."""

    task_ids: tf.Tensor
    """[B] int32."""
    logits: tf.Tensor
    """[B, T, C] of each sequence's inferred task."""
    entropies: tf.Tensor
    """[K, B], mean over the scored steps; nats."""


@dataclass(frozen=True)
class InferenceScores:
    """How well the tasks of test sequences were inferred."""

    task_names: tuple[str, ...]
    counts: np.ndarray
    """[K, K] sequences by (true task, inferred task); those without a scored step are not counted."""
    joint: np.ndarray
    """[K] percent of all scored steps (or output bits) answered right with the inferred task, found or not."""

    @property
    def found(self) -> np.ndarray:
        """[K] percent of each task's sequences whose task was inferred."""
        return 100.0 * np.diagonal(self.counts) / self.counts.sum(axis=1)

    def to_dict(self) -> dict[str, object]:
        """Plain values for `results.json`; means are over tasks."""
        return {
            "mean_inference_accuracy": float(self.found.mean()),
            "mean_joint_accuracy": float(self.joint.mean()),
            "inference_accuracy": self.found.tolist(),
            "joint_accuracy": self.joint.tolist(),
            "inferred_counts": self.counts.tolist(),
        }


class TaskInference(tf.Module):
    """Infers tasks with the present weights of a model.

    Args:
      model: The network and the source of its weights; all its heads have C outputs.
      num_tasks: K, the tasks to choose from: 0 to K - 1.
      jit: Whether XLA compiles the main network.

    Raises:
      ConfigurationError: There is nothing to choose from, the model knows fewer tasks, or outputs have no entropy.

    Example: a network with a head for each of two tasks.
      >>> import tensorflow as tf
      >>> from clrnn_tf import NetworkConfig, RecurrentNetwork, SharedWeights, TaskInference, TaskModel
      >>> network = RecurrentNetwork(NetworkConfig(hidden_sizes=(8,)), num_features=3, num_outputs=5, num_tasks=2)
      >>> model = TaskModel(network, SharedWeights(network.weight_specs), "softmax")
      >>> inferred = TaskInference(model, num_tasks=2)(tf.ones([4, 7, 3]), tf.constant([7, 5, 2, 7]))
      >>> inferred.task_ids.shape, inferred.entropies.shape
      (TensorShape([4]), TensorShape([2, 4]))
    """

    def __init__(self, model: TaskModel, num_tasks: int, jit: bool = False) -> None:
        super().__init__()
        require(num_tasks > 1, f"task inference needs at least 2 tasks to choose from. Received: {num_tasks}.")
        most = model.num_tasks
        require(
            most is None or num_tasks <= most,
            f"task inference must choose from at most {most} tasks, which the model knows. Received: {num_tasks}.",
        )
        model.outputs.require_probabilities("task inference")
        require(
            model.depends_on_task,
            "task inference needs networks that differ by task. Received: one network for all tasks. Use "
            "network.heads = multi, or a method that conditions the network on the task (hnet, context_mod, ...).",
        )
        self.model = model
        self.num_tasks = num_tasks
        self._run = tf.function(self._run_task, jit_compile=jit, autograph=False)

    @tf.function(reduce_retracing=True, autograph=False)
    def __call__(self, inputs: tf.Tensor, lengths: tf.Tensor, step_weights: tf.Tensor | None = None) -> Inferred:
        """Infer the task of each sequence of a batch, and answer with its network.

        Args:
          inputs: [B, T, F], or [B, T, G] n-grams; the tasks in it may differ.
          lengths: [B] int32.
          step_weights: [B, T], how much the entropy of each step counts. Without it all real steps count equally.
        """
        if step_weights is None:
            step_weights = tf.sequence_mask(lengths, tf.shape(inputs)[1], tf.float32)
        return self._infer(self.all_weights(), inputs, lengths, step_weights)

    def all_weights(self) -> Weights:
        """The weights of every task by name, [K, ...], made in one batched call."""
        return tf.vectorized_map(self.model.source, tf.range(self.num_tasks))

    def evaluate(self, stream: TaskStream, batch_size: int) -> InferenceScores:
        """Infer the task of every test sequence of the first `num_tasks` tasks of a stream."""
        counts, joint, tasks = [], [], stream[: self.num_tasks]
        for task in tasks:
            batches = batches_of_any_length(task.test.in_order(batch_size, task.task_id))
            inferred, statistics = self._evaluate(iter(batches))
            counts.append(np.rint(inferred.numpy()).astype(np.int64))
            metrics = self.model.outputs.metrics({name: total.numpy() for name, total in statistics.items()})
            joint.append(metrics["accuracy"])
        return InferenceScores(tuple(task.name for task in tasks), np.stack(counts), np.array(joint))

    def _infer(self, weights: Weights, inputs: tf.Tensor, lengths: tf.Tensor, step_weights: tf.Tensor) -> Inferred:
        """A loop over tasks that keeps the answers of lowest entropy only: memory does not grow with the tasks."""
        shape = tf.concat([tf.shape(inputs)[:2], [self.model.network.num_outputs]], axis=0)
        batch = tf.shape(lengths)[0]

        def answer_as(
            task_id: tf.Tensor, lowest: tf.Tensor, ids: tf.Tensor, logits: tf.Tensor, entropies: tf.TensorArray
        ) -> tuple:
            of_task = {name: weight[task_id] for name, weight in weights.items()}
            embedded = self.model.embed(inputs, lengths, task_id)
            answer, entropy = self._run(of_task, embedded, lengths, task_id, step_weights)
            is_lower = entropy < lowest  # [B]
            logits = tf.where(is_lower[:, tf.newaxis, tf.newaxis], answer, logits)
            ids = tf.where(is_lower, task_id, ids)
            return task_id + 1, tf.minimum(entropy, lowest), ids, logits, entropies.write(task_id, entropy)

        start = (
            tf.constant(0),
            tf.fill([batch], np.float32(np.inf)),
            tf.zeros([batch], tf.int32),
            tf.zeros(shape),
            tf.TensorArray(tf.float32, self.num_tasks, element_shape=[None]),
        )
        free = (
            tf.TensorShape([]),
            tf.TensorShape([None]),
            tf.TensorShape([None]),
            tf.TensorShape([None] * 3),
            tf.TensorShape(None),
        )
        _, _, ids, logits, entropies = tf.while_loop(
            lambda task_id, *_: task_id < self.num_tasks, answer_as, start, shape_invariants=free
        )
        logits.set_shape([None, None, self.model.network.num_outputs])
        return Inferred(ids, logits, entropies.stack())

    def _run_task(
        self, weights: Weights, embedded: tf.Tensor, lengths: tf.Tensor, task_id: tf.Tensor, step_weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits [B, T, C] of one task's network and mean entropies [B]."""
        logits = self.model.network(weights, embedded, lengths, task_id).logits
        total = tf.reduce_sum(self.model.outputs.entropy(logits) * step_weights, axis=1)
        return logits, tf.math.divide_no_nan(total, tf.reduce_sum(step_weights, axis=1))

    @tf.function
    def _evaluate(self, batches: tf.data.Iterator) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Sequences [K] by inferred task, and the statistics of their answers."""
        weights, outputs = self.all_weights(), self.model.outputs
        counts, statistics = tf.zeros([self.num_tasks]), outputs.no_statistics(self.model.network.num_outputs)
        for batch in batches:
            inferred = self._infer(weights, batch.inputs, batch.lengths, batch.eval_weights)
            counted = tf.cast(tf.reduce_any(batch.eval_weights > 0, axis=1), tf.float32)  # [B]
            counts += tf.linalg.matvec(tf.one_hot(inferred.task_ids, self.num_tasks), counted, transpose_a=True)
            of_batch = outputs.statistics(inferred.logits, valid_targets(batch), batch.eval_weights)
            statistics = {name: total + of_batch[name] for name, total in statistics.items()}
        return counts, statistics
