"""Slice views that VTK really draws, into memory, with whatever OpenGL there is: without a graphics card, in software."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..clock import clock

_PROBE = """
import vtk
window = vtk.vtkRenderWindow()
window.SetOffScreenRendering(1)
window.AddRenderer(vtk.vtkRenderer())
window.Render()
assert window.SupportsOpenGL()
"""


@functools.cache
def available() -> bool:
    """Whether VTK can draw here. Asked in another process: where it cannot, some of its versions end theirs."""
    return subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, check=False).returncode == 0


def draw_off_screen(slice_view: Any) -> list[int]:
    """Has a slice view drawn from now on.

    Returns:
        The turn of the event loop of each drawing, as VTK tells it; grows.
    """
    state, window, drawn = slice_view.__dict__, vtk.vtkRenderWindow(), []
    window.SetOffScreenRendering(1)
    window.SetSize(*state["_node"].GetDimensions()[:2])
    window.SetNumberOfLayers(state["_window"].GetNumberOfLayers())
    for renderer in list(state["_window"].GetRenderers()):
        state["_window"].RemoveRenderer(renderer)
        window.AddRenderer(renderer)
    state["_interactor"].SetRenderWindow(window)
    state.update(_window=window, drawing=True)
    window.AddObserver("StartEvent", lambda *_: drawn.append(clock.cycle))
    return drawn


def pixels(slice_view: Any) -> np.ndarray:
    """(height, width, 3) uint8 array of what was drawn last, the lowest row first."""
    source = vtk.vtkWindowToImageFilter()
    source.SetInput(slice_view.renderWindow())
    source.ShouldRerenderOff()
    source.ReadFrontBufferOff()
    source.Update()
    image = source.GetOutput()
    width, height, _depth = image.GetDimensions()
    return np.asarray(vtk_to_numpy(image.GetPointData().GetScalars())).reshape(height, width, -1)[..., :3]
