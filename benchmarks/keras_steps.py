"""Fine-tuning with Keras' own layers, as anybody would write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from clrnn_tf.streams.tasks import Batch
from clrnn_tf.training.trainer import Trainer


class KerasStep:
    """One training step of `keras.layers.LSTM` or `SimpleRNN` with a dense layer of task heads.

    Args:
      trainer: Ours, whose present weights are taken over.
      task_id: The task that is trained.
      jit: Whether XLA compiles the step.
    """

    def __init__(self, trainer: Trainer, task_id: int, jit: bool) -> None:
        self._network, config = trainer.model.network, trainer.config
        self._outputs, self._task_id = trainer.model.outputs, task_id
        self.layers = self._make_layers()
        self._optimizer = keras.optimizers.Adam(
            config.learning_rate,
            config.adam_beta1,
            epsilon=1e-8,
            global_clipnorm=config.clip_norm,
            weight_decay=config.l2 or None,
        )
        self._take_over(trainer)
        self.variables = [variable for layer in self.layers for variable in layer.trainable_variables]
        self._optimizer.build(self.variables)
        self._step = tf.function(self._one_step, jit_compile=jit)

    def __call__(self, batch: Batch) -> float:
        """Take one step and return the loss before it."""
        return float(self._step(batch.inputs, batch.targets, batch.loss_weights, batch.lengths))

    def _make_layers(self) -> list[keras.layers.Layer]:
        config, network = self._network.config, self._network
        units = config.hidden_sizes[0]
        layer = keras.layers.LSTM if config.cell == "lstm" else keras.layers.SimpleRNN
        recurrent = layer(units, return_sequences=True)
        if config.direction == "bidirectional":
            recurrent = keras.layers.Bidirectional(recurrent)
        layers = [recurrent]
        if config.cell == "elman":
            layers.append(keras.layers.Dense(units, activation="tanh"))
        return [*layers, keras.layers.Dense(network.num_heads * network.num_outputs)]

    def _take_over(self, trainer: Trainer) -> None:
        width = self._network.num_features
        for layer in self.layers:
            layer.build((None, None, width))
            width = layer.compute_output_shape((None, None, width))[-1]
        values = [variable.numpy() for variable in trainer.model.source.tensors]
        variables = [variable for layer in self.layers for variable in layer.trainable_variables]
        for variable, value in zip(variables, values, strict=True):
            # Heads [K, F, C] and [K, C] stand side by side in Keras' dense layer.
            side_by_side = np.moveaxis(value, 0, -2) if value.shape != variable.shape else value
            variable.assign(side_by_side.reshape(variable.shape))

    def _one_step(
        self, inputs: tf.Tensor, targets: tf.Tensor, loss_weights: tf.Tensor, lengths: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = self._logits(inputs, lengths)
            loss = tf.reduce_mean(self._outputs.sequence_losses(logits, targets, loss_weights))
        self._optimizer.apply_gradients(zip(tape.gradient(loss, self.variables), self.variables, strict=True))
        return loss

    def _logits(self, inputs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        recurrent, *others = self.layers
        masked = self._network.config.direction == "bidirectional"
        x = recurrent(inputs, mask=tf.sequence_mask(lengths, tf.shape(inputs)[1]) if masked else None)
        for layer in others:
            x = layer(x)
        start = self._task_id * self._network.num_outputs if self._network.num_heads > 1 else 0
        return x[..., start : start + self._network.num_outputs]


def runner(step: KerasStep, batches: Sequence[Batch]) -> Callable[[int], None]:
    """So many steps over batches in a cycle, which are already there."""
    ready = [Batch(*map(tf.constant, batch)) for batch in batches]

    def run(steps: int) -> None:
        for number in range(steps):
            step(ready[number % len(ready)])

    return run
