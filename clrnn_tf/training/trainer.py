"""Training of one task after another: one compiled step for all tasks."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence

import tensorflow as tf

from clrnn_tf.config import TrainConfig
from clrnn_tf.errors import require
from clrnn_tf.execution.compilation import uses_xla
from clrnn_tf.execution.distribution import SingleWorker
from clrnn_tf.methods.base import Method
from clrnn_tf.model import TaskModel
from clrnn_tf.optimizers import make_optimizer
from clrnn_tf.recording.events import Observer, TrainingLog
from clrnn_tf.streams.splits import batches_of_any_length
from clrnn_tf.streams.tasks import Task
from clrnn_tf.training.evaluation import Evaluator
from clrnn_tf.training.step import StepLog, TrainingStep
from clrnn_tf.training.validation import Validation


class TrainingDivergedError(RuntimeError):
    """The loss or its gradient is not finite. Variables are those of the last good step.

    Example:
      >>> from clrnn_tf import TrainingDivergedError
      >>> issubclass(TrainingDivergedError, RuntimeError)
      True
    """


class Trainer:
    """Fits a method to one task after another.

    The step runs in one graph: `tf.data` batch, weights from the source, main network (compiled by XLA, once for
    each time bucket), penalties, gradients, clipping, Adam. `log_every` steps run per call, so Python is entered
    only to log.

    Args:
      model: The network and the source of its weights.
      method: Its source must be the model's.
      config: Optimisation settings.
      seed: Seed of batches.
      observers: They get logs and validations.
      workers: The processes that share the batches; one by default.

    Example: two steps of the first task, and a test of the second.
      >>> from clrnn_tf import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig, build_trainer
      >>> from clrnn_tf.methods import fine_tuning
      >>> from data_pipelines import copy_task
      >>> data = copy_task.Config(num_tasks=2, num_train=40, num_test=10, num_validation=10)
      >>> experiment = Experiment(
      ...     benchmark="copy_task",
      ...     method="fine_tuning",
      ...     seed=0,
      ...     network=NetworkConfig(hidden_sizes=(8,)),
      ...     hypernetwork=HypernetworkConfig(),
      ...     train=TrainConfig(steps=2, jit="off"),
      ...     method_options=fine_tuning.Config(),
      ...     data=data,
      ... )
      >>> stream = copy_task.make_stream(data)
      >>> trainer = build_trainer(experiment, stream)
      >>> trainer.fit(stream[0])
      2
      >>> sorted(trainer.evaluate(stream[1], stream[1].test).metrics)
      ['accuracy', 'loss']
    """

    def __init__(
        self,
        model: TaskModel,
        method: Method,
        config: TrainConfig,
        seed: int,
        observers: Sequence[Observer] = (),
        workers: SingleWorker | None = None,
    ) -> None:
        self.workers = workers or SingleWorker()
        require(
            config.batch_size % self.workers.count == 0,
            f"train.batch_size must be a multiple of the {self.workers.count} workers. Received: {config.batch_size}.",
        )
        self.model, self.method, self.config, self.seed = model, method, config, seed
        self.observers = list(observers)
        embedding = [] if model.embedding is None else list(model.embedding.trainable_variables)
        self.variables = [*method.variables_to_train(), *embedding]
        self.optimizer = make_optimizer(self.variables, config)
        self.step = TrainingStep(model, method, self.optimizer, config, self.workers)
        in_halves = method.setup.num_blocks > 1
        self.evaluate = Evaluator(model, config.eval_batch_size, uses_xla(config), in_halves)
        self.times = self.evaluate.times

    def fit(self, task: Task) -> int:
        """Train on one task with a fresh optimizer state and return the number of steps taken.

        A task that mixes K others takes K times the steps, and is validated on each of them. The mean of their scores
        decides which step is best.

        Raises:
          TrainingDivergedError: A loss or gradient was not finite; the step was not taken.
        """
        self.optimizer.reset()
        self.model.begin_task(task.task_id)
        self.method.before_task(task)
        batches = iter(batches_of_any_length(task.train.batches(self.config.batch_size, self.seed, task.task_id)))
        validation = self.validation(task.parts or [task])
        step, num_steps = 0, self.config.steps * _num_mixed(task)
        while step < num_steps and not validation.should_stop:
            count = min(self._steps_to_next_pause(step, validation.has_data), num_steps - step)
            self._call(task, batches, step, count)
            step += count
            if validation.has_data and (step % self.config.validate_every == 0 or step == num_steps):
                validation.run(step)
        validation.restore_best()
        self.method.after_task(task, self.model)
        self.model.end_task()
        return step

    def validation(self, tasks: Sequence[Task]) -> Validation:
        """Validations on `tasks`. The values of the best step include the state of the method at that step."""
        variables = [*self.variables, *self.method.state_variables()]
        return Validation(tasks, self.evaluate, variables, self.config, self.observers)

    def _steps_to_next_pause(self, step: int, validates: bool) -> int:
        pauses = [self.config.log_every - step % self.config.log_every]
        if validates:
            pauses.append(self.config.validate_every - step % self.config.validate_every)
        return min(pauses)

    def _call(self, task: Task, batches: tf.data.Iterator, step: int, count: int) -> None:
        began = time.perf_counter()
        means, done = self.train_steps(
            batches, tf.constant(task.task_id), tf.constant(step), tf.constant(count), _num_mixed(task)
        )
        if int(done) < count:
            raise TrainingDivergedError(
                f"the loss of task {task.name} is not finite at step {step + int(done)}; the variables of the step "
                "before are kept. Use a lower train.learning_rate or set train.clip_norm."
            )
        seconds = time.perf_counter() - began
        self.times.add(("steps", task.task_id), seconds, count)
        log = TrainingLog(
            task=task,
            step=step + count,
            num_steps=self.config.steps * _num_mixed(task),
            losses={name: float(value) for name, value in means.losses.items()},
            accuracy=float(means.accuracy) if self.model.outputs.has_accuracy else math.nan,
            gradient_norm=float(means.gradient_norm),
            seconds_per_step=seconds / count,
        )
        for observer in self.observers:
            observer.trained(log)

    @tf.function
    def train_steps(
        self,
        batches: tf.data.Iterator,
        task_id: tf.Tensor,
        first_step: tf.Tensor,
        num_steps: tf.Tensor,
        num_mixed: int = 1,
    ) -> tuple[StepLog, tf.Tensor]:
        """Take `num_steps` steps, or stop before one that is not finite.

        Args:
          batches: Training batches.
          task_id: Scalar.
          first_step: Number of the first step within the task; scalar.
          num_steps: Scalar.
          num_mixed: Tasks that the batches mix; see `TrainingStep`.

        Returns:
          Means of the logs of the steps, and the number of steps done.
        """
        take_step = functools.partial(self.step, num_mixed=num_mixed)
        losses = {name: tf.constant(0.0) for name in self.step.loss_names}
        accuracy, norm, done = tf.constant(0.0), tf.constant(0.0), tf.constant(0)
        finite = tf.constant(True)
        while tf.logical_and(finite, done < num_steps):
            batch = self.workers.share(next(batches))
            log, finite = self.workers.run(take_step, batch, task_id, first_step + done)
            if finite:
                losses = {name: loss + log.losses[name] for name, loss in losses.items()}
                accuracy += log.accuracy
                norm += log.gradient_norm
                done += 1
        count = tf.maximum(tf.cast(done, tf.float32), 1.0)
        means = StepLog({name: value / count for name, value in losses.items()}, accuracy / count, norm / count)
        return means, done


def _num_mixed(task: Task) -> int:
    """Tasks that are mixed in a task's batches."""
    return max(1, len(task.parts))
