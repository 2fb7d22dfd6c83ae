"""A method in one file: weights are pulled towards those that the last task ended with.

    loss = task loss + strength * ||theta - theta*||^2,     theta* = weights after the last task

Saved as `clrnn_tf/methods/my_method.py` it is a value of `--method`, and its options are flags
(`--my-method.strength`). Here it is put together by hand, in the steps that `build_trainer` takes.

    python -m examples.my_method
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import tensorflow as tf

from clrnn_tf import HypernetworkConfig, Method, RecurrentNetwork, Task, TaskModel, Trainer, Weights, learn
from clrnn_tf.methods.base import MethodSetup
from examples.numpy_benchmark import NETWORK, TRAIN, make_stream


@dataclass(frozen=True)
class Config:
    """Options of the method."""

    strength: float = 0.01
    """Strength of the pull towards the weights after the last task."""


class MyMethod(Method[Config]):
    """See the module's docstring."""

    loss_names = ("distance",)

    def __init__(self, setup: MethodSetup[Config]) -> None:
        super().__init__(setup)
        self.anchors = [tf.Variable(variable, trainable=False) for variable in self.variables_to_train()]
        self.strength = tf.Variable(0.0, trainable=False)  # 0 while the first task is learned

    def state_variables(self) -> list[tf.Variable]:
        """What a checkpoint must hold besides the weights."""
        return [*self.anchors, self.strength]

    def weights_and_penalties(self, task_id: tf.Tensor, step: tf.Tensor) -> tuple[Weights, dict[str, tf.Tensor]]:
        """The shared weights, and their squared distance from the anchors."""
        weights, _ = super().weights_and_penalties(task_id, step)
        pairs = zip(self.variables_to_train(), self.anchors, strict=True)
        distance = tf.add_n([tf.reduce_sum(tf.square(variable - anchor)) for variable, anchor in pairs])
        return weights, {"distance": self.strength * distance}

    def after_task(self, task: Task, model: TaskModel) -> None:
        """Hold on to the weights that the task ended with."""
        self.strength.assign(self.options.strength)
        for variable, anchor in zip(self.variables_to_train(), self.anchors, strict=True):
            anchor.assign(variable)


METHOD = MyMethod


def main() -> None:
    """Learn two tasks without a pull and with two, and print accuracies in percent."""
    stream = make_stream()
    config = dataclasses.replace(NETWORK, heads="multi")  # shared layers, and a head for each task
    for strength in (0.0, 0.3, 1.0):  # the stronger the pull, the less is forgotten, and learned
        network = RecurrentNetwork(config, stream.num_features, stream.num_outputs, len(stream))
        method = METHOD(MethodSetup(network, HypernetworkConfig(), stream, seed=0, options=Config(strength)))
        trainer = Trainer(TaskModel(network, method.source, stream.outputs), method, TRAIN, seed=0)
        matrix = learn(stream, trainer)
        print(f"strength {strength}: during {matrix.during().round(1)}, final {matrix.final().round(1)}")


if __name__ == "__main__":
    main()
