"""Slicer's own Python modules that slicer-core does not bring: translation, scripted modules, packages, sample data."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer
import vtk

from .doubles import double

installed: list[Any] = []
in_progress: list[Any] = []
translated: list[tuple[str, str]] = []


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        for ending in (".svg", ".png"):
            icon = os.path.join(os.path.dirname(parent.path), "Resources/Icons", self.moduleName + ending)
            if os.path.isfile(icon):
                parent.icon = double("QIcon")(icon)
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return f'<a href="{slicer.app.moduleDocumentationUrl(docPage or self.moduleName)}">online documentation</a>'

    def runTest(self, msec: int = 100, **options: Any) -> None:
        file = importlib.import_module(type(self).__module__)
        case = getattr(file, f"{self.moduleName}Test")()
        case.messageDelay = msec
        case.runTest(**options)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent if parent is not None else double("qMRMLWidget")()
        if parent is None:
            self.parent.setLayout(double("QVBoxLayout")())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        self.setupDeveloperSection()

    def setupDeveloperSection(self) -> None:
        """Hidden unless Slicer is in developer mode, which the host never is."""

    def cleanup(self) -> None:
        """To be overridden."""

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        return node or self.createParameterNode()

    def createParameterNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        return slicer.mrmlScene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.messageDelay = 100

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Says nothing and does not wait."""

    def runTest(self) -> None:
        self.setUp()


class SampleDataSource(SimpleNamespace):
    """A registered data set, with the attributes that Slicer's has."""


class SampleDataLogic:
    """Downloads nothing: a file is there if a test has put it into the cache, as if it had been downloaded before."""

    def __init__(self, logMessage: Any = None) -> None:
        if logMessage is not None:
            self.logMessage = logMessage

    def logMessage(self, message: str, logLevel: int = logging.DEBUG) -> None:
        """Replaced by that of the module's widget, which shows what is going on."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None,
        customDownloader=None, thumbnailFileName=None, loadFileTypes=None, loadFiles=None, loadFileProperties={},  # noqa: B006
        checksums=None, loadFileType=None,
    ) -> None:  # fmt: skip
        if loadFileType is not None and loadFileTypes is not None:
            raise ValueError("loadFileType and loadFileTypes cannot be given both")
        source = SampleDataSource(**{key: value for key, value in locals().items() if key != "category"})
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in sources:
            sources.append(source)

    def sourceForSampleName(self, sampleName: str) -> Any:
        sources = [one for category in slicer.modules.sampleDataSources.values() for one in category]
        return next((source for source in sources if source.sampleName == sampleName), None)

    def downloadFromSource(self, source: Any, maximumAttemptsCount: int = 3, forceDownload: bool = False) -> list[Any]:
        """Ignores the source's own downloader, as Slicer's does."""
        folder = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory())
        nodes = vtk.vtkCollection()
        for name, node_name, kind in zip(source.fileNames, source.nodeNames, source.loadFileTypes, strict=True):
            if (folder / name).is_file():
                slicer.app.coreIOManager().loadNodes(kind, {"fileName": str(folder / name), "name": node_name}, nodes)
            else:
                self.logMessage(f"Failed to download {name}", logging.ERROR)
        return [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]


def tr(text: str) -> str:
    translated.append(("", text))
    return text


def translate(context: str, text: str) -> str:
    translated.append((context, text))
    return text


def pip_check(req: Any, _seen: Any = None) -> bool:
    """Whether requirements are there, of this Python."""
    from packaging.requirements import Requirement

    requirements = [Requirement(one) if isinstance(one, str) else one for one in _listed(req)]
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            return False
        if not requirement.specifier.contains(version, prereleases=True):
            return False
    return True


def _listed(req: Any) -> list[Any]:
    return list(req) if isinstance(req, list | tuple) else [req]


def load_requirements(path: Any) -> list[Any]:
    from packaging.requirements import Requirement

    with open(path, encoding="utf-8") as file:
        lines = [line.split("#")[0].strip() for line in file]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pip_install(
    requirements, constraints=None, no_deps_requirements=None, skip_packages=None, blocking=True,
    show_progress=True, requester=None, logCallback=None, completedCallback=None,
) -> None:  # fmt: skip
    """Installs nothing: `host.installed` says what would have been. If it does not block, it ends after a moment."""
    if blocking:
        installed.append(requirements)
        return
    in_progress.append(requirements)

    def complete() -> None:
        in_progress.remove(requirements)
        installed.append(requirements)
        if completedCallback is not None:
            completedCallback(0)

    if logCallback is not None:
        logCallback("Collecting packages")
    double("QTimer").singleShot(50, complete)


def isPipInstallInProgress() -> bool:
    return bool(in_progress)


def pip_ensure(
    requirements, constraints=None, skip_packages=None, prompt_install=True, prompt_restart=True, requester=None,
    skip_in_testing=True, show_progress=True,
) -> None:  # fmt: skip
    if not pip_check(requirements):
        installed.append(requirements)


def get_context(sourceFile: str) -> str:
    """Name of the file, after that of its folder if that is a package."""
    file = Path(sourceFile)
    in_package = file.with_name("__init__.py").is_file()
    return f"{file.parent.name}.{file.stem}" if in_package else file.stem


def modules() -> dict[str, ModuleType]:
    """Name in sys.modules -> module."""
    content: dict[str, dict[str, Any]] = {
        "slicer.i18n": {"tr": tr, "translate": translate, "getContext": get_context},
        "slicer.ScriptedLoadableModule": {
            cls.__name__: cls
            for cls in (
                ScriptedLoadableModule,
                ScriptedLoadableModuleWidget,
                ScriptedLoadableModuleLogic,
                ScriptedLoadableModuleTest,
            )
        },  # fmt: skip
        "slicer.packaging": {
            f.__name__: f for f in (pip_check, pip_ensure, pip_install, load_requirements, isPipInstallInProgress)
        },
        "SampleData": {"SampleDataLogic": SampleDataLogic},
    }
    made = {}
    for name, names in content.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(names)
    return made
