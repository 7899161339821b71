"""A result is gone through: key slices are corrected and removed, doubtful slices visited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_key_slices_are_listed_and_can_be_corrected_and_removed(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    bench.drag()
    node = hands.view("Red").mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 6)
    bench.drag(half=0.7, shift=True)
    rows = [[ui.keysTable.item(row, column).text() for column in range(3)] for row in range(ui.keysTable.rowCount)]
    assert [row[0] for row in rows] == ["10", "13"]
    assert [row[2] for row in rows] == ["drawn", "corrected"]
    assert rows[0][1].startswith("S ")
    assert ui.keysSection.title == "Key slices (2)"
    ui.keysTable.selectRow(0)
    hands.click(ui.correctKeyButton)
    assert bench.contouring.index_in(bench.effect._view_geometry()) == 10
    assert "Slice 10 (S " in ui.noteLabel.text and "drag a corner" in ui.noteLabel.text
    before = bench.contouring.prompts.keys[10].box
    bench.drag(half=0.8)
    assert bench.contouring.prompts.keys[10].box != before
    assert sorted(bench.contouring.prompts.keys) == [10, 13] and "corner" not in ui.noteLabel.text
    ui.keysTable.selectRow(1)
    hands.click(ui.removeKeyButton)
    bench.finish()
    assert ui.keysTable.rowCount == 1
    hands.click(ui.discardButton)
    assert ui.keysTable.rowCount == 0 and not ui.resultFrame.visible and not ui.removeKeyButton.enabled


def test_a_corner_of_a_rectangle_that_is_corrected_can_be_dragged(bench: Any) -> None:
    hands, ui = bench.host.hands, bench.ui
    bench.drag()
    box = bench.contouring.prompts.keys[10].box
    corner = bench.xy("Red", 10, box.y0, box.x0)
    inwards = bench.xy("Red", 10, box.y0 + 6, box.x0 + 4)
    points = bench.effect._overlays._views[0]._rectangle._outline.GetNumberOfPoints
    assert points() == 4
    ui.keysTable.selectRow(0)
    hands.click(ui.correctKeyButton)
    assert points() == 20
    hands.drag("Red", corner, inwards)
    bench.finish()
    moved = bench.contouring.prompts.keys[10].box
    assert (moved.x1, moved.y1) == (box.x1, box.y1)
    assert (moved.x0, moved.y0) == (box.x0 + 4, box.y0 + 6)
    assert points() == 4 and bench.contouring.correcting is None
    # Without the button a corner is a place to begin a rectangle at.
    hands.drag("Red", bench.xy("Red", 10, moved.y0, moved.x0), bench.xy("Red", 10, moved.y0 + 9, moved.x0 + 8))
    bench.finish()
    assert bench.contouring.prompts.keys[10].box.xyxy == (moved.x0, moved.y0, moved.x0 + 8, moved.y0 + 9)


def test_escape_leaves_a_rectangle_that_was_to_be_corrected(bench: Any) -> None:
    bench.drag()
    box = bench.contouring.prompts.keys[10].box
    bench.ui.keysTable.selectRow(0)
    bench.host.hands.click(bench.ui.correctKeyButton)
    assert bench.host.hands.key("Escape")
    assert "corner" not in bench.ui.noteLabel.text and bench.contouring.prompts.keys[10].box == box
    assert not bench.host.hands.key("Escape")


def test_confidence_strip_and_doubtful_slices(bench_with: Callable[[str], Any]) -> None:
    bench = bench_with("effect_service:DoubtingService")
    bench.drag()
    ui, first = bench.ui, min(found.index for found in bench.contouring.result)
    assert ui.stripTable.columnCount == len(bench.contouring.result)
    doubtful = [first + n for n in range(ui.stripTable.columnCount) if ui.stripTable.item(0, n).text() == "!"]
    assert doubtful == [8, 12, 16] or doubtful == [4, 8, 12, 16]
    assert ui.stripTable.item(0, 10 - first).text() == "◆"
    assert "confidence 20 %, doubtful" in ui.stripTable.item(0, 8 - first).toolTip()
    assert (
        ui.stripTable.item(0, 8 - first).background().color().name()
        != ui.stripTable.item(0, 9 - first).background().color().name()
    )
    assert f"{ {3: 'three', 4: 'four'}[len(doubtful)] } of them doubtful" in ui.resultLabel.text

    def shown() -> int:
        from MedSAMSlicerLib.effect.slice_views import geometry_of

        return bench.contouring.index_in(geometry_of(bench.host.hands.view("Red")))

    ui.stripTable.cellClicked.emit(0, 9 - first)
    assert shown() == 9
    bench.host.hands.click(ui.nextDoubtfulButton)
    assert shown() == 12
    bench.host.hands.shortcut("N")
    assert shown() == 16
    bench.host.hands.shortcut("N")
    assert shown() == doubtful[0]


def test_shortcuts_work_only_while_the_effect_is_active(bench: Any) -> None:
    bench.drag()
    bench.host.hands.shortcut("Ctrl+Return")
    assert (bench.voxels() == bench.truth).all()
    bench.host.editor.setActiveEffect(None)
    with pytest.raises(AssertionError, match="no enabled shortcut"):
        bench.host.hands.shortcut("Ctrl+Return")
