"""A run that was trained, from its directory: its model, its data, its results, and what it says about sentences.

The library does not know benchmarks and exports, which know the library. So `data_pipelines.NAME` and `export` are
imported here when a run is loaded, by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from clrnn_tf import methods
from clrnn_tf.config import Experiment, updated, with_present_names
from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.experiment import build_trainer
from clrnn_tf.extension.beginning import Trained, beginning_of, hold_old_tasks, read_first
from clrnn_tf.extension.certifier import Certifier
from clrnn_tf.extension.settings import MAX_DROP, Extension, extended_provenance, extended_settings, with_names
from clrnn_tf.metrics import ResultMatrix
from clrnn_tf.model import TaskModel
from clrnn_tf.recording.files import FileRecorder
from clrnn_tf.recording.identity import identity_of
from clrnn_tf.recording.report import write_report
from clrnn_tf.recording.run_directory import RunDirectory, provenance_of
from clrnn_tf.recording.run_lock import RunLock
from clrnn_tf.streams.tasks import TaskStream
from clrnn_tf.training.checkpoints import Checkpoints, restore
from clrnn_tf.training.learning import learn
from clrnn_tf.yaml_files import read_settings


class Run:
    """A trained run. `load_run` makes it.

    Args:
      path: The run directory.
      settings: What the run was trained with.
      stream: Its tasks.
      model: The model after the last task that was learned.
      matrix: The results so far.
      data_dir: Where its data are; None where they are embedded or generated.

    Example:
      >>> import contextlib, io, tempfile
      >>> from clrnn_tf import load_run
      >>> from trainers.copy_task import BENCHMARK
      >>> from trainers.run import main
      >>> sizes = "--data.num-tasks 2 --data.num-train 40 --data.num-test 9 --data.num-validation 9 --train.steps 2"
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     with contextlib.redirect_stdout(io.StringIO()):
      ...         code = main(BENCHMARK, f"--preset hnet_short --train.jit off --out {folder}/run {sizes}".split())
      ...     run = load_run(f"{folder}/run")
      >>> run.learned, run.settings.method
      (('task0', 'task1'), 'hnet')
    """

    def __init__(
        self,
        path: Path,
        settings: Experiment,
        stream: TaskStream,
        model: TaskModel,
        matrix: ResultMatrix,
        data_dir: Path | None = None,
    ) -> None:
        self.path, self.settings, self.stream, self.model, self.matrix = path, settings, stream, model, matrix
        self.data_dir = data_dir
        """Where its data are."""
        self.results = RunDirectory(path).read_results()
        """What `results.json` holds."""
        self._taggers: dict[str, Callable] = {}

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of the tasks that are learned: all of them where the run has ended."""
        return self.matrix.task_names[: self.matrix.num_learned]

    def tag(self, sentences: Sequence[Sequence[str]], language: str) -> list[list[str]]:
        """Tags of the words of sentences.

        Args:
          sentences: Words, by sentence.
          language: Name of the task that tags them.

        Raises:
          ConfigurationError: The language is not learned, or the inputs of the run are no words.
        """
        require(
            language in self.learned,
            f"'{language}' is not learned in {self.path}. Known: {', '.join(self.learned)}.",
        )
        require(
            self.stream.word_encoder is not None and bool(self.stream.class_names),
            f"tagging needs a run whose inputs are words. Received: {self.path}, of benchmark {self.stream.name}.",
        )
        require(
            not any(isinstance(sentence, str) for sentence in sentences),
            "sentences must be lists of words. Received: text; split it: [text.split()].",
        )
        if language not in self._taggers:
            frozen = _module("export.saved_model").FrozenTask(self.model, self.stream, self._task_id(language))
            self._taggers[language] = _module("export.tagger").Tagger(frozen.tag)
        return [answer.tags for answer in self._taggers[language](sentences)]

    def export(self, directory: Path | str) -> list[Path]:
        """Write the SavedModel of each task that is learned to `directory/NAME/1`, and one for all of them.

        That one is in `directory/all-tasks/1`, see `export.all_tasks`.

        Returns:
          The paths, the one for all tasks last.
        """
        export, final, number = _module("export"), self.matrix.final(), len(self.learned)
        exported, parts = (self.model, self.stream), _module("export.parts").Parts(self.model, self.stream)
        paths = [
            export.export_task(*exported, task_id, Path(directory), float(final[task_id]), parts)
            for task_id in range(number)
        ]
        return [*paths, export.export_all_tasks(*exported, Path(directory), final, number, parts=parts)]

    def extend(
        self,
        out: Path | str,
        changes: Mapping[str, Any],
        *,
        keep_exact: bool = False,
        max_drop: float = MAX_DROP,
    ) -> Run:
        """Learn one more task, which becomes a run of its own with the results so far, exports and a certificate.

        `python -m trainers.NAME --resume --out OUT` continues one that was interrupted. `docs/serving.md` says more.

        Args:
          out: Directory of the new run; nothing may be there.
          changes: Settings by section and name, as in a YAML file: which task, and how it is trained, as in
            `{"data": {"languages": ["+sv"]}, "train": {"steps": 500}}`.
          keep_exact: Whether only what the new task has of its own is trained. Old tasks stay bit for bit as they are.
          max_drop: How many points of accuracy an old task may lose.

        Raises:
          ConfigurationError: The method cannot learn one more task, or the settings are those of another model.
          RegressionError: An old task has lost more. Nothing is exported; the run and its certificate are there.
        """
        out, benchmark = Path(out), self.settings.benchmark
        extension = Extension(self.path, keep_exact, max_drop)
        experiment = extended_settings(self.settings, self.matrix.task_names, changes)
        RunDirectory.require_writable(out)
        stream = _module(f"data_pipelines.{benchmark}").make_stream(experiment.data, self.data_dir)
        trainer = build_trainer(experiment, stream)
        before, identity = RunDirectory(self.path), identity_of(experiment, stream)
        beginning = beginning_of(Trained(before, self.stream, self.matrix), stream, trainer)
        provenance = extended_provenance(provenance_of(read_settings(before.config)), extension, stream)
        with RunLock(out):
            run = RunDirectory.create(out, experiment, provenance)
            beginning.write(run, identity)
            trainer.observers += [
                FileRecorder(run, experiment, {**trainer.method.facts(), **trainer.model.facts()}),
                Certifier(run, trainer, stream, extension),
                _module("export.saved_model").Exporter(trainer.model, run.export),
            ]
            start = read_first(run, len(self.stream))
            hold_old_tasks(trainer, start, extension)
            checkpoints = Checkpoints(run.checkpoints, trainer, identity=identity)
            matrix = learn(stream, trainer, matrix=run.load(), checkpoints=checkpoints, start=start)
            write_report(out)
        return Run(out, experiment, stream, trainer.model, matrix, self.data_dir)

    def _task_id(self, name: str) -> int:
        return self.matrix.task_names.index(name)


def load_run(path: Path | str, data_dir: Path | str | None = None) -> Run:
    """Load a run with the model as it was after the last task that was learned.

    The data are read again, as the model needs to know their shapes and words. The commands `clrnn tag` and
    `tf.saved_model.load` need none.

    Args:
      path: The run directory, written by `clrnn` or `python -m trainers.*`.
      data_dir: Where the data are; by default, where they were when the run began.

    Raises:
      ConfigurationError: There is no run, it has learned no task yet, or its data have moved or changed.

    `Run` has an example. Of a tagger, `load_run("runs/pos").tag([["Das", "ist", "gut", "."]], "de")` gives the tags.
    """
    run = RunDirectory(Path(path))
    require(run.config.is_file(), f"no run in {path}: it has no config.yaml.")
    stored = read_settings(run.config)
    settings, pipeline = _settings(stored, run.config)
    matrix = run.load()
    if matrix is None or not matrix.rows:
        raise ConfigurationError(f"the run in {path} has learned no task yet. Continue it with --resume.")
    found = _data_dir(stored, data_dir, run.path)
    stream = pipeline.make_stream(with_names(settings.data, matrix.task_names), found)
    run.require_same_data(stream)
    trainer = build_trainer(settings, stream)
    checkpoint = Checkpoints(run.checkpoints, trainer).latest_learned(len(matrix.rows))
    restore(checkpoint, trainer)
    del matrix.rows[checkpoint.position.learned :]
    return Run(run.path, settings, stream, trainer.model, matrix, found)


def _settings(stored: dict[str, object], file: Path) -> tuple[Experiment, ModuleType]:
    """The experiment of stored settings, and the module of its benchmark."""
    benchmark, method = stored.get("benchmark"), stored.get("method")
    if not (isinstance(benchmark, str) and benchmark.isidentifier() and isinstance(method, str)):
        raise ConfigurationError(f"{file} must name a benchmark and a method. Received: {benchmark!r} and {method!r}.")
    name = f"data_pipelines.{benchmark}"
    try:
        pipeline = _module(name)
    except ModuleNotFoundError as error:
        require(error.name not in (name, "data_pipelines"), f"{file}: there is no module {name} to read its data.")
        raise
    start = Experiment(
        benchmark=benchmark, method=method, method_options=methods.load(method).Config(), data=pipeline.Config()
    )
    values = with_present_names(stored, method)
    values.pop("provenance", None)
    return updated(start, values), pipeline


def _data_dir(stored: dict[str, object], data_dir: Path | str | None, path: Path) -> Path | None:
    if data_dir is not None:
        require(Path(data_dir).is_dir(), f"no such directory: data_dir {data_dir}.")
        return Path(data_dir)
    began_with = provenance_of(stored).get("data_dir")
    if began_with is None:
        return None
    require(
        Path(str(began_with)).is_dir(),
        f"the data of the run in {path} were in {began_with}, which is not there. Say where they are: "
        "load_run(path, data_dir=...), or --data-dir with --resume.",
    )
    return Path(str(began_with))


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)
