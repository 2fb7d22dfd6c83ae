"""The loop over a task stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.recording.events import Observer, TaskResult
from clrnn_tf.streams.tasks import Task, TaskStream
from clrnn_tf.training.trainer import Trainer

SaveTask = Callable[[int], None]


def learn(
    stream: TaskStream,
    trainer: Trainer,
    *,
    matrix: ResultMatrix | None = None,
    save_task: SaveTask | None = None,
) -> ResultMatrix:
    """Learn the tasks of a stream (or what `Method.tasks` makes of them) one after another; test all after each task.

    Args:
      stream: The tasks.
      trainer: Fits and evaluates; its variables are changed. Its observers get every event.
      matrix: Results of tasks already learned (the trainer's variables are then those after the last of them);
        training goes on with the next. None starts anew.
      save_task: Called with the id of each learned task (0 where tasks are mixed) before its results are announced, to
        write a checkpoint.

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
    observers = trainer.observers
    tasks = trainer.method.tasks(stream)
    if matrix is None:
        matrix = ResultMatrix(tuple(task.name for task in stream), joint=any(task.parts for task in tasks))
    try:
        if not matrix.initial:
            matrix.initial = [trainer.evaluate(task, task.test) for task in stream]
        for observer in observers:
            observer.run_began(stream, len(matrix.rows), matrix)
        for task in tasks[len(matrix.rows) :]:
            result = _learn_task(stream, trainer, task, observers)
            matrix.add(result.evaluations)
            if save_task is not None:
                save_task(task.task_id)
            for observer in observers:
                observer.task_learned(result, matrix)
    except BaseException as error:
        for observer in observers:
            observer.run_failed(error)
        raise
    for observer in observers:
        observer.run_ended(matrix)
    return matrix


def _learn_task(stream: TaskStream, trainer: Trainer, task: Task, observers: Sequence[Observer]) -> TaskResult:
    for observer in observers:
        observer.task_began(task)
    began = time.perf_counter()
    steps = trainer.fit(task)
    trained = time.perf_counter()
    evaluations = [trainer.evaluate(tested_task, tested_task.test) for tested_task in stream]
    tested = time.perf_counter()
    return TaskResult(
        task,
        evaluations,
        train_seconds=trained - began,
        eval_seconds=tested - trained,
        steps=steps,
        kept_bytes=trainer.method.kept_bytes(),
        compile_seconds=trainer.times.compile_seconds,
        compile_share=trainer.times.compile_share,
    )
