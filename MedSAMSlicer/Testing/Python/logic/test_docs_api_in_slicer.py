"""The snippets of docs/api.md that only Slicer can run, in the order of the page, in the test host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from logic.conftest import LogicFixture

_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_snippets_for_slicer_run(
    logic_fixture: LogicFixture, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    k, j, i = np.ogrid[:30, :410, :410]
    inside = ((k - 20) / 5) ** 2 + ((j - 365) / 30) ** 2 + ((i - 361) / 40) ** 2 <= 1
    slicer.mrmlScene.RemoveNode(logic_fixture.volume)
    volume = slicer.util.addVolumeFromArray(np.where(inside, 30, -800).astype(np.int16), name="CT")
    logic_fixture.volume = volume
    segmentation = logic_fixture.segmentation()
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    roi.SetCenter(361, 365, 20)
    roi.SetSize(100, 80, 14)

    page = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    snippets = [code for code in _SNIPPET.findall(page) if "slicer." in code]
    assert len(snippets) == 3
    names: dict[str, Any] = {"slicer": slicer}
    for code in snippets:
        if "run" in names:
            logic_fixture.host.wait_until(lambda: not names["run"].running, 60)
        exec(compile(code, "docs/api.md", "exec"), names)  # noqa: S102

    assert segmentation.GetSegmentation().GetSegment(names["segmentId"]).GetName() == "GTV"
    run = names["run"]
    assert run.error is None and run.segment_id in capsys.readouterr().out
    found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, run.segment_id, volume) > 0
    assert found.any() and not (found & ~inside).any()
    assert "cpu: review slices" in slicer.util.mainWindow().statusBar().currentMessage()
