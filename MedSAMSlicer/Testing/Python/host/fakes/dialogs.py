"""Dialogs: a test states the answers in advance, or fails instead of waiting for ever."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from ..doubles import Double, double, implements


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
    return answers.popleft()


@implements("QDialog")
class Dialog(Double):
    def exec(self) -> int:
        text = self.text if "text" in self._facts.properties else ""
        code = ask(self.className(), self.windowTitle, text)
        self.done(code)
        return int(code)

    def open(self) -> None:
        self.visible = True

    def done(self, code: int) -> None:
        self.__dict__["_result"] = int(code)
        self.visible = False
        self.finished.emit(int(code))
        if code == double("QDialog").Accepted:
            self.accepted.emit()
        elif code == double("QDialog").Rejected:
            self.rejected.emit()

    def accept(self) -> None:
        self.done(double("QDialog").Accepted)

    def reject(self) -> None:
        self.done(double("QDialog").Rejected)

    def result(self) -> int:
        return int(self.__dict__.get("_result", 0))


@implements("QMessageBox")
class MessageBox(Double):
    def exec(self) -> int:
        return int(ask(self.className(), self.windowTitle, self.text))

    def addButton(self, *button: Any) -> Any:
        made = button[0] if not isinstance(button[0], int | str) else double("QPushButton")(str(button[0]))
        self.__dict__.setdefault("_buttons", []).append(made)
        return made

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

    @staticmethod
    def getSaveFileName(
        _parent: Any = None, title: str = "", folder: str = "", filters: str = "", *_options: Any
    ) -> str:
        return str(ask("QFileDialog.getSaveFileName", title, filters))

    @staticmethod
    def getExistingDirectory(_parent: Any = None, title: str = "", folder: str = "", *_options: Any) -> str:
        return str(ask("QFileDialog.getExistingDirectory", title, folder))


@implements("QProgressDialog")
class ProgressDialog(Double):
    """Never blocks; the user's Cancel is `dialog.cancel()`."""

    def made(self, *arguments: Any) -> None:
        double("QDialog").made(self, *[argument for argument in arguments if not isinstance(argument, str | int)][:1])
        self.__dict__["_values"].update(maximum=100, value=-1)

    def cancel(self) -> None:
        self.__dict__["_values"]["wasCanceled"] = True
        self.canceled.emit()

    def read_wasCanceled(self) -> bool:
        return bool(self.__dict__["_values"].get("wasCanceled", False))
