"""Small treebanks and vectors that tests write."""

import warnings

from data_pipelines.storage import DataWarning


def word(number, form, upos="NOUN"):
    return f"{number}\t{form}\t_\t{upos}\t_\t_\t_\t_\t_\t_\n"


def sentence(*forms):
    return "".join(word(number, form) for number, form in enumerate(forms, start=1)) + "\n"


def write_files(root, texts):
    """Files by path below `root`, from text or bytes."""
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def treebank(prefix, train=("ab", "cd"), test=("ab", "ef"), folder=None):
    """Texts of a treebank's files, each of one sentence."""
    folder = folder or f"UD_{prefix}"
    return {
        f"{folder}/{prefix}-ud-train.conllu": sentence(*train),
        f"{folder}/{prefix}-ud-test.conllu": sentence(*test),
    }


def noticed(function):
    """What a function returns, and the messages of its warnings about data, all of one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    messages = [str(warning.message) for warning in caught if issubclass(warning.category, DataWarning)]
    assert not any("\n" in message for message in messages)
    return result, messages
