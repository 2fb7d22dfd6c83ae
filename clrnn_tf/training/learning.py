"""The loop over a task stream."""

from __future__ import annotations

import contextlib
import time

from clrnn_tf.errors import require
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import TaskResult
from clrnn_tf.streams.tasks import Task, TaskStream
from clrnn_tf.training.checkpoint_files import Checkpoint
from clrnn_tf.training.checkpoints import Checkpoints, restore
from clrnn_tf.training.trainer import Trainer


def learn(
    stream: TaskStream,
    trainer: Trainer,
    *,
    matrix: ResultMatrix | None = None,
    checkpoints: Checkpoints | None = None,
    start: Checkpoint | None = None,
) -> ResultMatrix:
    """Learn the tasks of a stream (or what `Method.tasks` makes of them) one after another; test all after each task.

    Args:
      stream: The tasks.
      trainer: Fits and evaluates; its variables are changed. Its observers get every event.
      matrix: Results of tasks already learned; those after `start` are dropped. Rows are added to it.
      checkpoints: Writes checkpoints; closed at the end.
      start: What to go on from (`Checkpoints.latest`), with a trainer that has learned nothing. None starts anew.

    Returns:
      Test scores of all tasks before training and after each task.

    Example: two tasks of two steps.
      >>> from clrnn_tf import Experiment, HypernetworkConfig, NetworkConfig, TrainConfig, build_trainer, learn
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
      >>> matrix = learn(stream, build_trainer(experiment, stream))
      >>> matrix.scores("accuracy").shape
      (2, 2)
    """
    observers, num_learned = trainer.observers, start.position.learned if start else 0
    tasks = trainer.method.tasks(stream)
    if matrix is None:
        task_names, joint = tuple(task.name for task in stream), any(task.parts for task in tasks)
        matrix = ResultMatrix(task_names, joint=joint, loss_unit=stream.loss_unit)
    names = tuple(task.name for task in stream)
    require(
        matrix.task_names == names,
        f"the results must be of tasks {', '.join(names)}. Received: {', '.join(matrix.task_names)}.",
    )
    require(
        len(matrix.rows) >= num_learned,
        f"matrix must hold the results of the {num_learned} tasks learned. Received: {len(matrix.rows)} rows.",
    )
    del matrix.rows[num_learned:]
    with contextlib.nullcontext() if checkpoints is None else contextlib.closing(checkpoints):
        try:
            if not matrix.initial:
                matrix.initial = [trainer.evaluate(task, task.test) for task in stream]
            if start is not None:
                restore(start, trainer)
            if checkpoints is not None:
                checkpoints.learned = num_learned
                for observer in observers:
                    observer.rewind(start.recorded if start else {})
            for observer in observers:
                observer.run_began(stream, num_learned, matrix)
            for task in tasks[num_learned:]:
                result = _learn_task(stream, trainer, task, checkpoints, start)
                start = None
                matrix.add(result.evaluations)
                for observer in observers:
                    observer.task_learned(result, matrix)
                if checkpoints is not None:
                    checkpoints.task_learned()
        except BaseException as error:
            for observer in observers:
                observer.run_failed(error)
            raise
    for observer in observers:
        observer.run_ended(matrix)
    return matrix


def _learn_task(
    stream: TaskStream, trainer: Trainer, task: Task, checkpoints: Checkpoints | None, start: Checkpoint | None
) -> TaskResult:
    for observer in trainer.observers:
        observer.task_began(task)
    progress = trainer.begin(task)
    if start is not None and start.position.step:
        restore(start, trainer)
        progress.restore(start.position.step, start.arrays, start.facts)
    trainer.train(task, progress, checkpoints)
    trainer.end(task, progress)
    trained = time.perf_counter()
    evaluations = [trainer.evaluate(tested_task, tested_task.test) for tested_task in stream]
    tested = time.perf_counter()
    return TaskResult(
        task,
        evaluations,
        train_seconds=trained - progress.began,
        eval_seconds=tested - trained,
        steps=progress.step,
        kept_bytes=trainer.method.kept_bytes(),
        compile_seconds=trainer.times.compile_seconds,
        compile_share=trainer.times.compile_share,
        task_embeddings=trainer.method.task_embeddings(),
    )
