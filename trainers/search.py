"""Search settings with Keras Tuner: ``python -m trainers.search --benchmark copy_task --method hnet``.

Each trial is a run of the trainer in a process of its own, scored on validation data. The best settings are written as
a file that ``--config`` takes.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Sequence

from rich.console import Console

from clrnn_tf.config import updated
from clrnn_tf.errors import require
from clrnn_tf.training.stopping import StopRequest
from trainers.failures import guarded
from trainers.flags import flags_of, read, words_of
from trainers.help import print_flags
from trainers.searching.options import SearchOptions
from trainers.searching.plans import begin, new_plan, stored_plan, wait_for_plan
from trainers.signals import stopped_by_signals

PROGRAM = "python -m trainers.search"
_EXAMPLES = (
    ("search the spaces that are shipped", "--benchmark copy_task --method hnet --preset hnet_short --out runs/search"),
    ("continue after an interrupt", "--out runs/search --resume"),
    ("train with what was found", None),
    ("values of your own", "--benchmark copy_task --method si --space si.strength=log:0.01:10 train.batch_size=64,128"),
    ("four trials at the same time", "--benchmark copy_task --method hnet --tuner bayesian --workers 4"),
    ("other settings of the runs", "--benchmark pos-tagging --data-dir DIR --train.steps 500 --protocol first-k"),
)


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command line and return the exit code.

    0 if the search has ended, 1 if no trial was any good, or the chief or all workers are gone, 2 for bad input, 130
    after an interrupt.
    """
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments), program))


def _run(arguments: list[str], program: str) -> int:
    flags = flags_of(SearchOptions)
    values, rest = read(words_of(arguments), flags)
    words = [word.removeprefix(" ") for word in rest]
    options = updated(SearchOptions(), values, "search")
    if options.help:
        _print_help(program)
        return 0
    if options.role == "worker":
        wait_for_plan(options)
    if options.resume or options.role == "worker":
        plan = stored_plan(options, values, words)
    else:
        plan = new_plan(options, words)
    require(
        importlib.util.find_spec("keras_tuner") is not None,
        "a search needs the package keras-tuner: pip install 'clrnn_tf[search]'.",
    )
    if not options.resume and options.role != "worker":
        begin(plan)
    from trainers.searching.running import run_search  # loads Keras Tuner, which the answers above do without

    with stopped_by_signals(StopRequest()):
        return run_search(plan)


def _print_help(program: str) -> None:
    console = Console(highlight=False)
    print(inspect.cleandoc(__doc__ or "").partition("``")[0].rstrip(": ") + ".")
    print("\nWhat to type")
    for what, typed in _EXAMPLES:
        print(f"  # {what}")
        print(f"  {program} {typed}" if typed else "  python -m trainers.copy_task --config runs/search/best.yaml")
    print_flags("Search", flags_of(SearchOptions), SearchOptions(), console)
    print("\nAll other flags are those of the trainer of the benchmark: the settings that are not searched.")


if __name__ == "__main__":
    sys.exit(main())
