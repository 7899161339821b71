"""Slicer module MedSAMSlicer: panel, logic, sample data and Segment Editor effect.

The library is imported when it is first needed, so that Slicer starts quickly.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

HOMEPAGE = "https://github.com/MedSAMSlicer/MedSAMSlicer"


class MedSAMSlicer(ScriptedLoadableModule):
    """Module metadata and startup actions."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSAMSlicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["MedSAMSlicer maintainers"]
        parent.helpText = _(
            "Contours tumours and organs from boxes with MedSAM models, on this computer."
            " For research use; not a medical device."
            ' See the <a href="{homepage}">documentation</a>.'
        ).format(homepage=HOMEPAGE)
        parent.acknowledgementText = _(
            "Built on MedSAM and LiteMedSAM (Ma et al., Nature Communications 15, 654, 2024)"
            " and Segment Anything (Kirillov et al., ICCV 2023)."
        )
        slicer.app.connect("startupCompleted()", self.recordEvents)
        slicer.app.connect("startupCompleted()", self.applySettings)
        slicer.app.connect("startupCompleted()", self.registerSampleData)
        slicer.app.connect("startupCompleted()", self.registerEffect)

    @staticmethod
    def recordEvents() -> None:
        """Set up logging, and record events for 'Copy details'."""
        from MedSAMSlicerLib.engine.diagnostics.details import record_events

        record_events()

    @staticmethod
    def applySettings() -> None:
        """Pass the settings to child processes, and install the translations."""
        from MedSAMSlicerLib.panel import settings, translation

        settings.apply()
        translation.install()

    @staticmethod
    def registerSampleData() -> None:
        """Add the data sets to the Sample Data module."""
        from MedSAMSlicerLib.panel.setup.sample_data import register_sample_data

        def load(source):
            from MedSAMSlicerLib.panel.sample import load_sample

            return load_sample(source)

        register_sample_data(load)

    @staticmethod
    def registerEffect() -> None:
        """Register the MedSAM effect with the Segment Editor."""
        from MedSAMSlicerLib.effect.registration import register_effect

        register_effect()


class MedSAMSlicerWidget(ScriptedLoadableModuleWidget):
    """The module's panel."""

    logic = None
    panel = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        # `slicer.util.getModuleLogic` finds the logic of a scripted module in this attribute.
        self.logic = MedSAMSlicerLogic()
        from MedSAMSlicerLib.panel.panel import Panel

        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSAMSlicer.ui"))
        self.layout.addWidget(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.panel = Panel(slicer.util.childWidgetVariables(self.uiWidget))

    def enter(self) -> None:
        """Refresh the panel; called when the user opens the module."""
        if self.panel is not None:
            self.panel.enter()

    def cleanup(self) -> None:
        """End all jobs and inference processes; called before the module is unloaded or reloaded."""
        if self.panel is not None:
            self.panel.close()
        if self.logic is not None:
            self.logic.close()


class MedSAMSlicerLogic(ScriptedLoadableModuleLogic):
    """Python API in Slicer: ``slicer.util.getModuleLogic("MedSAMSlicer")``. Installs and downloads nothing.

    Works without the Segment Editor, a main window or a network connection. Inference runs in one child process, which is
    reused for the next segmentation. All errors are `MedSAMSlicerLib.engine.errors.MedSAMError`, with one line of text for
    the user. If a segmentation fails, the scene is unchanged.
    """

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        self.segmentationRunner = None

    def segment(self, volumeNode, roiNode=None, segmentationNode=None, segmentName="Segment", **options) -> str:
        """Segment an object, wait until its segment is written, and return the ID of the segment.

        Slicer processes events while it waits. The arguments are those of `startSegmentation`.

        Raises:
            MedSAMError: an argument is invalid, another segmentation is running, the segmentation failed or was
                cancelled, a node was deleted, or the application is closing.
        """
        task = self.startSegmentation(volumeNode, roiNode, segmentationNode, segmentName, **options)
        return self._runner().wait(task)

    def startSegmentation(
        self,
        volumeNode,
        roiNode=None,
        segmentationNode=None,
        segmentName="Segment",
        *,
        box=None,
        keySlices=None,
        points=None,
        pointLabels=None,
        mask=None,
        keyMasks=None,
        sliceRange=None,
        axis=None,
        window="auto",
        model=None,
        device="auto",
        mode="add",
        progress=None,
        finished=None,
    ):
        """Start to segment an object and return immediately. Only one segmentation can run at a time.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode, or vtkMRMLVectorVolumeNode with colours.
            roiNode: vtkMRMLMarkupsROINode around the object, of any rotation; masks are cropped to it.
            segmentationNode: vtkMRMLSegmentationNode; None: a new one in the geometry of the volume, with display nodes.
            segmentName: name of the segment; it is created if the segmentation has no segment of this name.
            box: in place of an ROI, ((i0, i1), (j0, j1), (k0, k1)): first and last voxel along I, J and K, included.
            keySlices: slice index -> (x0, y0, x1, y1) in slice pixels, edges included; or a mapping with one or more of
                "box": (x0, y0, x1, y1), "points": [(x, y, True or False), ...] (True: in the object) and "mask": (rows,
                columns) array.
            points, pointLabels: (N, 3) voxel indices (i, j, k) and, for each, whether it lies in the object; by
                default all do.
            mask: bool (K, J, I) array, a rough mask. Models that do not accept points or masks raise an error.
            keyMasks: (K, J, I) labelmap, or slice index -> (rows, columns) mask: final masks, which every model takes.
            sliceRange: first and last slice that may contain the object; None: the propagation ends where the object ends.
                With an ROI or a box, the range is that of the box.
            axis: index axis across the slices, "I", "J" or "K"; None: the axis with the largest spacing. On slices across
                K, x and y are voxel indices along I and J; across J, along I and K; across I, along J and K.
            window: "auto", "display" (as the volume is displayed), a CT preset such as "lung", or (level, width).
            model: key of the model, one of `usableModels`; None: the default model.
            device: "auto", "cpu", "cpu-bf16", "cpu-int8", "cuda", "mps", "intel-gpu" or "intel-npu".
            mode: "add" the object to the segment, "replace" the segment by it, or "remove" it from the segment.
            progress: called with a `scene.worker.progress.Progress` for each stage and each slice.
            finished: called once at the end, with the ID of the segment (a str) or with a `MedSAMError`.

        Returns:
            `scene.editing.segment_task.SegmentTask`: `cancel()`, `running`, `progress`, `segment_id`, `error`, `result`.

        Raises:
            MedSAMError: an argument is invalid, or another segmentation is running.
        """
        return self._runner().start(
            volumeNode,
            roiNode,
            segmentationNode,
            segmentName,
            box=box,
            key_slices=keySlices,
            points=points,
            point_labels=pointLabels,
            mask=mask,
            key_masks=keyMasks,
            slice_range=sliceRange,
            axis=axis,
            window=window,
            model=model,
            device=device,
            mode=mode,
            progress=progress,
            finished=finished,
        )

    def close(self) -> None:
        """Cancel the running segmentation and end the inference process."""
        if self.segmentationRunner is not None:
            self.segmentationRunner.close()

    def _runner(self):
        if self.segmentationRunner is None:
            from MedSAMSlicerLib.logic.segmentation_runner import SegmentationRunner

            self.segmentationRunner = SegmentationRunner()
        return self.segmentationRunner

    def missingPackages(self) -> list[str]:
        """Names of the required Python packages that are not installed."""
        from MedSAMSlicerLib.panel.setup import packages

        return [package.name for package in packages.missing(packages.required_packages())]

    def usableModels(self) -> list[str]:
        """Keys of the models whose weights are installed.

        Raises:
            MedSAMError: required packages are missing.
        """
        from MedSAMSlicerLib.panel import settings
        from MedSAMSlicerLib.panel.setup.model_inventory import ModelInventory

        return [model.spec.key for model in ModelInventory(settings.VerifiedWeights()).models() if model.usable]

    def device(self) -> str:
        """Device that the check of this computer selected, such as "cpu" or "cuda"; "auto" before the first check."""
        from MedSAMSlicerLib.panel import settings

        return settings.device()


class MedSAMSlicerTest(ScriptedLoadableModuleTest):
    """Tests that run in Slicer, with ctest or 'Reload and Test'. They need no network, weights or packages."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        self.setUp()
        self.test_panel_opens_and_says_what_to_do_next()
        self.setUp()
        self.test_panel_asks_for_no_more_room_after_ten_refreshes()
        self.setUp()
        self.test_nothing_heavy_was_imported_by_the_panel()
        self.setUp()
        self.test_scripts_find_the_logic()

    def test_panel_opens_and_says_what_to_do_next(self) -> None:
        from MedSAMSlicerLib import __version__

        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("MedSAMSlicer")
        panel = slicer.modules.medsamslicer.widgetRepresentation()
        texts = [label.text for label in slicer.util.findChildren(panel, className="QLabel")]
        self.assertTrue(any(__version__ in text for text in texts), texts)
        self.assertTrue(any("Next:" in text or "Ready" in text for text in texts), texts)

    def test_panel_asks_for_no_more_room_after_ten_refreshes(self) -> None:
        widget = slicer.util.getModuleWidget("MedSAMSlicer")
        sizes = []
        for _number in range(10):
            widget.panel.refresh()
            slicer.app.processEvents()
            sizes.append((widget.uiWidget.sizeHint.width(), widget.uiWidget.sizeHint.height()))
        self.assertEqual(sizes, sizes[:1] * 10)

    def test_nothing_heavy_was_imported_by_the_panel(self) -> None:
        import sys

        logic = MedSAMSlicerLogic()
        before = "torch" in sys.modules
        missing = logic.missingPackages()
        self.assertEqual(before, "torch" in sys.modules)
        self.assertTrue(all(isinstance(name, str) for name in missing))

    def test_scripts_find_the_logic(self) -> None:
        from MedSAMSlicerLib.engine.errors import MedSAMError

        logic = slicer.util.getModuleLogic("MedSAMSlicer")
        self.assertIs(logic, slicer.util.getModuleLogic("MedSAMSlicer"))
        volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        try:
            logic.segment(volumeNode, keySlices={20: (318, 333, 404, 398)})
            self.fail("a volume without voxels was segmented")
        except MedSAMError as error:
            self.assertIn("no voxels", str(error))
