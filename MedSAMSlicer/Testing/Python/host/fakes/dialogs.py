"""Dialogs: a test states the answers in advance, or fails instead of waiting for ever."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from ..clock import clock
from ..doubles import Double, implements

ANSWERED_AFTER_MILLISECONDS = 200


class UnansweredDialog(AssertionError):
    """A dialog opened, and the test had not said what the user answers."""


@dataclass(frozen=True)
class Shown:
    """A dialog that opened: `kind` is its class, or "QFileDialog.getOpenFileName" and the like."""

    kind: str
    title: str
    text: str


answers: deque[Any] = deque()
shown: list[Shown] = []


def ask(kind: str, title: str, text: str) -> Any:
    shown.append(Shown(kind, title, text))
    if not answers:
        raise UnansweredDialog(f"{kind} '{title}' opened and nobody answers: {text}")
    # A dialog has an event loop of its own: timers, posted events and news of processes do not wait for the answer.
    clock.advance(ANSWERED_AFTER_MILLISECONDS)
    answer = answers.popleft()
    return answer() if callable(answer) else answer


@implements("QMessageBox")
class MessageBox(Double):
    def exec(self) -> int:
        return int(ask(self.className(), self.windowTitle, self.text))

    @staticmethod
    def _static(kind: str) -> Any:
        def opened(_parent: Any, title: str, text: str, _buttons: int = 0, _default: int = 0) -> int:
            return int(ask(f"QMessageBox.{kind}", title, text))

        return staticmethod(opened)


for _kind in ("question", "information", "warning", "critical"):
    setattr(MessageBox, _kind, MessageBox._static(_kind))


@implements("QFileDialog")
class FileDialog(Double):
    @staticmethod
    def getOpenFileName(
        _parent: Any = None, title: str = "", folder: str = "", filters: str = "", *_options: Any
    ) -> str:
        return str(ask("QFileDialog.getOpenFileName", title, filters))
