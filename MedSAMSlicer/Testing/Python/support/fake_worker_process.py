"""A transport that the test drives: it says what an inference process would say, whenever the test wants."""

from __future__ import annotations

from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.model_choice import RunInfo
from MedSAMSlicerLib.engine.results import SliceResult
from MedSAMSlicerLib.engine.serving import codec
from MedSAMSlicerLib.engine.serving.framing import PROTOCOL_VERSION, Message, MessageReader, encode
from MedSAMSlicerLib.scene.worker.transport import TransportListener


class FakeWorkerProcess:
    """Keeps what the client has sent in `received`."""

    def __init__(self) -> None:
        self.reader = MessageReader()
        self.received: list[Message] = []
        self.ended = ""

    def start(self, listener: TransportListener) -> None:
        self.listener = listener

    def write(self, data: bytes) -> None:
        self.received += self.reader.feed(data)

    def kill(self) -> None:
        self.ended = "killed"

    def close(self) -> None:
        self.ended = "closed"

    def say(self, kind: str, fields: dict[str, Any] | None = None, arrays: dict[str, Any] | None = None) -> None:
        self.listener.on_bytes(encode(Message(kind, fields or {}, arrays or {})))

    def greet(self) -> None:
        self.say("hello", {"version": PROTOCOL_VERSION})

    def say_together(self, messages: list[Message]) -> None:
        """All messages arrive at once, as they do after a time in which the application was busy."""
        self.listener.on_bytes(b"".join(map(encode, messages)))

    @staticmethod
    def result(index: int, mask: np.ndarray, job: int = 1, provisional: bool = False) -> Message:
        found = SliceResult(index, mask, None, 0.5, 0.5, False, provisional=provisional)
        fields, arrays = codec.result_parts(found)
        return Message("slice_result", {"job": job, **fields}, arrays)

    @staticmethod
    def end(job: int = 1) -> Message:
        return Message("finished", {"job": job, **codec.info_fields(RunInfo())})

    def find(self, index: int, mask: np.ndarray, job: int = 1, provisional: bool = False) -> None:
        self.say_together([self.result(index, mask, job, provisional)])

    def jobs(self, kind: str) -> list[int]:
        """Numbers of the requests of a kind, in the order of their arrival."""
        return [message.integer("job") for message in self.received if message.kind == kind]
