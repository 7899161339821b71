"""The interface through which a `WorkerClient` exchanges bytes with an inference process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_WORKER = f"{__name__.partition('.')[0]}.engine.serving.worker"


@dataclass(frozen=True)
class TransportListener:
    """Callbacks of a transport.

    Attributes:
        on_bytes: called with bytes from the process's standard output, in pieces of any size.
        on_stderr: called with bytes from its standard error.
        on_exit: called once when the process has ended, after its last bytes, with its exit status: the negative number
            of the signal that ended it, or None if it could not be started. Not called after `Transport.kill` or
            `Transport.close`.
    """

    on_bytes: Callable[[bytes], None]
    on_stderr: Callable[[bytes], None]
    on_exit: Callable[[int | None], None]


class Transport(Protocol):
    """One process and the pipes to it. An event loop moves the bytes; no call waits for the process."""

    def start(self, listener: TransportListener) -> None:
        """Start the process."""
        ...

    def write(self, data: bytes) -> None:
        """Write bytes to the standard input of the process as soon as it reads them, in the order of the calls."""
        ...

    def kill(self) -> None:
        """End the process at once."""
        ...

    def close(self) -> None:
        """Close the standard input of the process, so that it ends by itself. End it if it does not."""
        ...


def worker_command(service: str | None = None, program: str | None = None) -> list[str]:
    """Program and arguments of the inference process.

    Args:
        service: factory of the service as ``module:function``; None for the segmentation service.
        program: the Python interpreter; None: that of this process.
    """
    return [program or sys.executable, "-m", _WORKER, *(["--service", service] if service else [])]
