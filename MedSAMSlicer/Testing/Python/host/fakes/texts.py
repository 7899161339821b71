"""Text fields."""

from __future__ import annotations

import html
import re

from ..doubles import Double, implements


@implements("QLineEdit")
class LineEdit(Double):
    def clear(self) -> None:
        self.text = ""


class Text(Double):
    """Keeps what was set; plain text is the HTML without its tags."""

    def _keep(self, text: str) -> None:
        self.__dict__["_source"] = text
        self.textChanged.emit()

    def setPlainText(self, text: str) -> None:
        self._keep(html.escape(text, quote=False))

    def on_plainText(self, text: str) -> None:
        self.setPlainText(text)

    def read_plainText(self) -> str:
        return html.unescape(re.sub(r"<[^>]*>", "", self.__dict__.get("_source", "")))

    def toPlainText(self) -> str:
        return str(self.plainText)

    def clear(self) -> None:
        self._keep("")


@implements("QPlainTextEdit")
class PlainTextEdit(Text):
    def appendPlainText(self, text: str) -> None:
        self.setPlainText(f"{self.plainText}\n{text}" if self.plainText else text)


@implements("QTextEdit")
class TextEdit(Text):
    def setText(self, text: str) -> None:
        self._keep(text)

    def setHtml(self, text: str) -> None:
        self._keep(text)

    def on_html(self, text: str) -> None:
        self._keep(text)

    def read_html(self) -> str:
        return str(self.__dict__.get("_source", ""))

    def toHtml(self) -> str:
        return str(self.html)

    def append(self, text: str) -> None:
        self._keep(f"{self.html}\n{text}" if self.html else text)


@implements("ctkFittedTextBrowser")
class FittedTextBrowser(Double):
    def setCollapsibleText(self, text: str) -> None:
        self.__dict__["_collapsible"] = text
        self.setText(text)

    def collapsibleText(self) -> str:
        return str(self.__dict__.get("_collapsible", ""))
