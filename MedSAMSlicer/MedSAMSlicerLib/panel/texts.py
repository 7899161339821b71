"""Formatting of the panel's labels."""

from __future__ import annotations

import html

import qt
from slicer.i18n import tr as _


def escaped(text: str) -> str:
    """Plain text as HTML, in which long paths and addresses can wrap, so that they do not widen the panel."""
    zero_width_space = "\u200b"
    text = html.escape(text)
    return text.replace("\\", "\\" + zero_width_space).replace("/", "/" + zero_width_space)


def show_message(label: qt.QLabel, text: str) -> None:
    """Show a message below a section; '' hides the label."""
    label.text = escaped(text)
    label.visible = bool(text)


def show_error(label: qt.QLabel, text: str) -> None:
    """Show an error below a section."""
    label.text = f"<b>{html.escape(_('Error:'))}</b> {escaped(text)}"
    label.visible = True


def title_with_state(title: str, state: str) -> str:
    """Title of a section with its state, which is visible while the section is collapsed."""
    return f"{title} ({state})" if state else title
