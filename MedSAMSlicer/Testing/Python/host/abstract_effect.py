"""SegmentEditorEffects.AbstractScriptedSegmentEditorEffect: the Python base class of effects."""

from __future__ import annotations

from typing import Any

import slicer

from .doubles import double


class AbstractScriptedSegmentEditorEffect:
    """Turns plain numbers into Qt's points and vectors, and back."""

    def __init__(self, scriptedEffect: Any) -> None:
        self.scriptedEffect = scriptedEffect

    def register(self) -> None:
        slicer.qSlicerSegmentEditorEffectFactory.instance().registerEffect(self.scriptedEffect)

    def cleanup(self) -> None:
        """To be overridden."""

    def rasToXy(self, ras: Any, viewWidget: Any) -> list[int]:
        point = self.scriptedEffect.rasToXy(double("QVector3D")(*ras), viewWidget)
        return [point.x(), point.y()]

    def xyzToRas(self, xyz: Any, viewWidget: Any) -> list[float]:
        return _three(self.scriptedEffect.xyzToRas(double("QVector3D")(*xyz), viewWidget))

    def xyToRas(self, xy: Any, viewWidget: Any) -> list[float]:
        return _three(self.scriptedEffect.xyToRas(double("QPoint")(xy[0], xy[1]), viewWidget))

    def xyzToIjk(self, xyz: Any, viewWidget: Any, image: Any, parentTransformNode: Any = None) -> list[int]:
        vector = self.scriptedEffect.xyzToIjk(double("QVector3D")(*xyz), viewWidget, image, parentTransformNode)
        return [int(number) for number in _three(vector)]

    def xyToIjk(self, xy: Any, viewWidget: Any, image: Any, parentTransformNode: Any = None) -> list[int]:
        point = double("QPoint")(xy[0], xy[1])
        vector = self.scriptedEffect.xyToIjk(point, viewWidget, image, parentTransformNode)
        return [int(number) for number in _three(vector)]


def _three(vector: Any) -> list[float]:
    return [vector.x(), vector.y(), vector.z()]
