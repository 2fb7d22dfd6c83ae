"""Requests to stop, from a signal or another thread: training answers them with a checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class StopRequest:
    """A request that is answered after the steps in progress while a task is trained, and at once elsewhere.

    Example:
      >>> from clrnn_tf.training.stopping import StopRequest
      >>> stop = StopRequest()
      >>> with stop.between_steps():
      ...     stop.request()  # as a signal's handler does
      ...     stop.requested  # the trainer asks after some steps, writes a checkpoint and raises KeyboardInterrupt
      ...     stop.requested = False
      True
    """

    def __init__(self) -> None:
        self.requested = False
        """Whether somebody waits for an answer."""
        self._answers = False

    def request(self) -> None:
        """Ask. A second request does not wait.

        Raises:
          KeyboardInterrupt: Nobody would answer, or there was a request before.
        """
        if self.requested or not self._answers:
            raise KeyboardInterrupt
        self.requested = True

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """While this block runs, requests wait until somebody reads `requested`.

        Raises:
          KeyboardInterrupt: There was a request, and the block ended without an answer.
        """
        self._answers = True
        try:
            yield
        finally:
            self._answers = False
        if self.requested:
            raise KeyboardInterrupt
