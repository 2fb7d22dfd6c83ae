"""A search on several machines: Keras Tuner's chief and workers, supervised.

The chief has the oracle and answers questions over gRPC; a worker asks for a trial, runs it, and tells what came of it.
All see the same directory. A worker asks after its trial from time to time. One that is silent for the time-out loses
its trial, with which another goes on at its last checkpoint. A worker that gets no answer for so long ends.

The connection is neither encrypted nor authenticated: whoever reaches the port can propose results.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from keras_tuner.errors import FatalRuntimeError
from keras_tuner.src import protos  # Keras Tuner has no public name for its chief
from keras_tuner.src.distribute import oracle_chief, oracle_client

from clrnn_tf.durable_files import write_text
from clrnn_tf.errors import ConfigurationError, require
from trainers.searching.plans import Plan

ADDRESS = "chief.txt"
"""Where the chief listens, in the directory of the search."""
_SECONDS_BETWEEN_LOOKS = 0.2
_SIGNS_OF_LIFE = 4  # in a time-out
_PATIENCE = 10  # time-outs that a chief waits for workers when all are gone
_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


class ChiefGoneError(FatalRuntimeError):
    """The chief does not answer."""


class WorkersGoneError(Exception):
    """There is nobody to take the trials that are left."""


class Service(oracle_chief.OracleServicer):
    """Answers workers, and knows who is left.

    Args:
      oracle: Of `make_oracle`.
      clock: Seconds since any fixed moment.
    """

    def __init__(self, oracle: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(oracle)
        self._clock = clock
        self.heard = clock()
        """When a worker was last heard of."""
        self.asked: dict[str, float] = {}
        """When each worker that waits for its next trial has last asked."""

    def CreateTrial(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name of the service
        """Give a worker its next trial."""
        answer = super().CreateTrial(request, context)
        self.heard = self.asked[request.tuner_id] = self._clock()
        return answer

    def GetTrial(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name of the service
        """A sign of life."""
        self.heard = self._clock()
        return super().GetTrial(request, context)

    def is_over(self, timeout: float) -> bool:
        """Whether all trials have ended, and every worker that is left was told."""
        if not self.stop_triggered or self.oracle.ongoing_trials:
            return False
        now = self._clock()
        return all(now - self.asked.get(worker, -timeout) > timeout for worker in self.oracle.tuner_ids)


def serve(plan: Plan, oracle: Any, workers: Sequence[subprocess.Popen] = ()) -> None:
    """Answer workers until all trials have ended.

    Args:
      plan: The search.
      oracle: Of `make_oracle`.
      workers: Those that this process has started; when all have ended before the search, so does it.

    Raises:
      ConfigurationError: The address cannot be used.
      WorkersGoneError: No worker is left.
    """
    timeout, service = float(plan.options.timeout), Service(oracle)
    server, address = listening(plan.options.address or "127.0.0.1:0", service)
    path = plan.out / ADDRESS
    write_text(path, f"{address}\n")
    try:
        while not service.is_over(timeout):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            ended = bool(workers) and all(worker.poll() is not None for worker in workers)
            if ended and not service.is_over(0.0):
                raise WorkersGoneError("all workers have ended before the search; see their logs beside the trials.")
            if time.monotonic() - service.heard > _PATIENCE * timeout:
                raise WorkersGoneError(f"no worker has been heard of for {_PATIENCE * timeout:.0f} s.")
    finally:
        path.unlink(missing_ok=True)
        server.stop(grace=1.0).wait()


def listening(address: str, service: Service) -> tuple[grpc.Server, str]:
    """A server that answers at an address, and the address with its port.

    Raises:
      ConfigurationError: The address cannot be used.
    """
    host, wanted = address_of(address)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(service, server)
    try:
        port = server.add_insecure_port(f"{host}:{wanted}")
    except RuntimeError:
        port = 0
    require(port != 0, f"--address must be of this machine, and its port free. Received: {address}.")
    server.start()
    return server, f"{host}:{port}"


def address_of(text: str) -> tuple[str, int]:
    """Host and port of an address.

    Raises:
      ConfigurationError: It is none.

    Example:
      >>> address_of("127.0.0.1:8000")
      ('127.0.0.1', 8000)
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"--address needs HOST:PORT. Received: {text}.")
    return host, int(port)


@contextlib.contextmanager
def started_workers(plan: Plan, count: int) -> Iterator[list[subprocess.Popen]]:
    """Workers on this machine; those that are left at the end are asked to stop, and waited for."""
    command = [sys.executable, "-m", "trainers.search", "--out", str(plan.out), "--role", "worker"]
    command += ["--timeout", str(plan.options.timeout)]
    if plan.command.data_dir is not None:
        command += ["--data-dir", str(plan.command.data_dir)]
    workers = []
    try:
        for number in range(count):
            with (plan.out / f"worker{number}.log").open("ab") as log:
                workers.append(
                    subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                    )
                )
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def connect(plan: Plan) -> str:
    """Wait for the chief, and tell Keras Tuner that this process is a worker of it.

    Returns:
      The chief's address.

    Raises:
      ChiefGoneError: It does not answer in time.
    """
    timeout, path = float(plan.options.timeout), plan.out / ADDRESS
    until, address = time.monotonic() + timeout, plan.options.address
    while time.monotonic() < until:
        address = plan.options.address or _read(path)
        if address is not None and _answers(address):
            host, port = address_of(address)
            name = f"worker-{socket.gethostname()}-{os.getpid()}".replace("chief", "c")  # "chief" would make it one
            os.environ.update(zip(_VARIABLES, (name, host, str(port)), strict=True))
            oracle_client.TIMEOUT = timeout  # an hour, else
            return address
    raise ChiefGoneError(f"no chief at {address or path} for {timeout:.0f} s. {how_to_go_on(plan)}")


def how_to_go_on(plan: Plan) -> str:
    """What to do when the chief is gone."""
    return f"Start it again (--out {plan.out} --resume --role chief), then the workers."


def forget_chief() -> None:
    """Be no worker, whatever the environment says."""
    for name in _VARIABLES:
        os.environ.pop(name, None)


class SignsOfLife:
    """Asks after a trial from time to time, so that the chief knows that its worker is there.

    Args:
      timeout: Seconds of silence after which a worker counts as gone.
      ask: Asks after a trial by its name.
      clock: Seconds since any fixed moment.
    """

    def __init__(
        self, timeout: float, ask: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._between, self._ask, self._clock = timeout / _SIGNS_OF_LIFE, ask, clock
        self._asked = clock()

    def __call__(self, trial: str) -> None:
        """Ask, if it is time to.

        Raises:
          ChiefGoneError: There is no answer.
        """
        if self._clock() - self._asked < self._between:
            return
        try:
            self._ask(trial)
        except grpc.RpcError:
            raise ChiefGoneError("the chief does not answer.") from None
        self._asked = self._clock()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        return None


def _answers(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=1.0)
        except grpc.FutureTimeoutError:
            return False
    return True
