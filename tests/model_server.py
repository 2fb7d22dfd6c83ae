"""A model server for tests: PredictionService over gRPC, and REST, for SavedModels that `models.config` names.

    python tests/model_server.py DIRECTORY

It stands in for TensorFlow Serving, which no package registry has, and implements what clients here use of its
interface: Predict with `inputs` by name. `models.config` is read with the official messages. The two ports are printed
when requests can be answered. A request for the model `busy` finds the server too busy once.
"""

import concurrent.futures
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2


class UnknownError(Exception):
    """No such model or signature."""


class Models:
    def __init__(self, directory):
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse((directory / "models.config").read_text(), config)
        self._models, self._was_busy = {}, False
        for model in config.model_config_list.config:
            (version,) = model.model_version_policy.specific.versions
            path = directory / Path(model.base_path).name / str(version)
            self._models[model.name] = tf.saved_model.load(str(path))

    def is_busy(self, name):
        was_busy, self._was_busy = self._was_busy, True
        return name == "busy" and not was_busy

    def predict(self, name, signature, inputs):
        """Arrays by name; raises `UnknownError`, or what is wrong with the inputs."""
        if name not in self._models:
            raise UnknownError(f"Servable not found for request: Latest({name})")
        signatures = self._models[name].signatures
        if signature not in signatures:
            raise UnknownError(f'Serving signature key "{signature}" not found.')
        specs = signatures[signature].structured_input_signature[1]
        given = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in signatures[signature](**given).items()}


def rest(models):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            name, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if models.is_busy(name):
                self.reply(503, {"error": "too busy"})
                return
            try:
                outputs = models.predict(name, body["signature_name"], body["inputs"])
            except UnknownError as error:
                self.reply(404, {"error": str(error)})
            except Exception as error:  # noqa: BLE001
                self.reply(400, {"error": str(error)})
            else:
                self.reply(200, {"outputs": {key: as_json(value) for key, value in outputs.items()}})

        def reply(self, code, value):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *arguments):
            pass

    return ThreadingHTTPServer(("localhost", 0), Handler)


def as_json(value):
    if value.dtype == object:
        return np.array([text.decode() for text in value.ravel()], object).reshape(value.shape).tolist()
    return value.tolist()


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models):
        self._models = models

    def Predict(self, request, context):  # noqa: N802
        name, inputs = request.model_spec.name, {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        if self._models.is_busy(name):
            context.abort(grpc.StatusCode.UNAVAILABLE, "too busy")
        try:
            outputs = self._models.predict(name, request.model_spec.signature_name, inputs)
        except UnknownError as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except Exception as error:  # noqa: BLE001
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response


def main(directory):
    models = Models(directory)
    http = rest(models)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(models), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    print(http.server_port, port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
