"""Ask a model server: ``python -m export.client --model NAME --task de "Das ist gut ."``.

The server has a model of all tasks (`export.all_tasks`). Sentences are arguments or lines of standard input, and blanks
separate their words. Without `--task` the task of each sentence is inferred and written before it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from clrnn_tf.errors import require
from export.command_line import Parser, exit_code
from export.transports import ServingError, Transport, connect

PROGRAM = "python -m export.client"
_AT_A_TIME = 128


class Answer(NamedTuple):
    """What the model says of one sequence; T steps, C outputs."""

    outputs: dict[str, np.ndarray]
    """By name, [T, ...]: `logits`, `classes`, `tags`, ..., without padding; none where there is an error."""
    task: str
    """As which it was answered: as asked for, or inferred."""
    task_probability: float | None
    """Of the inferred task; None where the task was given."""
    error: str
    """What is wrong with the sequence; "" for nothing."""


class Client:
    """Asks the model of all tasks on a server.

    Sequences of any lengths go in, and answers of their lengths come out.

    Args:
      transport: How the server is asked; `connect` makes it from an address.
      model: Under which name it is served.
    """

    def __init__(self, transport: Transport, model: str) -> None:
        self._transport, self._model = transport, model

    @classmethod
    def at(cls, url: str, model: str) -> Client:
        """A client of the server at `http://HOST:8501` (REST) or `grpc://HOST:8500`."""
        return cls(connect(url), model)

    def tag(self, sentences: Sequence[Sequence[str]], task: str | Sequence[str] | None = None) -> list[Answer]:
        """Tags of sentences; `outputs["tags"]` of each answer.

        Args:
          sentences: Words, by sentence.
          task: Of all sentences, or one for each; None to infer it.

        Raises:
          ServingError: The server gives no answer.
        """
        require(
            not any(isinstance(sentence, str) for sentence in sentences),
            "sentences must be lists of words. Received: text; split it: [text.split()].",
        )
        words = [np.array([normalize("NFC", word) for word in sentence], object) for sentence in sentences]
        return self._ask("tag", "words", words, task, "")

    def answer(self, sequences: Sequence[np.ndarray], task: str | Sequence[str] | None = None) -> list[Answer]:
        """Answers to numeric sequences [T, F], each of its own T; arguments and errors as in `tag`."""
        return self._ask("serving_default", "inputs", list(map(np.asarray, sequences)), task, 0)

    def _ask(
        self, signature: str, name: str, sequences: list[np.ndarray], task: str | Sequence[str] | None, blank: object
    ) -> list[Answer]:
        tasks = [task] * len(sequences) if task is None or isinstance(task, str) else list(task)
        require(len(tasks) == len(sequences), f"task must name one of each sequence. Received: {len(tasks)}.")
        if task is None:
            signature = {"tag": "tag_unknown_task", "serving_default": "unknown_task"}[signature]
        answers: list[Answer] = []
        for first in range(0, len(sequences), _AT_A_TIME):
            part = slice(first, first + _AT_A_TIME)
            inputs = {name: padded(sequences[part], blank), "lengths": _lengths(sequences[part])}
            if task is not None:
                inputs["task"] = np.array(tasks[part], object)
            outputs = self._transport.predict(self._model, signature, inputs)
            answers += _answers(outputs, inputs["lengths"], tasks[part])
        return answers


def padded(sequences: Sequence[np.ndarray], blank: object) -> np.ndarray:
    """Sequences [T, ...] as one array [B, longest T, ...] of at least one step, filled up with `blank`."""
    longest = max(1, *map(len, sequences))
    batch = np.full([len(sequences), longest, *sequences[0].shape[1:]], blank, sequences[0].dtype)
    for row, sequence in zip(batch, sequences, strict=True):
        row[: len(sequence)] = sequence
    return batch


def _lengths(sequences: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([len(sequence) for sequence in sequences], np.int32)


def _answers(outputs: Mapping[str, np.ndarray], lengths: np.ndarray, tasks: Sequence[str | None]) -> list[Answer]:
    """One answer for each row, without padding."""
    of_rows = ("error", "task", "task_id", "task_probability")
    answers = []
    for row, (length, task) in enumerate(zip(lengths, tasks, strict=True)):
        error = str(outputs["error"][row])
        values = {name: value[row][:length] for name, value in outputs.items() if name not in of_rows and not error}
        probability = None if task is not None or error else float(outputs["task_probability"][row])
        answers.append(Answer(values, task if task is not None else str(outputs["task"][row]), probability, error))
    return answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 if the server or a sentence has an error, 2 for bad input."""
    return exit_code(lambda: _asked(sys.argv[1:] if arguments is None else arguments))


def parser() -> Parser:
    """The flags of the command."""
    parsed = Parser(PROGRAM, (__doc__ or "").partition("\n\n")[2])
    add = parsed.add_argument
    add("sentences", metavar="SENTENCE", nargs="*", help="words separated by blanks; else lines of standard input")
    add("--url", default="http://localhost:8501", help="http://HOST:PORT (REST) or grpc://HOST:PORT; %(default)s")
    add("--model", default="pos_tagging", help="name under which it is served; %(default)s")
    add("--task", help="whose answers are wanted; without it, inferred")
    return parsed


def _asked(arguments: Sequence[str]) -> int:
    try:
        return _run(arguments)
    except ServingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: Sequence[str]) -> int:
    options = parser().parse_intermixed_args(arguments)
    sentences = [line.split() for line in options.sentences or sys.stdin]
    client, code = Client.at(options.url, options.model), 0
    for sentence, answer in zip(sentences, client.tag(sentences, options.task), strict=True):
        if answer.error:
            print(f"error: {answer.error}", file=sys.stderr)
            code = 1
            continue
        line = " ".join(f"{word}/{tag}" for word, tag in zip(sentence, answer.outputs["tags"], strict=True))
        print(line if options.task else f"{answer.task}\t{line}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
