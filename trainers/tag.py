"""Tag sentences with a trained run: ``python -m trainers.tag RUN --language de "Das ist gut ."``.

RUN is a directory that pos_tagging has written. The tagger comes from its exports, so neither the treebanks nor the
word vectors are needed. Sentences are arguments or lines of standard input; blanks separate their words, and a full
stop is a word.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import tensorflow as tf

from clrnn_tf.errors import ConfigurationError, require
from clrnn_tf.notices import closed_stderr
from export.command_line import Parser
from export.tagger import Tagger
from trainers.conllu_blocks import Agreement, Block, read_blocks
from trainers.exported_taggers import Language, find_taggers, infer_language, load_tagger
from trainers.failures import guarded

PROGRAM = "python -m trainers.tag"
_AT_A_TIME = 512  # sentences
_TO_INFER = 64  # sentences that a language is inferred from


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        super().error(message.replace("RUN, SENTENCE", "RUN"))  # any number of sentences may be there, none as well


def main(arguments: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Run the command line and return the exit code: 0, 1 for lack of memory, 2 for bad input, 130 if interrupted."""
    return guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments, program), "stopped.")


def parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """The flags of the command."""
    parsed = _Parser(program, (__doc__ or "").partition("\n\n")[2])
    add = parsed.add_argument
    add("run", metavar="RUN", type=Path, help="run directory, or a directory of exported taggers (LANGUAGE/1)")
    add("sentences", metavar="SENTENCE", nargs="*", help="words separated by blanks; else lines of standard input")
    add("-l", "--language", help="whose tagger answers; without it, the one that is surest of its tags")
    add("-f", "--format", choices=tuple(_FORMATS), help="words: word/TAG on one line (default); columns: a word a line")
    add("--conllu", metavar="FILE", type=Path, help="CoNLL-U in (- for standard input), the same with UPOS filled out")
    return parsed


def _run(arguments: Sequence[str], program: str) -> int:
    options = parser(program).parse_intermixed_args(arguments)
    require(
        options.conllu is None or not (options.sentences or options.format),
        "--conllu takes its sentences from the file and writes CoNLL-U. Received: sentences or --format as well.",
    )
    taggers = find_taggers(options.run)
    with closed_stderr():
        tf.zeros([]) + 1.0  # devices announce themselves when they are first used
    tagger = load_tagger(taggers, options.language) if options.language else None
    if options.conllu is not None:
        sentences: Iterator[Block] = read_blocks(options.conllu)
    else:
        sentences = map(_block, _lines(options.sentences))
    agreement = Agreement()
    is_typed = options.conllu is None and not options.sentences and sys.stdin.isatty()
    for batch in _batches(sentences, 1 if is_typed else _AT_A_TIME):
        words = [block.words for block in batch]
        if tagger is None and any(words):
            tagger = _inferred(taggers, [sentence for sentence in words if sentence][:_TO_INFER])
        tags = _tags(tagger, words)
        if options.conllu is not None:
            agreement.count(batch, tags)
            sys.stdout.buffer.writelines(block.filled(row) for block, row in zip(batch, tags, strict=True))
        else:
            as_text = _FORMATS[options.format or "words"]
            sys.stdout.writelines(as_text(*pair) for pair in zip(words, tags, strict=True))
        sys.stdout.flush()
    if agreement.given:
        print(agreement, file=sys.stderr)
    return 0


def _tags(tagger: Tagger | None, words: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[] for _ in words] if tagger is None else [answer.tags for answer in tagger(words)]


def _inferred(taggers: dict[str, Path], sentences: Sequence[Sequence[str]]) -> Tagger:
    """The tagger of the language that sentences seem to be in, which is said on standard error."""
    if len(taggers) == 1:
        return load_tagger(taggers, next(iter(taggers)))
    language: Language = infer_language(taggers, sentences)
    (_, first), (second, next_one), *_ = language.probabilities.items()
    print(
        f"language: {language.name} (probability {first:.2f}; next: {second} {next_one:.2f}). "
        "--language NAME takes another.",
        file=sys.stderr,
        flush=True,
    )
    return language.tagger


def _lines(sentences: Sequence[str]) -> Iterator[str]:
    """Sentences as text, from the command line or from standard input.

    Raises:
      ConfigurationError: One is not UTF-8.
    """
    for sentence in sentences:
        require(_is_text(sentence), f"sentences must be UTF-8. Received: {ascii(sentence)[:80]}.")
        yield sentence
    if sentences:
        return
    if sys.stdin.isatty():
        print("Sentences, one a line, words separated by blanks; end with Ctrl-D.", file=sys.stderr)
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ConfigurationError(f"standard input, line {number} is not UTF-8. Convert it.") from None


def _is_text(sentence: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in sentence)


def _block(line: str) -> Block:
    return Block(words=line.split())


def _batches(blocks: Iterable[Block], size: int) -> Iterator[list[Block]]:
    iterator = iter(blocks)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _in_line(words: Sequence[str], tags: Sequence[str]) -> str:
    return " ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)) + "\n"


def _in_columns(words: Sequence[str], tags: Sequence[str]) -> str:
    return "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"


_FORMATS = {"words": _in_line, "columns": _in_columns}


if __name__ == "__main__":
    sys.exit(main())
