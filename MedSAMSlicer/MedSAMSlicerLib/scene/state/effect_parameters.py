"""The effect's options, stored in the scene as attributes of the Segment Editor's parameter node.

Scripts set them by `scriptedEffect.setParameter("Reach", "slice")`, or as attributes such as ``MedSAM.Reach``:

================ ============================================================================ ===============
name             values                                                                       default
================ ============================================================================ ===============
Model            key of the catalogue, or of an imported model                                litemedsam_plus
Device           auto (chosen by the check of this computer), or a key of `DEVICE_NAMES`       auto
Window           auto, display (as the volume is shown), a preset's name, or LEVEL,WIDTH      auto
Reach            object (as far as it extends), slice (the key slice only), range             object
ReachStart       first slice of the range, in ReachPlane; -1: not set                         -1
ReachEnd         last slice of the range                                                      -1
ReachPlane       plane of these two, as `Plane.text` gives it; none: not set                  none
Mode             add, replace, remove                                                         add
ApplyAtOnce      0, 1                                                                         0
EncodeAhead      0, 1                                                                         1
ShowModelInput   0, 1                                                                         0
Prompts          key slices of each segment with their rectangles, points and masks; none     none
================ ============================================================================ ===============

Prompts is JSON: segment ID -> `prompts.Prompts.content`. Two points on slice 12, for example:
``{"tumour": {"plane": "K", "keys": {"12": {"points": [[31.5, 40, 1], [60, 22, 0]], "origin": "clicked"}}}}``
(column, row, and 1 for object or 0 for background).

Node references: ``MedSAM.ROI``; ``MedSAM.PromptVolume`` and ``MedSAM.PromptSegmentation``, to which the prompts belong.
Prompts for another volume or segmentation are in ``MedSAM.Prompts2``, ``MedSAM.PromptVolume2``, and so on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Literal, cast

import slicer

from ...engine.environment import DEFAULT_MODEL
from ...engine.errors import InputError
from ...engine.i18n import tr as _
from ...engine.intensity import CT_PRESETS
from ...engine.model_choice import DEVICES, ModelChoice
from ...engine.models.catalogue import all_models, find_model, known_model, refused_kinds
from .modes import MODES, Mode

EFFECT_NAME = "MedSAM"
REACHES = ("object", "slice", "range")
WINDOWS = ("auto", "display", *CT_PRESETS)
DEFAULTS = {
    "Model": DEFAULT_MODEL,
    "Device": "auto",
    "Window": "auto",
    "Reach": "object",
    "ReachStart": "-1",
    "ReachEnd": "-1",
    "ReachPlane": "none",
    "Mode": "add",
    "ApplyAtOnce": "0",
    "EncodeAhead": "1",
    "ShowModelInput": "0",
    "Prompts": "none",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "Device": DEVICES,
    "Reach": REACHES,
    "Mode": MODES,
    "ApplyAtOnce": ("0", "1"),
    "EncodeAhead": ("0", "1"),
    "ShowModelInput": ("0", "1"),
}
_NODES = ("ROI",)

Reach = Literal["object", "slice", "range"]


class EffectParameters:
    """Reads, writes and validates the options.

    Args:
        node: the Segment Editor's parameter node.
        preferred: returns the best device and runtime of this computer, or "auto". They are not stored in the scene,
            which may be opened on another computer.
    """

    def __init__(
        self,
        node: slicer.vtkMRMLSegmentEditorNode,
        preferred: Callable[[], tuple[str, str]] = lambda: ("auto", "auto"),
    ) -> None:
        self.node = node
        self._preferred = preferred

    def set_defaults(self) -> None:
        """Set every option without a value to its default."""
        for name, value in DEFAULTS.items():
            if not self.node.GetAttribute(_full(name)):
                self._write(name, self._checked(name, value))

    def get(self, name: str) -> str:
        """Value of an option. Raises InputError if the value stored in the scene is invalid, or there is no such option."""
        return self._checked(name, self.node.GetAttribute(_full(name)) or DEFAULTS.get(name, ""))

    def as_it_stands(self, name: str) -> str:
        """Value of an option, valid or not; its default if it has none."""
        return self.node.GetAttribute(_full(name)) or DEFAULTS[name]

    def set(self, name: str, value: str) -> None:
        """Raises InputError if the value is invalid; the option keeps its value then."""
        self._write(name, self._checked(name, value))

    def flag(self, name: str) -> bool:
        return self.get(name) == "1"

    def number(self, name: str) -> int:
        return int(self.get(name))

    @property
    def choice(self) -> ModelChoice:
        """Model, device and runtime."""
        return ModelChoice.preferring(self.get("Model"), self.get("Device"), self._preferred())

    @property
    def prompt_kinds(self) -> frozenset[str]:
        """Kinds of prompts that the chosen model takes ("box", "points", "mask"); none if the choice is invalid."""
        try:
            return find_model(self.get("Model")).prompts
        except InputError:
            return frozenset()

    def takes(self, kinds: Collection[str]) -> bool:
        """Whether the chosen model takes a prompt of these kinds, see `refused_kinds`; False if the choice is invalid."""
        return not refused_kinds(kinds, self.prompt_kinds)

    @property
    def mode(self) -> Mode:
        return cast(Mode, self.get("Mode"))

    @property
    def reach(self) -> Reach:
        return cast(Reach, self.get("Reach"))

    def reference(self, name: str) -> slicer.vtkMRMLNode | None:
        """Node that an option refers to; None if there is none."""
        return self.node.GetNodeReference(_full(name)) if name in _NODES else None

    def set_reference(self, name: str, node: slicer.vtkMRMLNode | None) -> None:
        if name not in _NODES:
            raise InputError(
                _("there is no node option '{name}': choose one of {names}").format(name=name, names=", ".join(_NODES))
            )
        if node is not self.reference(name):
            self._refer(name, node)
            self._notify()

    def _refer(self, name: str, node: slicer.vtkMRMLNode | None) -> None:
        self.node.SetNodeReferenceID(_full(name), node.GetID() if node is not None else None)

    def prompts_of(
        self,
        segment_id: str,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
    ) -> object | None:
        """What `set_prompts_of` has stored for a segment of this segmentation and this volume; None if nothing."""
        slot = self._slot_of(volume_node, segmentation_node)
        return None if slot is None else self._prompts(slot).get(segment_id)

    def set_prompts_of(
        self,
        segment_id: str,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        content: object | None,
    ) -> None:
        """Store JSON-compatible `content` for a segment; None removes what is stored."""
        slot = self._slot_of(volume_node, segmentation_node)
        stored = {} if slot is None else self._prompts(slot)
        stored = {name: value for name, value in stored.items() if name != segment_id}
        if content is not None:
            stored[segment_id] = content
        if slot is None:
            if not stored:
                return
            slot = self._free_slot()
            self._refer(f"PromptVolume{slot}", volume_node)
            self._refer(f"PromptSegmentation{slot}", segmentation_node)
        self._write(f"Prompts{slot}", json.dumps(stored) if stored else "none")

    def _slots(self) -> Iterator[str]:
        """Suffixes of the attributes that hold prompts: "", "2", "3" ..., one for each pair of volume and segmentation."""
        number, slot = 1, ""
        while self.node.GetAttribute(_full(f"Prompts{slot}")):
            yield slot
            number += 1
            slot = str(number)

    def _pair(self, slot: str) -> tuple[slicer.vtkMRMLNode | None, slicer.vtkMRMLNode | None]:
        roles = (_full(f"PromptVolume{slot}"), _full(f"PromptSegmentation{slot}"))
        return self.node.GetNodeReference(roles[0]), self.node.GetNodeReference(roles[1])

    def _slot_of(self, volume_node: object, segmentation_node: object) -> str | None:
        return next((slot for slot in self._slots() if self._pair(slot) == (volume_node, segmentation_node)), None)

    def _free_slot(self) -> str:
        """A slot whose volume or segmentation is gone, or a new one."""
        slots = list(self._slots())
        return next((slot for slot in slots if None in self._pair(slot)), str(len(slots) + 1) if slots else "")

    def _prompts(self, slot: str) -> dict[str, object]:
        text = self.node.GetAttribute(_full(f"Prompts{slot}")) or "none"
        return {} if text == "none" else _mapping(text)

    @staticmethod
    def _checked(name: str, value: str) -> str:
        if name not in DEFAULTS:
            raise InputError(
                _("there is no option '{name}': choose one of {names}").format(name=name, names=", ".join(DEFAULTS))
            )
        if name in _CHOICES and value not in _CHOICES[name]:
            raise InputError(
                _("option {name} is {value!r}: choose one of {choices}").format(
                    name=name, value=value, choices=", ".join(_CHOICES[name])
                )
            )
        if name == "Model" and known_model(value) is None:
            raise InputError(
                _("option {name} is {value!r}: choose one of {choices}").format(
                    name=name, value=value, choices=", ".join(spec.key for spec in all_models())
                )
            )
        if name in ("ReachStart", "ReachEnd") and not value.removeprefix("-").isdecimal():
            raise InputError(
                _("option {name} is {value!r}: give the number of a slice, or -1 for none").format(
                    name=name, value=value
                )
            )
        if name == "Window" and value not in WINDOWS:
            level_and_width(value)
        if name == "Prompts" and value != "none":
            _mapping(value)
        return value

    def _write(self, name: str, value: str) -> None:
        if self.node.GetAttribute(_full(name)) == value:
            return
        # As in Slicer's own effects: ModifiedEvent would update the whole Segment Editor.
        before = self.node.GetDisableModifiedEvent()
        self.node.SetDisableModifiedEvent(1)
        self.node.SetAttribute(_full(name), value)
        self.node.SetDisableModifiedEvent(before)
        self._notify()

    def _notify(self) -> None:
        self.node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)


def level_and_width(text: str) -> tuple[float, float]:
    """Parses "LEVEL,WIDTH". Raises InputError if the text has another form."""
    try:
        level, width = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            _("option Window is {text!r}: choose {windows}, or LEVEL,WIDTH").format(
                text=text, windows=", ".join(WINDOWS)
            )
        ) from None
    return level, width


def _full(name: str) -> str:
    return f"{EFFECT_NAME}.{name}"


def _mapping(text: str) -> dict[str, object]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(_("option Prompts cannot be read: set it to none and draw the rectangles again"))
    return content
