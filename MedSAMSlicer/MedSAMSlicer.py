"""Slicer module of MedSAMSlicer: its panel, its samples, its effect. Nothing heavy is imported before it is needed."""

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
    """What Slicer's module list shows."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSAMSlicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["MedSAMSlicer maintainers"]
        parent.helpText = _(
            "Contours tumours and organs from a box with MedSAM models, on this computer."
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
        """Have the log show what runs, and remember it for 'Copy details'."""
        from MedSAMSlicerLib.engine.details import record_events

        record_events()

    @staticmethod
    def applySettings() -> None:
        """Put folders and limits where inference processes look for them."""
        from MedSAMSlicerLib.panel import settings, translation

        settings.apply()
        translation.install()

    @staticmethod
    def registerSampleData() -> None:
        """Add the samples to the Sample Data module."""
        from MedSAMSlicerLib.panel.setup.sample_data import register_sample_data

        register_sample_data()

    @staticmethod
    def registerEffect() -> None:
        """Add the effect MedSAM to the Segment Editor."""
        from MedSAMSlicerLib.effect.registration import register_effect

        register_effect()


class MedSAMSlicerWidget(ScriptedLoadableModuleWidget):
    """The module's panel."""

    panel = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from MedSAMSlicerLib.panel.panel import Panel

        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSAMSlicer.ui"))
        self.layout.addWidget(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.panel = Panel(slicer.util.childWidgetVariables(self.uiWidget))

    def enter(self) -> None:
        """The user has opened the module."""
        if self.panel is not None:
            self.panel.enter()

    def cleanup(self) -> None:
        """The module is about to be unloaded or reloaded."""
        if self.panel is not None:
            self.panel.close()


class MedSAMSlicerLogic(ScriptedLoadableModuleLogic):
    """What scripts may ask the module. Installs and downloads nothing."""

    def missingPackages(self) -> list[str]:
        """Names of the Python packages that have to be installed first."""
        from MedSAMSlicerLib.panel.setup import packages

        return [package.name for package in packages.missing(packages.needed_packages())]

    def usableModels(self) -> list[str]:
        """Keys of the models whose weights are on this computer. Raises MedSAMError while packages are missing."""
        from MedSAMSlicerLib.panel import settings
        from MedSAMSlicerLib.panel.setup.model_inventory import ModelInventory

        return [model.spec.key for model in ModelInventory(settings.VerifiedWeights()).models() if model.usable]

    def device(self) -> str:
        """Device that the check of this computer chose; "auto" before it has run."""
        from MedSAMSlicerLib.panel import settings

        return settings.device()


class MedSAMSlicerTest(ScriptedLoadableModuleTest):
    """Run inside Slicer by ctest and by 'Reload and Test'. Needs no network, no weights and no packages."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        self.setUp()
        self.test_panel_opens_and_says_what_to_do_next()
        self.setUp()
        self.test_nothing_heavy_was_imported_by_the_panel()

    def test_panel_opens_and_says_what_to_do_next(self) -> None:
        from MedSAMSlicerLib import __version__

        slicer.util.selectModule("MedSAMSlicer")
        panel = slicer.modules.medsamslicer.widgetRepresentation()
        texts = [label.text for label in slicer.util.findChildren(panel, className="QLabel")]
        self.assertTrue(any(__version__ in text for text in texts), texts)
        self.assertTrue(any("Next:" in text or "Ready" in text for text in texts), texts)

    def test_nothing_heavy_was_imported_by_the_panel(self) -> None:
        import sys

        logic = MedSAMSlicerLogic()
        before = "torch" in sys.modules
        missing = logic.missingPackages()
        self.assertEqual(before, "torch" in sys.modules)
        self.assertTrue(all(isinstance(name, str) for name in missing))
