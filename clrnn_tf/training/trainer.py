"""Training of one task after another: one compiled step for all tasks."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
from clrnn_tf.training.task_progress import TaskProgress
from clrnn_tf.training.validation import Validation

if TYPE_CHECKING:
    from clrnn_tf.training.checkpoints import Checkpoints

_SECONDS_OF_CALL = 2.0  # longest time, about, that a signal waits for the steps in progress


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
        self._seconds_per_step = math.inf  # of the latest call; one that compiled is followed by a single step
        in_halves = method.setup.num_blocks > 1
        self.evaluate = Evaluator(model, config.eval_batch_size, uses_xla(config), in_halves)
        self.times = self.evaluate.times

    def variables_of_one_task(self) -> list[tf.Variable]:
        """Of the variables to train, those that hold nothing but the task in training."""
        embedding = self.model.embedding
        return [
            *self.method.variables_of_one_task(),
            *([] if embedding is None else embedding.variables_of_one_task()),
        ]

    def fit(self, task: Task) -> int:
        """Train on one task with a fresh optimizer state and return the number of steps taken.

        A task that mixes K others takes K times the steps, and is validated on each of them. The mean of their scores
        decides which step is best.

        Raises:
          TrainingDivergedError: A loss or gradient was not finite; the step was not taken.
        """
        progress = self.begin(task)
        self.train(task, progress)
        self.end(task, progress)
        return progress.step

    def begin(self, task: Task) -> TaskProgress:
        """Prepare the training of a task; no step is done."""
        progress = TaskProgress(self.step.loss_names, self.validation(task.parts or [task]))
        self.optimizer.reset()
        self.model.begin_task(task.task_id)
        self.method.before_task(task)
        return progress

    def train(self, task: Task, progress: TaskProgress, checkpoints: Checkpoints | None = None) -> None:
        """Take the steps of a task that are left to do, and write checkpoints meanwhile.

        Raises:
          TrainingDivergedError: A loss or gradient was not finite; the step was not taken.
          KeyboardInterrupt: Somebody has asked to stop (`Checkpoints.stop`).
        """
        validation, num_steps = progress.validation, self.num_steps(task)
        dataset = task.train.batches(self.config.batch_size, self.seed, task.task_id, progress.step)
        batches = iter(batches_of_any_length(dataset))
        stop = contextlib.nullcontext() if checkpoints is None else checkpoints.stop.between_steps()
        with stop:
            while progress.step < num_steps and not validation.should_stop:
                self._call(task, batches, progress, self._steps_to_call(task, progress, checkpoints))
                step = progress.step
                validates = validation.has_data and (step % self.config.validate_every == 0 or step == num_steps)
                if validates or step % self.config.log_every == 0 or step == num_steps:
                    self._log(task, progress)
                if validates:
                    validation.run(step)
                if checkpoints is not None:
                    checkpoints.steps_done(progress)

    def end(self, task: Task, progress: TaskProgress) -> None:
        """Take over the best weights, where they were kept, and let the method remember the task."""
        progress.validation.restore_best()
        self.method.after_task(task, self.model)
        self.model.end_task()

    def validation(self, tasks: Sequence[Task]) -> Validation:
        """Validations on `tasks`. The values of the best step include the state of the method at that step."""
        variables = [*self.variables, *self.method.state_variables()]
        return Validation(tasks, self.evaluate, variables, self.config, self.observers)

    def num_steps(self, task: Task) -> int:
        """Steps that a task takes, unless it stops early."""
        return self.config.steps * _num_mixed(task)

    def _steps_to_call(self, task: Task, progress: TaskProgress, checkpoints: Checkpoints | None) -> int:
        """Steps to the next log entry, or fewer where a checkpoint is due before or they would take long.

        Sums go on from call to call, so that numbers do not depend on where the calls end.
        """
        step = progress.step
        pauses: list[float] = [self.num_steps(task) - step, self.config.log_every - step % self.config.log_every]
        if progress.validation.has_data:
            pauses.append(self.config.validate_every - step % self.config.validate_every)
        if checkpoints is not None and self.workers.count == 1:  # several workers must make the same calls
            pauses += [checkpoints.steps_to_next(step), max(1, int(_SECONDS_OF_CALL / self._seconds_per_step))]
        return int(min(pauses))

    def _call(self, task: Task, batches: tf.data.Iterator, progress: TaskProgress, count: int) -> None:
        began = time.perf_counter()
        sums, done = self.train_steps(
            batches,
            tf.constant(task.task_id),
            tf.constant(progress.step),
            tf.constant(count),
            progress.sums,
            _num_mixed(task),
        )
        if int(done) < count:
            raise TrainingDivergedError(
                f"the loss of task {task.name} is not finite at step {progress.step + int(done)}; the variables of the "
                "step before are kept. Use a lower train.learning_rate or set train.clip_norm."
            )
        seconds = time.perf_counter() - began
        self.times.add(("steps", task.task_id), seconds, count)
        self._seconds_per_step = seconds / count
        progress.add(sums, count, seconds)

    def _log(self, task: Task, progress: TaskProgress) -> None:
        seconds_per_step = progress.seconds_of_sums / progress.summed_steps
        means = progress.take_means()
        accuracy, gradient_norm = means.pop("accuracy"), means.pop("gradient_norm")
        log = TrainingLog(
            task=task,
            step=progress.step,
            num_steps=self.num_steps(task),
            losses=means,
            accuracy=accuracy if self.model.outputs.has_accuracy else math.nan,
            gradient_norm=gradient_norm,
            seconds_per_step=seconds_per_step,
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
        sums: StepLog,
        num_mixed: int = 1,
    ) -> tuple[StepLog, tf.Tensor]:
        """Take `num_steps` steps, or stop before one that is not finite.

        Args:
          batches: Training batches.
          task_id: Scalar.
          first_step: Number of the first step within the task; scalar.
          num_steps: Scalar.
          sums: What the logs of the steps are added to; `zero_sums` of no step.
          num_mixed: Tasks that the batches mix; see `TrainingStep`.

        Returns:
          The sums, and the number of steps done.
        """
        take_step = tf.autograph.experimental.do_not_convert(functools.partial(self.step, num_mixed=num_mixed))
        losses, accuracy, norm = sums
        done = tf.constant(0)
        finite = tf.constant(True)
        while tf.logical_and(finite, done < num_steps):
            batch = self.workers.share(next(batches))
            log, finite = self.workers.run(take_step, batch, task_id, first_step + done)
            if finite:
                losses = {name: loss + log.losses[name] for name, loss in losses.items()}
                accuracy += log.accuracy
                norm += log.gradient_norm
                done += 1
        return StepLog(losses, accuracy, norm), done


def _num_mixed(task: Task) -> int:
    """Tasks that are mixed in a task's batches."""
    return max(1, len(task.parts))
