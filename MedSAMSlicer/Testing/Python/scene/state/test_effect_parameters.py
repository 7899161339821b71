"""The effect's options in the scene: checked, saved, and of the segment that they belong to."""

from __future__ import annotations

from typing import Any

import pytest

from MedSAMSlicerLib.engine.errors import InputError

slicer = pytest.importorskip("slicer", reason="the scene layer needs Slicer's MRML (slicer-core)")
from MedSAMSlicerLib.scene.state.effect_parameters import DEFAULTS, EffectParameters  # noqa: E402


@pytest.fixture
def parameters(scene_builder: Any) -> EffectParameters:
    made = EffectParameters(scene_builder.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    made.set_defaults()
    return made


def test_defaults_do_not_replace_what_is_there(parameters: EffectParameters) -> None:
    assert {name: parameters.get(name) for name in DEFAULTS} == DEFAULTS
    parameters.set("Reach", "slice")
    parameters.set_defaults()
    assert parameters.reach == "slice"


def test_automatic_is_what_suits_the_computer_and_is_not_saved(parameters: EffectParameters) -> None:
    assert (parameters.choice.device, parameters.choice.runtime) == ("auto", "auto")
    here = EffectParameters(parameters.node, lambda: ("cpu", "openvino"))
    assert (here.choice.device, here.choice.runtime) == ("cpu", "openvino")
    assert parameters.node.GetAttribute("MedSAM.Device") == "auto"
    here.set("Device", "cuda")
    assert (here.choice.device, here.choice.runtime) == ("cuda", "auto")
    here.set("Device", "cpu")
    assert (here.choice.device, here.choice.runtime) == ("cpu", "openvino")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Model", "best"), ("Device", "gpu"), ("Reach", "all"), ("Mode", "paint"), ("ApplyAtOnce", "yes"),
        ("ReachStart", "first"), ("Window", "wide"), ("Window", "1,2,3"), ("Prompts", "{"), ("Prompts", "[1]"),
    ],
)  # fmt: skip
def test_values_that_mean_nothing_are_refused(parameters: EffectParameters, name: str, value: str) -> None:
    with pytest.raises(InputError, match=name):
        parameters.set(name, value)
    assert parameters.get(name) == DEFAULTS[name]
    parameters.node.SetAttribute(f"MedSAM.{name}", value)
    with pytest.raises(InputError, match=name):
        parameters.get(name)


def test_an_option_that_does_not_exist_is_refused(parameters: EffectParameters) -> None:
    for refused in (lambda: parameters.get("Colour"), lambda: parameters.set("Colour", "red")):
        with pytest.raises(InputError, match="Colour"):
            refused()


def test_a_change_is_told_as_slicers_effects_tell_it(parameters: EffectParameters) -> None:
    recorded: list[str] = []
    node = parameters.node
    node.AddObserver(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified, lambda *_: recorded.append("parameter"))
    node.AddObserver("ModifiedEvent", lambda *_: recorded.append("node"))
    parameters.set("Mode", "remove")
    parameters.set("Mode", "remove")
    assert recorded == ["parameter"]


def test_options_and_nodes_are_saved_with_the_scene(
    scene_builder: Any, parameters: EffectParameters, tmp_path: Any
) -> None:
    volume = scene_builder.volume_in("oblique")
    segmentation = scene_builder.segmentation(volume, "tumour")
    roi = scene_builder.roi((0, 0, 0), (3, 3, 3))
    parameters.set("Window", "40,400")
    parameters.set_reference("ROI", roi)
    parameters.set_prompts_of("tumour", volume, segmentation, {"any": [1, 2.5, "text"]})
    parameters.set_prompts_of("tumour", volume, scene_builder.segmentation(volume, "tumour"), {"of": "the second"})
    scene_builder.scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene_builder.scene.Commit()
    scene_builder.scene.Clear(0)
    for name in ("vtkMRMLSegmentEditorNode", "vtkMRMLMarkupsROINode"):
        scene_builder.scene.RegisterNodeClass(getattr(slicer, name)())
    scene_builder.scene.SetURL(str(tmp_path / "scene.mrml"))
    scene_builder.scene.Import()
    again = EffectParameters(scene_builder.scene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode"))
    assert again.get("Window") == "40,400"
    loaded = [
        scene_builder.scene.GetFirstNodeByClass(f"vtkMRML{kind}Node") for kind in ("ScalarVolume", "Segmentation")
    ]
    assert again.prompts_of("tumour", *loaded) == {"any": [1, 2.5, "text"]}
    second = scene_builder.scene.GetNthNodeByClass(1, "vtkMRMLSegmentationNode")
    assert again.prompts_of("tumour", loaded[0], second) == {"of": "the second"}


def test_prompts_belong_to_a_segment_of_a_segmentation_over_a_volume(
    scene_builder: Any, parameters: EffectParameters
) -> None:
    volume, other = scene_builder.volume_in("oblique"), scene_builder.volume_in("oblique")
    segmentation = scene_builder.segmentation(volume, "a", "b")
    parameters.set_prompts_of("a", volume, segmentation, {"of": "a"})
    parameters.set_prompts_of("b", volume, segmentation, {"of": "b"})
    assert parameters.prompts_of("a", volume, segmentation) == {"of": "a"}
    assert parameters.prompts_of("a", other, segmentation) is None
    parameters.set_prompts_of("a", volume, segmentation, None)
    assert parameters.prompts_of("a", volume, segmentation) is None
    assert parameters.prompts_of("b", volume, segmentation) == {"of": "b"}
    parameters.set_prompts_of("a", other, segmentation, {"of": "the other"})
    assert parameters.prompts_of("b", other, segmentation) is None
    assert parameters.prompts_of("a", other, segmentation) == {"of": "the other"}
    assert parameters.prompts_of("b", volume, segmentation) == {"of": "b"}


def test_prompts_whose_volume_is_gone_make_room(scene_builder: Any, parameters: EffectParameters) -> None:
    first, second, third = (scene_builder.volume_in("oblique") for _ in range(3))
    segmentation = scene_builder.segmentation(first, "a")
    for volume in (first, second):
        parameters.set_prompts_of("a", volume, segmentation, {"of": volume.GetID()})
    scene_builder.scene.RemoveNode(first)
    parameters.set_prompts_of("a", third, segmentation, {"of": "the third"})
    assert parameters.prompts_of("a", third, segmentation) == {"of": "the third"}
    assert parameters.prompts_of("a", second, segmentation) == {"of": second.GetID()}
    assert parameters.node.GetAttribute("MedSAM.Prompts3") is None
