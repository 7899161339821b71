"""Slicer module of MedSAMSlicer: says what is installed and how to begin. Nothing heavy is imported here."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

from MedSAMSlicerLib import __version__

HOMEPAGE = "https://github.com/MedSAMSlicer/MedSAMSlicer"


class MedSAMSlicer(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSAMSlicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
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


class MedSAMSlicerWidget(ScriptedLoadableModuleWidget):
    """The module's panel: version and first steps."""

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        label = qt.QLabel(getting_started())
        label.wordWrap = True
        label.openExternalLinks = True
        self.layout.addWidget(label)
        self.layout.addStretch(1)


def getting_started() -> str:
    """The panel's text, as HTML."""
    return _(
        "<h3>MedSAMSlicer {version}</h3>"
        "<p>This version segments from the command line; an effect for the Segment Editor is not part of it yet.</p>"
        "<ol>"
        '<li>Install the command line as the <a href="{homepage}">documentation</a> says.</li>'
        "<li>Save the volume as NRRD, NIfTI or MetaImage, or take the folder of its DICOM series.</li>"
        "<li>Draw a Markups ROI around the object and save it as a .mrk.json file.</li>"
        "<li>Run <tt>medsam-slicer segment IMAGE --roi ROI.mrk.json --output RESULT.seg.nrrd</tt>.</li>"
        "<li>Drop RESULT.seg.nrrd on Slicer to load the segmentation, and check it slice by slice.</li>"
        "</ol>"
    ).format(version=__version__, homepage=HOMEPAGE)


class MedSAMSlicerTest(ScriptedLoadableModuleTest):
    """Run inside Slicer by ctest and by 'Reload and Test'."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        self.setUp()
        self.test_panel_opens_and_says_which_version_is_installed()

    def test_panel_opens_and_says_which_version_is_installed(self) -> None:
        slicer.util.selectModule("MedSAMSlicer")
        panel = slicer.modules.medsamslicer.widgetRepresentation()
        texts = [label.text for label in slicer.util.findChildren(panel, className="QLabel")]
        self.assertTrue(any(__version__ in text for text in texts), texts)
