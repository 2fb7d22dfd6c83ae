"""How a model server is asked: over REST, with the standard library alone, or over gRPC.

Requests that found no server, or one that was too busy, are sent again after a pause that doubles each time.
"""

from __future__ import annotations

import abc
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from clrnn_tf.errors import ConfigurationError, require

Arrays = dict[str, np.ndarray]
_TOO_BUSY = (429, 502, 503, 504)
_NO_ANSWER = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError)


class ServingError(RuntimeError):
    """A server cannot be reached, or refuses a request."""


class Patience(NamedTuple):
    """How long an answer is waited for."""

    timeout: float = 30.0
    """Seconds for one try."""
    tries: int = 4
    pause: float = 0.2
    """Seconds before the second try; doubled before each further one."""
    sleep: Callable[[float], None] = time.sleep


class UnavailableError(Exception):
    """The server gave no answer, and may give one later."""


class Transport(abc.ABC):
    """Asks a server.

    Args:
      url: Where it is.
      patience: How long it is waited for.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url, self._patience = url, patience or Patience()

    def predict(self, model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """The outputs of a signature by name; strings as `str`.

        Args:
          model: Name of the model.
          signature: Name of the signature.
          inputs: Arrays by name; strings in arrays of objects.

        Raises:
          ServingError: The server refuses the request, or gives no answer however often it is asked.
        """
        reason, pause = "", self._patience.pause
        for attempt in range(self._patience.tries):
            if attempt:
                self._patience.sleep(pause)
                pause *= 2
            try:
                return self._predict(model, signature, inputs)
            except UnavailableError as error:
                reason = str(error)
        raise ServingError(f"no answer from {self.url} after {self._patience.tries} tries: {reason}.")

    @abc.abstractmethod
    def _predict(self, model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """One try.

        Raises:
          UnavailableError: It may be tried again.
          ServingError: It may not.
        """


class Rest(Transport):
    """Over REST, at `http://HOST:PORT`."""

    def _predict(self, model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        columns = {name: value.tolist() for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        address = f"{self.url.rstrip('/')}/v1/models/{model}:predict"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self._patience.timeout) as response:
                outputs = json.load(response)["outputs"]
        except urllib.error.HTTPError as error:
            message = _message(error.read())
            if error.code in _TOO_BUSY:
                raise UnavailableError(message) from None
            raise ServingError(f"{self.url} refuses the request ({error.code}): {message}") from None
        except _NO_ANSWER as error:  # no server, a cut-off answer, another service
            if type(error) is http.client.BadStatusLine:  # not its subclass, a server that hangs up
                raise ServingError(
                    f"{self.url} must be where a server is asked over REST, port 8501 by default. Received: an answer "
                    "that is not HTTP. Port 8500 is that of grpc://HOST:8500."
                ) from None
            raise UnavailableError(str(getattr(error, "reason", error))) from None
        return {name: np.array(value) for name, value in outputs.items()}


class Grpc(Transport):
    """Over gRPC, at `grpc://HOST:PORT`. It needs the messages of `tensorflow-serving-api`.

    Args:
      url: Where the server is.
      patience: How long it is waited for.

    Raises:
      ConfigurationError: `tensorflow-serving-api` is not installed.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        super().__init__(url, patience)
        try:
            import grpc
            import tensorflow as tf
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ModuleNotFoundError:
            raise ConfigurationError(
                "gRPC needs tensorflow-serving-api. Install it: pip install 'clrnn_tf[serving]'; or ask over http://."
            ) from None
        self._grpc, self._tensors, self._messages = grpc, tf, predict_pb2
        self._channel = grpc.insecure_channel(url.partition("://")[2])
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def _predict(self, model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        request = self._messages.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(self._tensors.make_tensor_proto(value))
        codes = self._grpc.StatusCode
        try:
            response = self._service.Predict(request, timeout=self._patience.timeout)
        except self._grpc.RpcError as error:
            message = _first_line(error.details() or "")
            if error.code() in (codes.UNAVAILABLE, codes.RESOURCE_EXHAUSTED, codes.DEADLINE_EXCEEDED):
                raise UnavailableError(message) from None
            raise ServingError(f"{self.url} refuses the request ({error.code().name}): {message}") from None
        return {name: _decoded(self._tensors.make_ndarray(value)) for name, value in response.outputs.items()}


def connect(url: str, patience: Patience | None = None) -> Transport:
    """A transport to the server at `http://HOST:PORT`, `https://...` or `grpc://HOST:PORT`.

    Raises:
      ConfigurationError: The address begins with something else.
    """
    scheme = url.partition("://")[0]
    require(
        scheme in ("http", "https", "grpc") and "://" in url,
        f"url must begin with http://, https:// or grpc://. Received: {url}.",
    )
    return Grpc(url, patience) if scheme == "grpc" else Rest(url, patience)


def _message(body: bytes) -> str:
    """What a server says in the body of an error."""
    try:
        return _first_line(str(json.loads(body)["error"]))
    except (ValueError, LookupError, TypeError):
        return _first_line(body.decode(errors="replace"))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300] or "nothing was said"


def _decoded(value: np.ndarray) -> np.ndarray:
    """Strings as `str`."""
    if value.dtype != object:
        return value
    return np.array([text.decode(errors="replace") for text in value.ravel()], object).reshape(value.shape)
