"""Jobs: long work in a process of its own, which reports its progress as lines of JSON.

Each line on standard output is an object with a ``kind``. The last line is ``done``, ``cancelled``, or ``failed`` with a
``message`` for the user, one line in English. With ``--attached``, the end of standard input cancels the job, which then
removes files that it has written in part.
"""

from __future__ import annotations

import _thread
import argparse
import json
import os
import signal
import threading
from collections.abc import Callable
from io import BufferedReader
from typing import Any, BinaryIO, Protocol

from ..diagnostics.child_log import claim_standard_streams, log_to_stderr
from ..diagnostics.log import get_logger, log_error
from ..errors import Cancelled, as_user_error

_log = get_logger(__name__)
_GRACE_SECONDS = 5.0
"""Time for a cancelled job to clean up."""


class SendLine(Protocol):
    """Sends one line with some fields."""

    def __call__(self, kind: str, **fields: Any) -> None: ...


def add_attached(parser: argparse.ArgumentParser) -> None:
    """Add the option that all jobs have."""
    parser.add_argument("--attached", action="store_true", help="cancel when standard input ends")


def run_job(
    work: Callable[[SendLine], None], attached: bool, read: Callable[[BufferedReader], None] | None = None
) -> int:
    """Run a job, send its last line, and return the exit status.

    Args:
        work: called with a function that sends lines. An error that it raises becomes the last line.
        attached: cancel the job when standard input ends.
        read: called first, with standard input, to read what the parent sends there.
    """
    requests, lines = claim_standard_streams()
    log_to_stderr()
    ended = threading.Event()

    def send(kind: str, **fields: Any) -> None:
        try:
            lines.write(json.dumps({"kind": kind, **fields}).encode() + b"\n")
            lines.flush()
        except OSError:
            # The process that reads the lines has gone.
            _thread.interrupt_main()

    if read is not None:
        read(requests)
    if attached:
        # Shells start background processes with interrupts ignored, which this process would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_watch, args=(requests, ended), daemon=True).start()
    status = 0
    try:
        work(send)
        send("done")
    except (KeyboardInterrupt, Cancelled):
        status = Cancelled.exit_status
        send("cancelled")
    except Exception as error:
        failure = as_user_error(error)
        log_error(_log, failure, "the job failed")
        status = failure.exit_status
        send("failed", message=failure.brief)
    finally:
        ended.set()
    return status


def _watch(requests: BinaryIO, ended: threading.Event) -> None:
    while requests.read(1):
        continue
    if ended.is_set():
        return
    _thread.interrupt_main()
    # A network that is running, or a download that stalls, does not notice an interrupt.
    if not ended.wait(_GRACE_SECONDS):
        os._exit(Cancelled.exit_status)
