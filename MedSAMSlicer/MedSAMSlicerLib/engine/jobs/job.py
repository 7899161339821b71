"""Work that lasts longer than a click, in a process of its own that says in JSON how it goes.

Every line on standard output is one object with a ``kind``. The last one is ``done``, ``cancelled``, or ``failed`` with
the one-line ``message`` that a user reads, in English. With ``--attached`` the process belongs to whoever holds the other end of
its standard input: when that ends, the work is cancelled, and what it had written in part is removed.
"""

from __future__ import annotations

import _thread
import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from ..child_log import log_to_stderr
from ..errors import Cancelled, as_user_error
from ..log import get_logger, log_error

_log = get_logger(__name__)
_GRACE_SECONDS = 5.0
"""How long a cancelled work may take to clean up."""


class Say(Protocol):
    """Sends one line."""

    def __call__(self, kind: str, **fields: Any) -> None: ...


def add_attached(parser: argparse.ArgumentParser) -> None:
    """Add the option that every such process has."""
    parser.add_argument("--attached", action="store_true", help="cancel when standard input ends")


def run_task(work: Callable[[Say], None], attached: bool) -> int:
    """Do the work, say how it ended, and return the exit status.

    Args:
        work: gets what sends lines. What it raises becomes the last line.
        attached: cancel it when standard input ends.
    """
    requests, lines = _claim_pipes()
    log_to_stderr()
    ended = threading.Event()

    def say(kind: str, **fields: Any) -> None:
        try:
            lines.write(json.dumps({"kind": kind, **fields}).encode() + b"\n")
            lines.flush()
        except OSError:
            # Nobody listens any more.
            _thread.interrupt_main()

    if attached:
        # Programs started in the background of a shell ignore interrupts, and what they start does: not this work.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_watch, args=(requests, ended), daemon=True).start()
    status = 0
    try:
        work(say)
        say("done")
    except (KeyboardInterrupt, Cancelled):
        status = Cancelled.exit_status
        say("cancelled")
    except Exception as error:
        failure = as_user_error(error)
        log_error(_log, failure, "the job failed")
        status = failure.exit_status
        say("failed", message=str(failure))
    finally:
        ended.set()
    return status


def _watch(requests: BinaryIO, ended: threading.Event) -> None:
    while requests.read(1):
        continue
    if ended.is_set():
        return
    _thread.interrupt_main()
    # A network in the middle of a slice, or a download that stalls, does not notice an interrupt.
    if not ended.wait(_GRACE_SECONDS):
        os._exit(Cancelled.exit_status)


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The process's standard input and output; what libraries print goes to standard error from now on."""
    requests, lines = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return open(requests, "rb", buffering=0), open(lines, "wb")
