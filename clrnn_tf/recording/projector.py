"""Task embeddings for TensorBoard's embedding projector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig

from clrnn_tf.durable_files import write_text
from clrnn_tf.metrics import ResultMatrix

_FOLDER = Path("plugins") / "org_tensorflow_tensorboard_projector"  # where the plugin looks beside the events
_MOST_NUMBERS = 200  # of a point; more are turned into fewer coordinates


def write_projector(directory: Path, embeddings: np.ndarray, matrix: ResultMatrix) -> None:
    """Write the embeddings of the tasks learned so far, in place of those before.

    Args:
      directory: That of the event files.
      embeddings: [K, D], of all tasks.
      matrix: Names of the tasks and their accuracies, which colour the points.
    """
    folder = directory / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    points = coordinates(embeddings[: matrix.num_learned])
    write_text(folder / "embeddings.tsv", "".join("\t".join(f"{x:.6g}" for x in point) + "\n" for point in points))
    lines = [f"task\tlearned as number\tfinal {matrix.headline}"]
    scores = zip(matrix.task_names, matrix.final(matrix.headline), strict=False)
    lines += [f"{name}\t{number}\t{score:.2f}" for number, (name, score) in enumerate(scores, 1)]
    write_text(folder / "tasks.tsv", "".join(f"{line}\n" for line in lines))
    config = ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "task embeddings"
    embedding.tensor_path, embedding.metadata_path = "embeddings.tsv", "tasks.tsv"
    write_text(folder / "projector_config.pbtxt", text_format.MessageToString(config))


def coordinates(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings [n, D] as they are, or in n coordinates with the same distances where D is large.

    With X the embeddings less their mean and X = U S V^T, the rows of U S have the distances of the rows of X. A
    projector in a browser could not hold the embeddings of all chunks of a task.

    Example:
      >>> import numpy as np
      >>> points = np.eye(3, 1000)
      >>> coordinates(points).shape, float(np.linalg.norm(coordinates(points)[0] - coordinates(points)[1]).round(6))
      ((3, 3), 1.414214)
    """
    if embeddings.shape[1] <= _MOST_NUMBERS:
        return embeddings
    left, sizes, _ = np.linalg.svd(embeddings - embeddings.mean(axis=0), full_matrices=False)
    return left * sizes
