"""Stored traces of every method: 50 steps on a tiny stream, for `tests/test_traces.py`.

python -m tests.traces              # compares with the stored traces to the last digit
python -m tests.traces --renew      # writes them anew, for a commit that says that it changes numbers
"""

import json
import math
import sys
from pathlib import Path

from clrnn_tf.experiment import build_trainer
from clrnn_tf.recording.events import Observer
from clrnn_tf.training.learning import learn
from tests import tiny
from tests.test_method_contract import CASES

DIRECTORY = Path(__file__).parent / "traces"
STEPS = 25  # of each of two tasks
LSTM = {"network": {"cell": "lstm", "hidden_sizes": (5, 4), "direction": "bidirectional", "dense_after": (6,)}}
MORE = {
    "hnet, lstm": ("hnet", {"strength": 1.0, **LSTM}, {}),
    "hnet, single head": ("hnet", {"strength": 1.0, "network": {"heads": "single"}}, {"outputs": "sigmoid"}),
    "hnet, all options": (
        "hnet",
        {
            "strength": 1.0,
            "hypernetwork": {"dropout": 0.1, "chunk_embeddings": "per_task", "initializer": "hyperfan_in"},
            "train": {
                "orthogonal_strength": 0.1,
                "clip_norm": 1.0,
                "learning_rate_schedule": "cosine",
                "warmup_steps": 5,
                "weight_decay": 0.01,
            },
        },
        {},
    ),
    "online_ewc, lstm": ("online_ewc", {"strength": 100.0, **LSTM}, {}),
    "fine_tuning, linear outputs": ("fine_tuning", {}, {"outputs": "linear"}),
    "fine_tuning, n-grams": ("fine_tuning", {"train": {"keep_best": True}}, {"ngrams": True}),
}
ALL = {**{name: (*case, {}) for name, case in CASES.items()}, **MORE}


class Logs(Observer):
    """Keeps what is logged at every step."""

    def __init__(self):
        self.entries = []

    def trained(self, log):
        self.entries.append({**log.losses, "gradient_norm": log.gradient_norm, "accuracy": log.accuracy})


def trace_of(name):
    """What is logged at each step, and the test scores after each task; lists by name."""
    method, options, of_stream = ALL[name]
    options = dict(options)
    train = {"steps": STEPS, "log_every": 1, "validate_every": 10, **options.pop("train", {})}
    stream = tiny.stream(2, of_stream.get("outputs", "softmax"), of_stream.get("ngrams", False))
    logs = Logs()
    trainer = build_trainer(tiny.experiment(method, train=train, **options), stream, [logs])
    matrix = learn(stream, trainer)
    trace = {key: [entry[key] for entry in logs.entries] for key in logs.entries[0]}
    for metric in ("accuracy", "loss"):
        trace[f"test_{metric}"] = matrix.scores(metric).ravel().tolist()
    return {key: [None if math.isnan(value) else value for value in values] for key, values in trace.items()}


def path_of(name):
    """The file of a stored trace."""
    return DIRECTORY / f"{name.replace(', ', '-').replace(' ', '_')}.json"


def main(arguments):
    """Compare or renew, all or those named; 1 where a digit differs."""
    different, renew = 0, "--renew" in arguments
    for name in [word for word in arguments if word != "--renew"] or ALL:
        trace = trace_of(name)
        if renew:
            DIRECTORY.mkdir(exist_ok=True)
            lines = [f"{json.dumps(key)}: {json.dumps(values)}" for key, values in trace.items()]
            path_of(name).write_text("{" + ",\n ".join(lines) + "}\n", encoding="utf-8")
        stored = json.loads(path_of(name).read_text(encoding="utf-8"))
        gap = largest_gap(trace, stored)
        different += trace != stored
        print(f"{name}: largest relative difference {gap:.1e}", flush=True)
    return 1 if different else 0


def largest_gap(trace, stored):
    """Largest difference of two traces, relative to the largest value of its series."""
    gaps = [0.0]
    for key, values in trace.items():
        scale = max((abs(value) for value in stored[key] if value is not None), default=0.0) or 1.0
        gaps += [abs(a - b) / scale for a, b in zip(values, stored[key], strict=True) if None not in (a, b)]
    return max(gaps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
