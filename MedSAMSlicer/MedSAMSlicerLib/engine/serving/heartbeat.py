"""Signs of life of the inference process while it computes.

One slice takes a fifth of a second on one computer and minutes on another, or while other programs have the processor.
The parent process must not take a slow process for one that hangs, and cannot tell them apart by the time that has passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .framing import Message

INTERVAL_SECONDS = 5.0
SMALLEST_SECONDS = 0.02
"""Processor time within an interval that counts as computing: more than an idle process uses, and so little that a
process at low priority on a busy computer gets it."""


def send_signs_of_life(
    send: Callable[[Message], None],
    sleep: Callable[[float], None] = time.sleep,
    processor_time: Callable[[], float] = time.process_time,
) -> None:
    """Send ``alive`` after each interval in which this process has used the processor. Never returns.

    A process that waits in vain, such as for a driver, uses none and stays silent.
    """
    used = processor_time()
    while True:
        sleep(INTERVAL_SECONDS)
        before, used = used, processor_time()
        if used - before >= SMALLEST_SECONDS:
            send(Message("alive"))
