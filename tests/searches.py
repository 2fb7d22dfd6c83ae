"""Searches whose runs are not trained: a run's scores are a function of its settings."""

import json
from pathlib import Path

import yaml

from clrnn_tf.config import updated
from clrnn_tf.metrics import Evaluation, ResultMatrix
from clrnn_tf.recording.results import scores_of
from clrnn_tf.recording.run_directory import as_json
from trainers.flags import flags_of, read, words_of
from trainers.searching.options import SearchOptions
from trainers.searching.plans import begin, new_plan
from trainers.searching.processes import Ended
from trainers.searching.trial_run import HOPELESS, Wanted
from trainers.searching.trials import TrialRunner

SPACES = ("hnet.strength=log:0.01:100", "train.learning_rate=log:1e-4:1e-2")
SMALL = ("--preset", "hnet_short", "--data.num-tasks", "2")


def search_plan(out, *words, **options):
    """A search of HNET on the Copy Task, begun in a directory."""
    fixed = {"benchmark": "copy_task", "space": list(SPACES), "max_trials": 6, **options, "out": out}
    plan = new_plan(updated(SearchOptions(), fixed), [*SMALL, *words])
    begin(plan)
    return plan


def accuracy(settings):
    """More is better up to a strength of 1, a learning rate of 0.01 is best, more steps are better."""
    strength, rate = settings["hnet"]["strength"], settings["train"]["learning_rate"]
    return 60.0 + 10.0 * min(strength, 1.0) + 1000.0 * rate + settings["train"]["steps"] / 1500


class FakeRuns:
    """Stands for the processes of runs.

    Args:
      kill_in: Number of the run in which the search is killed, counted from 1.
      scores: Accuracies after each of two tasks, of the settings of a run.
    """

    def __init__(self, kill_in=None, scores=None):
        self.kill_in, self.settings, self.commands = kill_in, [], []
        self._scores = scores or (lambda settings: [[accuracy(settings), 50.0], [accuracy(settings)] * 2])

    def __call__(self, command, log, look):
        look()
        self.commands.append(command)
        if len(self.commands) == self.kill_in:
            raise KeyboardInterrupt
        values, _ = read(words_of(command[5:]), [*flags_of(Wanted), *_RUN_FLAGS])
        out = Path(str(values.pop("out")))
        settings = yaml.safe_load((out.parent / "settings.yaml").read_text())
        self.settings.append(settings)
        scores = self._scores(settings)
        if isinstance(scores, str):
            return Ended(1, f"error: {scores}")
        matrix = ResultMatrix(("a", "b"), initial=[Evaluation(2.0, 50.0)] * 2)
        bounds = []
        for row in scores:
            matrix.add([Evaluation(100.0 - score, score) for score in row])
            bounds.append((sum(row[: len(matrix.rows)]) + 100.0 * (2 - len(matrix.rows))) / 2)
            if values.get("at_least", 0.0) > bounds[-1] and not matrix.finished:
                break
        out.mkdir()
        (out / "results.json").write_text(as_json(scores_of(matrix)))
        return Ended(0 if matrix.finished else HOPELESS, "")


def _flags_of_runs():
    from trainers.settings import RunOptions

    return [flag for flag in flags_of(RunOptions) if flag.path[-1] in ("out", "config", "seed", "data_dir", "resume")]


_RUN_FLAGS = _flags_of_runs()


def run_search(plan, runs):
    """Run a search alone with fake runs, as the command does; its oracle."""
    from trainers.searching.journal import Journal
    from trainers.searching.oracles import Supervision, make_oracle
    from trainers.searching.tuner import SearchTuner
    from trainers.searching.values import starts_with_preset

    supervision = Supervision(Journal(plan.out / "events.jsonl"), starts_with_preset(plan))
    oracle = make_oracle(plan, supervision)
    SearchTuner(plan, oracle, TrialRunner(plan, lambda trial: None, runs), lambda line: None).search()
    return oracle


def values_by_trial(oracle):
    """Values of each trial, and its score."""
    return {
        name: (dict(trial.hyperparameters.values), trial.status, trial.score) for name, trial in oracle.trials.items()
    }


def events(plan):
    """The lines of the journal."""
    return [json.loads(line) for line in (plan.out / "events.jsonl").read_text().splitlines()]
