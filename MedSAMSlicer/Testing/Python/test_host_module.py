"""A scripted module in the host: loaded, shown, reloaded, its sample data registered."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
import slicer
import slicer.util

from host.application import Host
from host.facts import DATA
from host.regenerate import api_of_supported_releases, compact

pytest_plugins = ["host.fixture"]

MODULE = """
import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

heard = []


class HostTrial(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Trial")
        slicer.app.connect("startupCompleted()", self.begin)

    def begin(self):
        import SampleData

        SampleData.SampleDataLogic.registerCustomSampleDataSource(category="Trial", sampleName="CT", uris="file:///x")


class HostTrialWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.button = qt.QPushButton(_("Go"))
        self.layout.addWidget(self.button)

    def cleanup(self):
        heard.append("cleanup")
"""


@pytest.fixture
def trial(host: Host, tmp_path: Path) -> Path:
    file = tmp_path / "HostTrial.py"
    file.write_text(MODULE)
    host.load_module(file)
    host.complete_startup()
    return file


def test_module_is_listed_with_what_it_says_of_itself(host: Host, trial: Path) -> None:
    assert slicer.modules.hosttrial.title == "Trial"
    assert slicer.util.modulePath("HostTrial") == str(trial)
    assert slicer.modules.sampleDataSources["Trial"][0].sampleName == "CT"


def test_panel_is_made_once_and_made_anew_by_reload(host: Host, trial: Path) -> None:
    panel = slicer.modules.hosttrial.widgetRepresentation()
    assert panel is slicer.modules.hosttrial.widgetRepresentation()
    assert [button.text for button in slicer.util.findChildren(panel, className="QPushButton")] == ["Go"]
    old = sys.modules["HostTrial"]
    trial.write_text(MODULE.replace('"Go"', '"Go on"'))
    slicer.util.reloadScriptedModule("HostTrial")
    assert old.heard == ["cleanup"]
    assert [button.text for button in slicer.util.findChildren(panel, className="QPushButton")] == ["Go on"]


def test_packages_are_asked_for_and_never_installed(host: Host) -> None:
    import slicer.packaging

    assert slicer.packaging.pip_check("numpy>=1")
    assert not slicer.packaging.pip_check(["numpy>=1", "no-such-package-at-all"])
    slicer.packaging.pip_ensure("no-such-package-at-all")
    slicer.util.pip_install("another")
    assert host.installed == ["no-such-package-at-all", "another"]


def test_data_files_say_what_the_lists_say(shared_dir: Path) -> None:
    """The copies were made of the lists that lie beside the repository, and nothing was changed by hand."""

    def data(name: str) -> dict:
        return json.loads(gzip.decompress((DATA / name).read_bytes()))

    api = json.loads((shared_dir / "slicer_api.json").read_text(encoding="utf-8"))
    assert data("slicer_api.json.gz") == api_of_supported_releases(api)
    with gzip.open(shared_dir / "slicer_runtime.json.gz") as file:
        runtime = json.load(file)
    assert data("slicer_runtime.json.gz") == compact(runtime, data("slicer_qt_facts.json.gz"))
    assert sum(file.stat().st_size for file in DATA.glob("slicer_*")) < 700_000
