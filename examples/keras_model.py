"""The hypernetwork as a Keras layer inside a model of your own, trained by `fit()`.

The model generates the weights of its recurrent network from a task embedding, and adds the output regulariser to
Keras' losses, so that the first task survives the second.

    python -m examples.keras_model
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from clrnn_tf import Hypernetwork, HypernetworkConfig, NetworkConfig, OutputRegularizer, RecurrentNetwork
from clrnn_tf.hypernetworks.output_regularizer import RegularizerConfig

NUM_FEATURES, NUM_CLASSES, NUM_TASKS, TIME = 4, 4, 2, 6


class TaskConditionedTagger(keras.Model):
    """Logits [B, T, C] for inputs [B, T, F], by the network of the present task.

    Args:
      strength: Strength of the output regulariser.
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        config = NetworkConfig(cell="lstm", hidden_sizes=(16,), heads="single")
        self.network = RecurrentNetwork(config, NUM_FEATURES, NUM_CLASSES, NUM_TASKS)
        self.hypernetwork = Hypernetwork(self.network.weight_specs, HypernetworkConfig(chunk_size=200), NUM_TASKS)
        self.regularizer = OutputRegularizer(self.hypernetwork, RegularizerConfig(strength))
        self.task_id = tf.Variable(0, trainable=False)

    def begin(self, task_id: int) -> None:
        """Switch to a task; what is generated for the tasks before it becomes the regulariser's target."""
        self.task_id.assign(task_id)
        self.regularizer.remember(task_id)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Generate the weights and run the network."""
        if training:
            self.add_loss(self.regularizer(self.task_id, key=tf.constant([0, 0])))
        lengths = tf.fill([tf.shape(inputs)[0]], tf.shape(inputs)[1])
        return self.network(self.hypernetwork(self.task_id), inputs, lengths, self.task_id).logits


def sequences(task_id: int, num_examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Random symbols, and at every step the first symbol's name in this task."""
    symbols = np.random.default_rng(task_id).integers(0, NUM_FEATURES, (num_examples, TIME))
    names = np.roll(np.arange(NUM_CLASSES), task_id)
    return np.eye(NUM_FEATURES, dtype=np.float32)[symbols], np.repeat(names[symbols[:, :1]], TIME, axis=1)


def main() -> None:
    """Train on two tasks in turn, with the regulariser and without, and test the first one again."""
    for strength in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        model = TaskConditionedTagger(strength)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=loss, metrics=["accuracy"])
        for task_id in range(NUM_TASKS):
            model.begin(task_id)
            model.fit(*sequences(task_id, 1000), batch_size=32, epochs=4, verbose=0)
        model.task_id.assign(0)
        accuracy = model.evaluate(*sequences(0, 1000), verbose=0, return_dict=True)["accuracy"]
        print(f"strength {strength}: {100 * accuracy:.1f} % on the first task after the second")


if __name__ == "__main__":
    main()
