"""Signs of life of the inference process."""

from __future__ import annotations

import pytest

from MedSAMSlicerLib.engine.serving.framing import Message
from MedSAMSlicerLib.engine.serving.heartbeat import INTERVAL_SECONDS, SMALLEST_SECONDS, send_signs_of_life


class Stopped(Exception):
    """Ends the loop, which would go on for as long as the process lives."""


def test_only_intervals_with_processor_time_are_reported() -> None:
    used, slept, sent = iter([0.0, 5.0, 5.001, 5.001 + 2 * SMALLEST_SECONDS, 5.1]), [], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 4:
            raise Stopped

    def send(message: Message) -> None:
        sent.append((len(slept), message.kind))

    with pytest.raises(Stopped):
        send_signs_of_life(send, sleep, lambda: next(used))
    assert sent == [(1, "alive"), (3, "alive"), (4, "alive")]
    assert set(slept) == {INTERVAL_SECONDS}
