"""Points and masks of key slices are saved with the scene, and read from it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import slicer

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.prompts import Box, Points
from MedSAMSlicerLib.scene.state.prompts import KeySlice, Prompts
from MedSAMSlicerLib.scene.state.stored_mask import StoredMask
from MedSAMSlicerLib.scene.volume.view_plane import Plane
from support.two_rod_phantom import FIRST, SECOND, TwoRodPhantom, same


def test_clicks_and_masks_stand_in_the_scene(two_rods: TwoRodPhantom) -> None:
    two_rods.click(FIRST)
    two_rods.run()
    two_rods.click(FIRST)
    two_rods.click(SECOND, negative=True, k=9)
    again = two_rods.open()
    assert again.state.prompts == two_rods.contouring.state.prompts
    assert again.state.prompts is not None and again.state.prompts.keys[7].mask == two_rods.keys[7].mask is not None
    # Whoever opens the scene sees them, undoes them one by one, and runs from there.
    two_rods.contouring = again
    again.look_at(two_rods.along("K", 9))
    two_rods.wait()
    assert same(two_rods.seen(), two_rods.first[9]) and not again.mouse.escape()
    assert again.points.undo() and list(two_rods.keys) == [7]
    two_rods.run()
    assert same(two_rods.found(), two_rods.first)


def test_logits_and_masks_are_saved_to_a_file(two_rods: TwoRodPhantom, scene_builder: Any, tmp_path: Any) -> None:
    """As large as SAM's, and of noise, which packs badly."""
    noise = np.random.default_rng(4).normal(0, 9, (256, 256)).astype(np.float32)
    keys = {
        index: KeySlice(Box(1, 2, 30.5, 20), "corrected", Points(((3, 4.25),), (False,)), mask)
        for index, mask in ((5, StoredMask.of_logits(noise, "sam_vit_h")), (7, StoredMask.of_mask(noise > 0)))
    }
    prompts = Prompts(Plane("K"), keys)
    two_rods.contouring.state.change_prompts(prompts)
    file = tmp_path / "scene.mrml"
    scene_builder.scene.SetURL(str(file))
    assert scene_builder.scene.Commit()
    loaded = slicer.vtkMRMLScene()
    for kind in ("SegmentEditorNode", "SegmentationNode"):
        loaded.RegisterNodeClass(getattr(slicer, f"vtkMRML{kind}")())
    loaded.SetURL(str(file))
    assert loaded.Connect()
    text = loaded.GetFirstNodeByClass("vtkMRMLSegmentEditorNode").GetAttribute("MedSAM.Prompts")
    assert Prompts.from_content(json.loads(text)["tumour"]) == prompts


def test_a_script_sets_points_in_the_scene(two_rods: TwoRodPhantom) -> None:
    content = {"plane": "K", "keys": {"7": {"box": None, "points": [[13, 12, 1], [31, 28, 0]], "origin": "clicked"}}}
    two_rods.parameters.set_prompts_of("tumour", two_rods.volume, two_rods.segmentation, content)
    two_rods.contouring.read_prompts()
    assert two_rods.keys[7] == KeySlice(None, "clicked", Points(((13, 12), (31, 28)), (True, False)))
    two_rods.run()
    assert same(two_rods.found(), two_rods.first)


@pytest.mark.parametrize(
    "key",
    [
        {"points": [[1, 2]], "origin": "clicked"},
        {"points": [], "origin": "clicked"},
        {"points": [[1, 2, 0]], "origin": "clicked"},
        {"mask": "mask:4:4:no base 64", "origin": "segment"},
        {"mask": "mask:4000000:4000000:eJw=", "origin": "segment"},
        {"points": [[1, 2, 1]], "origin": "somewhere"},
    ],
)
def test_what_cannot_be_read_is_told(two_rods: TwoRodPhantom, key: dict[str, Any]) -> None:
    content = {"plane": "K", "keys": {"7": key}}
    two_rods.parameters.set_prompts_of("tumour", two_rods.volume, two_rods.segmentation, content)
    two_rods.contouring.read_prompts()
    assert two_rods.contouring.problem is not None and two_rods.keys == {}


def test_logits_are_for_the_model_that_gave_them() -> None:
    logits = np.linspace(-20, 20, 12, dtype=np.float32).reshape(3, 4)
    kept = StoredMask.of_logits(logits, "sam_vit_b")
    assert kept == StoredMask(kept.text) and kept.prompt.logits is not None
    assert np.abs(kept.prompt.logits - logits).max() < 0.01
    key = KeySlice(Box(1, 1, 3, 3), "corrected", mask=kept)
    assert key.prompt_for("sam_vit_b").kinds == {"box", "mask"} and key.prompt_for("sam_med2d").kinds == {"box"}
    alone = Prompts(Plane("K"), {2: KeySlice(None, "corrected", mask=kept)})
    with pytest.raises(InputError, match="the prompt is empty"):
        alone.stack_prompt("sam_med2d")


def test_a_mask_comes_back_pixel_by_pixel() -> None:
    mask = np.random.default_rng(2).random((37, 53)) > 0.7
    kept = StoredMask(StoredMask.of_mask(mask).text)
    assert kept == StoredMask.of_mask(mask) and same(kept.prompt.mask, mask)
    assert kept.fits("sam_vit_b") and kept.fits("sam_med2d")
    assert kept != StoredMask.of_mask(~mask)
