"""How sections write into their labels."""

from __future__ import annotations

import html

import qt
from slicer.i18n import tr as _


def escaped(text: str) -> str:
    """Plain text as HTML. A long path or address may be broken at its separators, or it would widen the panel."""
    zero_width_space = "\u200b"
    text = html.escape(text)
    return text.replace("\\", "\\" + zero_width_space).replace("/", "/" + zero_width_space)


def show_message(label: qt.QLabel, text: str) -> None:
    """A plain line under a section; '' hides it."""
    label.text = escaped(text)
    label.visible = bool(text)


def show_error(label: qt.QLabel, text: str) -> None:
    """A line that says what went wrong, told from others by more than its colour."""
    label.text = f"<b>{html.escape(_('Not done:'))}</b> {escaped(text)}"
    label.visible = True


def title_with_state(title: str, state: str) -> str:
    """Heading of a section that can be read while it is closed."""
    return f"{title} ({state})" if state else title
