"""Margin around the selected segment, in the section 'Hand-off': its size, and segments that it avoids or stays inside of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from ..engine.errors import InputError
from ..handoff.roi_names import warning
from .handoff_nodes import SegmentEntry
from .texts import show_message


class MarginRow:
    """The widgets of a new segment that is another one grown by a margin.

    Args:
        ui: widgets of the panel by object name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._entries: tuple[SegmentEntry, ...] = ()
        ui.handoffMarginNameEdit.connect("textChanged(QString)", self._show_name)
        self._show_name()

    def _show_name(self, _text: str = "") -> None:
        """Say which rule the name breaks, while it is typed."""
        name = self._name
        taken = _("There is a segment {name} already.").format(name=name)
        show_message(self._ui.handoffMarginNameHint, taken if self._is_taken(name) else warning(name))

    @property
    def _name(self) -> str:
        return str(self._ui.handoffMarginNameEdit.text).strip() or "PTV"

    def _is_taken(self, name: str) -> bool:
        return any(one.segment_name == name for one in self._entries)

    def show(self, entries: Sequence[SegmentEntry]) -> None:
        """Offer segments as limits; those that are chosen stay chosen."""
        chosen = []
        for combo in (self._ui.handoffAvoidComboBox, self._ui.handoffInsideComboBox):
            before = self._chosen(combo)
            chosen.append((combo, "" if before is None else before.segment_id))
        self._entries = tuple(entries)
        ids = ["", *(one.segment_id for one in entries)]
        for combo, before_id in chosen:
            combo.clear()
            combo.addItems([_("none"), *(one.segment_name for one in entries)])
            combo.currentIndex = ids.index(before_id) if before_id in ids else 0
        self._show_name()

    def add(self, segmentation_node: Any, volume_node: Any, entry: SegmentEntry | None) -> str:
        """Add the new segment. Returns what the user should read.

        Raises:
            InputError: no segment is selected, the margin or the name cannot be used, or as `handoff_work.add_margin` does.
        """
        ui = self._ui
        if entry is None:
            raise InputError(_("no segment is selected: select the one to grow"))
        try:
            margin = [float(mm) for mm in re.split(r"[\s;]+", str(ui.handoffMarginEdit.text).strip().replace(",", "."))]
        except ValueError as error:
            raise InputError(_("the margin is not a number: give one, or six (L R A P S I), in mm")) from error
        name = self._name
        if self._is_taken(name):
            raise InputError(_("there is a segment {name} already: give another name").format(name=name))
        from . import handoff_work

        avoid, inside = self._chosen(ui.handoffAvoidComboBox), self._chosen(ui.handoffInsideComboBox)
        cut = handoff_work.add_margin(segmentation_node, entry, volume_node, margin, name, avoid, inside)
        text = _("{name} added to the segmentation.").format(name=name)
        if problem := warning(name):
            text += f" {problem}."
        if cut:
            text += " " + _("It reaches the edge of the volume: its margin may be cut off there.")
        return text

    def _chosen(self, combo: Any) -> SegmentEntry | None:
        index = combo.currentIndex - 1
        return self._entries[index] if 0 <= index < len(self._entries) else None
