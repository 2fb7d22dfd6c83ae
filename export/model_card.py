"""The model card of a bundle: what the model is, how good it is, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from clrnn_tf.recording.certificates import HEADS, Certificate, certificate_rows, verdict
from export.releases import BATCHING, MODELS_CONFIG, MONITORING, MOUNTED

IMAGE = "tensorflow/serving"
SERVER_FLAGS = (
    f"--model_config_file={MOUNTED}/{MODELS_CONFIG}",
    "--model_config_file_poll_wait_seconds=30",
    "--allow_version_labels_for_unavailable_models=true",
    "--enable_batching=true",
    f"--batching_parameters_file={MOUNTED}/{BATCHING}",
    f"--monitoring_config_file={MOUNTED}/{MONITORING}",
    "--tensorflow_intra_op_parallelism=1",  # sharing such small operations among threads takes longer; docs/serving.md
)
DOCKER_RUN = f'docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD:{MOUNTED}:ro" {IMAGE} ' + " ".join(SERVER_FLAGS)


def compose_file() -> str:
    """`docker-compose.yaml`: the official image on the directory that the file is in."""
    service = {
        "image": IMAGE,
        "command": list(SERVER_FLAGS),
        "ports": ["8500:8500", "8501:8501"],
        "volumes": [f".:{MOUNTED}:ro"],
        "restart": "unless-stopped",
    }
    return yaml.safe_dump({"services": {"model-server": service}}, sort_keys=False, width=120)


def model_card(name: str, version: int, said: Mapping[str, Any], certificate: Certificate | None = None) -> str:
    """The card, with the metadata block that model hubs read.

    Args:
      name: Under which the model is served.
      version: Of the model.
      said: Its `metadata.json`.
      certificate: Of a model that has learned one more task.
    """
    takes_words = "tag" in said["signatures"]
    accuracies = {task: value for task, value in said["test_accuracy"].items() if value is not None}
    block: dict[str, object] = {
        "library_name": "tensorflow",
        "tags": ["continual-learning", "recurrent-neural-network", "tensorflow-serving"],
        **({"pipeline_tag": "token-classification", "language": said["tasks"]} if takes_words else {}),
        "model-index": [{"name": name, "results": [_result(said, *pair) for pair in accuracies.items()]}],
    }
    head = yaml.safe_dump(block, sort_keys=False, allow_unicode=True)
    rows = "\n".join(f"| {task} | {_percent(accuracies.get(task))} |" for task in said["tasks"])
    signature = "tag" if takes_words else "serving_default"
    return f"""---
{head}---

# {name}

One recurrent network for {len(said["tasks"])} tasks of `{said["benchmark"]}`, which were learned one after another.
Each row of a request says its task, and rows of one request may be of different tasks. Version {version}.

| task | test accuracy after the last task, % |
|---|---|
{rows}

* **Data**: {said["data_source"]}.
* **Outputs**: {said["outputs"]}{_classes(said["class_names"])}.
* **Signatures**: {", ".join(f"`{signature}`" for signature in said["signatures"])}.
* **Made with**: {", ".join(f"{library} {number}" for library, number in said["versions"].items())}.
* **Limits**: accuracies are of test splits of the data above and say little about other text or signals. Where the task
  is inferred, its probability orders tasks and is not calibrated.
{_certified(certificate)}
## Serve it

```
{DOCKER_RUN}
```

or `docker compose up`, in the directory of `models.config`. To ask signature `{signature}`:

```
python -m export.client --url http://localhost:8501 --model {name}
```

`sha256sum -c SHA256SUMS` checks the files of that directory, and `python -m export.verify .` the answers.
"""


def _certified(certificate: Certificate | None) -> str:
    """What the last task has done to the others; empty for a model that was not extended."""
    if certificate is None:
        return ""
    lines = [HEADS, ("---",) * len(HEADS), *certificate_rows(certificate)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"\n## One more task\n\n{verdict(certificate)} `certificate.json` has these numbers.\n\n{table}\n"


def _result(said: Mapping[str, Any], task: str, accuracy: float) -> dict[str, object]:
    metric = {"type": "accuracy", "value": round(accuracy, 2)}
    dataset = {"name": f"{said['benchmark']}: {task}", "type": said["benchmark"]}
    kind = {"type": "token-classification" if "tag" in said["signatures"] else "other"}
    return {"task": kind, "dataset": dataset, "metrics": [metric]}


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.2f}"


def _classes(names: list[str]) -> str:
    return f" over {len(names)} classes ({', '.join(names)})" if names else ""
