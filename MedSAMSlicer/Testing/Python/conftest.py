"""Fixtures that tests of every floor share."""

from __future__ import annotations

import gc
import os
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from MedSAMSlicerLib.engine.model_choice import ModelChoice

# As the command line does, and before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests that run side by side must not compete for the cores that they share.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MEDSAM_SLICER_THREADS", "1")

# The compiler of PyTorch, which nothing here uses, brings an LLVM along. If it is loaded after the one with which VTK draws
# where there is no graphics card, the process ends.
sys.modules.setdefault("triton", None)  # type: ignore[arg-type]

# A shell's background jobs ignore Ctrl-C, and so would every program that the tests start there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[3]
SLOW_FIXTURES = frozenset({"host", "litemedsam_weights", "small_weights"})
"""The application, the real model, and all families: `make test-fast` leaves out what needs one of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    # Processes that share the work get file after file: one that takes long and came last would be waited for.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What the libraries made when they were imported stays: garbage is looked for among the tests' own objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither use nor fill the user's cache folder. A model that one of them converts is there for all of them.

    Processes of pytest-xdist share the folder.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSAM_SLICER_CACHE", str(folder))
        patch.delenv("MEDSAM_SLICER_WEIGHTS", raising=False)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference outputs and development data that lie beside the repository, on the developers' machines only."""
    folder = ROOT.parent / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip(f"needs the reference data in {folder}, which are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def litemedsam_weights() -> Path:
    """The LiteMedSAM weights that are installed. In CI, where `make env` has installed them, they must be there."""
    from MedSAMSlicerLib.engine.errors import WeightsError
    from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
    from MedSAMSlicerLib.engine.models.weights import find_weights

    try:
        return find_weights(CATALOGUE["litemedsam"])
    except WeightsError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights made by a rule, of every family at its smallest."""
    from support.small_families import SMALL_FAMILIES, write_small_weights

    folder = tmp_path_factory.mktemp("small weights")
    return {key: write_small_weights(key, folder) for key in SMALL_FAMILIES}


@pytest.fixture
def small_choice(monkeypatch: pytest.MonkeyPatch, small_weights: dict[str, Path]) -> Callable[[str], ModelChoice]:
    """Has the catalogue load the small families; gives the choice of one of them."""
    from MedSAMSlicerLib.engine.model_choice import ModelChoice
    from support.small_families import use_small_families

    use_small_families(monkeypatch, small_weights)
    return lambda key: ModelChoice(key, str(small_weights[key]), device="cpu", runtime="torch")


@pytest.fixture(autouse=True)
def _own_embedding_caches() -> Iterator[None]:
    """Effects and logics of earlier tests that still exist are no owners of a cache in this one."""
    from MedSAMSlicerLib.panel.setup import embedding_caches

    # Not with monkeypatch: it would then be undone last, after the host that other patches need.
    before, embedding_caches._owners = embedding_caches._owners, weakref.WeakSet()
    yield
    embedding_caches._owners = before
