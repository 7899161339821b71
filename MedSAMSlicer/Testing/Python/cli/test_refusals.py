"""Bad input gets one clear line and status 2, and nothing is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from MedSAMSlicerLib.engine.intensity import CT_PRESETS

ANY_BOX = ("--box", 1, 2, 1, 2, 1, 2)
RECT = ("--slice", 3, "--rect", 1, 2, 1, 2)


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "mentions"),
        [
            ([], ["COMMAND", "see 'medsam-slicer --help'"]),
            (["contour"], ["contour", "segment"]),
            (["segment"], ["IMAGE", "--output", "see 'medsam-slicer segment --help'"]),
            (["segment", "ct.nrrd", *ANY_BOX], ["--output"]),
            (
                ["segment", "ct.nrrd", "--output", "a.nrrd", *ANY_BOX, "--colour", "red"],
                ["--colour red", "see 'medsam-slicer segment --help'"],
            ),
            (["--colour", "models", "list"], ["--colour", "see 'medsam-slicer --help'"]),
            (["models", "list", "--colour"], ["--colour", "see 'medsam-slicer models list --help'"]),
            (["segment", "ct.nrrd", "--out", "a.nrrd", *ANY_BOX], ["--output"]),
            (["segment", "ct.nrrd", "--output", "a.nrrd", "--box", 1, 2, 3], ["--box", "6"]),
            (["segment", "ct.nrrd", "--output", "a.nrrd", "--box", 1, 2, 3, 4, 5, 6.5], ["--box", "6.5"]),
            (
                ["segment", "ct.nrrd", "--output", "a.nrrd"],
                ["one prompt is needed, none was given: give --box, --roi, --key-mask, or --slice with --rect"],
            ),
            (
                ["segment", "ct.nrrd", "--output", "a.nrrd", *ANY_BOX, *RECT],
                ["one prompt is needed, --box and --slice with --rect were given: give"],
            ),
            (
                ["segment", "ct.nrrd", "--output", "a.nrrd", *ANY_BOX, "--roi", "r.mrk.json", "--slice", 3],
                ["one prompt is needed, --box, --roi and --slice were given: give"],
            ),
            (["segment", "ct.nrrd", "--output", "a.nrrd", "--slice", 3], ["--slice and --rect", "both"]),
            (["segment", "ct.nrrd", "--output", "a.nrrd", "--rect", 1, 2, 3, 4], ["--slice and --rect", "both"]),
            (["segment", "ct.nrrd", "--output", "a.nrrd", *ANY_BOX, "--key", "1:1,2,1,2"], ["--key", "--rect"]),
            (["segment", "ct.nrrd", "--output", "a.nrrd", *ANY_BOX, "--consensus", 1], ["--consensus 1", "2 to 100"]),
            (
                ["segment", "ct.nrrd", "--output", "a.nrrd", *ANY_BOX, "--consensus", 101],
                ["--consensus 101", "2 to 100"],
            ),
            (["models", "improt"], ["improt", "list"]),
            (["models", "import", "file.pth"], ["--as"]),
            (["models", "import", "file.pth", "--as", "unet"], ["'unet'", "choose one of litemedsam_plus, "]),
            (["models", "download", "unet"], ["'unet'", "choose one of litemedsam_plus, "]),
        ],
        ids=str,
    )
    def test_a_command_line_that_cannot_be_understood(
        self, refused: Callable, arguments: list[object], mentions: list[str]
    ) -> None:
        with refused(*mentions) as run:
            run(*arguments)

    def test_help_names_every_window_and_the_exit_statuses(self, capsys: pytest.CaptureFixture[str]) -> None:
        from MedSAMSlicerLib.cli.main import main

        for arguments, words in ((["segment"], [*CT_PRESETS, "LEVEL,WIDTH", "--roi"]), ([], ["130 interrupted"])):
            with pytest.raises(SystemExit) as ended:
                main([*arguments, "--help"])
            assert ended.value.code == 0
            shown = " ".join(capsys.readouterr().out.split())
            assert [word for word in words if word not in shown] == []


@pytest.fixture
def refuses_image(refused: Callable, tmp_path: Path) -> Callable[..., None]:
    """Expects that an image is refused, whatever the prompt."""

    def check(path: Path, *mentions: object) -> None:
        with refused(path, *mentions) as run:
            run("segment", path, "--output", tmp_path / "out.nrrd", *ANY_BOX)

    return check


class TestImages:
    def test_a_missing_file(self, refuses_image: Callable, tmp_path: Path) -> None:
        refuses_image(tmp_path / "my  chest.nrrd", "does not exist")

    def test_a_damaged_file(self, refuses_image: Callable, image_file: Path) -> None:
        image_file.write_bytes(image_file.read_bytes()[:-2000])
        refuses_image(image_file, "damaged")

    def test_a_file_of_another_kind(self, refuses_image: Callable, tmp_path: Path) -> None:
        (tmp_path / "chest.pdf").write_bytes(b"%PDF-1.7")
        refuses_image(tmp_path / "chest.pdf", "NRRD", "DICOM file")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may read anything")
    def test_a_file_that_may_not_be_read(self, refuses_image: Callable, image_file: Path) -> None:
        image_file.chmod(0)
        refuses_image(image_file, "permissions")

    def test_a_folder_without_a_series(self, refuses_image: Callable, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        refuses_image(tmp_path / "empty", "no DICOM")

    def test_a_folder_with_two_series(
        self, refuses_image: Callable, series: Callable[..., Path], phantom: Any, tmp_path: Path
    ) -> None:
        folder = series(tmp_path / "dicom", phantom.voxels[:3])
        refuses_image(series(folder, phantom.voxels[3:6]), "2 volumes")

    @pytest.mark.parametrize(
        ("heights", "mention"), [([0, 3, 9, 12], "misses 1 slice"), ([0, 3, 7.5, 10.5], "unevenly spaced")]
    )
    def test_a_series_with_gaps(
        self,
        refuses_image: Callable,
        series: Callable[..., Path],
        phantom: Any,
        tmp_path: Path,
        heights: list[float],
        mention: str,
    ) -> None:
        refuses_image(series(tmp_path / "dicom", phantom.voxels[:4], heights), mention)

    @pytest.mark.parametrize(
        ("image", "mention"),
        [
            (lambda voxels: sitk.GetImageFromArray(voxels[0]), "2D image"),
            (lambda voxels: sitk.JoinSeries([sitk.GetImageFromArray(voxels)] * 2), "2 frames"),
            (lambda voxels: sitk.Compose([sitk.GetImageFromArray(voxels)] * 3), "3 values per voxel"),
            (lambda voxels: sitk.GetImageFromArray(np.full((4, 5, 6), 40, np.int16)), "constant"),
        ],
    )
    def test_an_image_that_is_not_one_volume(
        self,
        refuses_image: Callable,
        phantom: Any,
        tmp_path: Path,
        image: Callable[[np.ndarray], sitk.Image],
        mention: str,
    ) -> None:
        path = tmp_path / "image.nii.gz" if mention == "2 frames" else tmp_path / "image.nrrd"
        sitk.WriteImage(image(phantom.voxels), str(path))
        refuses_image(path, mention)


@pytest.fixture
def refuses(refused: Callable, image_file: Path, tmp_path: Path) -> Callable[..., None]:
    """Expects that options are refused for a good image."""

    def check(*options: object, mentions: list[object], status: int = 2) -> None:
        with refused(*mentions, status=status) as run:
            run("segment", image_file, "--output", tmp_path / "out.seg.nrrd", *options)

    return check


class TestPrompts:
    @pytest.mark.parametrize(
        ("options", "mentions"),
        [
            (["--box", 1, 64, 1, 2, 1, 2], ["--box I0 I1 = 1 64", "I runs from 0 to 63"]),
            (["--box", 1, 2, 1, 2, -1, 2], ["--box K0 K1 = -1 2", "K runs from 0 to 6"]),
            (["--box", 70, 90, 1, 2, 1, 2], ["lies outside the volume"]),
            (["--box", 1, 2, 30, 20, 1, 2], ["--box: J0 = 30 is above J1 = 20"]),
            (["--slice", 7, "--rect", 1, 2, 1, 2], ["--slice: slice 7 lies outside", "K runs from 0 to 6"]),
            (["--slice", 3, "--rect", 1, 2, 1, 64], ["--rect: B0 B1 = 1 64", "J runs from 0 to 63"]),
            (["--slice", 3, "--rect", 9, 2, 1, 5], ["--rect: A0 = 9 is above A1 = 2"]),
            (["--axis", "I", "--slice", 3, "--rect", 1, 9, 1, 7], ["--rect: B0 B1 = 1 7", "K runs from 0 to 6"]),
            ([*RECT, "--key", "-1:1,2,1,2"], ["--key -1:1,2,1,2", "slice -1 lies outside"]),
            ([*RECT, "--key", "4:2,1,1,2"], ["--key 4:2,1,1,2", "A0 = 2 is above A1 = 1"]),
            ([*RECT, "--key", "3:1,2,1,2"], ["slice 3 has a rectangle already"]),
            ([*RECT, "--key", "4:1,2,3"], ["'4:1,2,3'", "N:A0,A1,B0,B1"]),
            ([*RECT, "--key", "middle"], ["'middle'", "N:A0,A1,B0,B1"]),
        ],
        ids=str,
    )
    def test_a_prompt_that_is_outside_or_turned_over(
        self, refuses: Callable, options: list[object], mentions: list[object]
    ) -> None:
        refuses(*options, mentions=mentions)

    def test_roi_files_that_cannot_be_used(self, refuses: Callable, roi_file: Callable[..., Path]) -> None:
        missing = roi_file([0, 60, 20], [30, 30, 12])
        missing.unlink()
        refuses("--roi", missing, mentions=[missing, "does not exist"])
        two = roi_file([0, 60, 20], [30, 30, 12], count=2)
        refuses("--roi", two, mentions=[two, "2 markups", "one ROI by itself"])
        refuses("--roi", roi_file([900, 60, 20], [30, 30, 12]), mentions=["lies outside the volume"])
        refuses("--roi", roi_file([0, 60, 20], [30, 0, 12]), mentions=["is empty"])
        two.write_text("not JSON")
        refuses("--roi", two, mentions=[two, "not JSON"])


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "mentions"),
        [
            (["--axis", "Z"], ["'Z'", "I, J or K"]),
            (["--model", "unet"], ["'unet'", "choose one of litemedsam_plus, "]),
            (["--window", "fog"], ["'fog'", "soft-tissue", "LEVEL,WIDTH"]),
            (["--window", "-600,0"], ["'-600,0'", "width above 0"]),
            (["--window", "-600,100"], ["shows nothing of this image", "100 to 600"]),
            (["--device", "tpu"], ["'tpu'", "cpu"]),
            (["--runtime", "tea"], ["'tea'", "auto, torch"]),
        ],
        ids=str,
    )
    def test_a_choice_that_does_not_exist(
        self, refuses: Callable, litemedsam_weights: Path, options: list[object], mentions: list[object]
    ) -> None:
        refuses(*ANY_BOX, *options, mentions=mentions)


class TestOutputs:
    @pytest.mark.parametrize(
        ("output", "mentions"),
        [
            ("missing/out.nrrd", ["missing", "does not exist", "create it"]),
            ("out.stl", ["ending", ".seg.nrrd, .nrrd, .nii.gz, .mha"]),
            ("chest.nrrd", ["same file as the input"]),
            ("link.nrrd", ["same file as the input"]),
            ("x" * 300 + ".nrrd", ["was not written"]),
        ],
    )
    def test_an_output_that_cannot_be(
        self, refused: Callable, image_file: Path, tmp_path: Path, output: str, mentions: list[str]
    ) -> None:
        (tmp_path / "link.nrrd").symlink_to(image_file)
        with refused(*mentions) as run:
            run("segment", image_file, "--output", tmp_path / output, *ANY_BOX)

    @pytest.mark.parametrize(
        ("option", "name", "mentions"),
        [
            ("--report", "missing/report.json", ["missing", "does not exist"]),
            ("--preview", "missing/preview.png", ["missing", "does not exist"]),
            ("--report", "report.txt", [".json"]),
            ("--preview", "preview.jpg", [".png"]),
            ("--report", "out.nrrd", ["--output and --report name the same file"]),
            ("--preview", "out.nrrd", ["--output and --preview name the same file"]),
            ("--report", "R.mrk.json", ["same file as the input"]),
            ("--preview", "chest.nrrd", [".png"]),
        ],
    )
    def test_a_report_or_preview_that_cannot_be(
        self,
        refused: Callable,
        image_file: Path,
        roi_file: Callable[..., Path],
        tmp_path: Path,
        option: str,
        name: str,
        mentions: list[str],
    ) -> None:
        roi = roi_file([0, 60, 20], [30, 30, 12])
        with refused(*mentions) as run:
            run("segment", image_file, "--output", tmp_path / "out.nrrd", "--roi", roi, option, tmp_path / name)

    def test_an_output_among_the_slices_that_are_read(
        self, refused: Callable, series: Callable[..., Path], phantom: Any, tmp_path: Path
    ) -> None:
        folder = series(tmp_path / "dicom", phantom.voxels[:3])
        with refused(folder, "choose another folder") as run:
            run("segment", folder, "--output", folder / "out.nrrd", *ANY_BOX)
            run("segment", folder, "--output", tmp_path / "out.nrrd", "--report", folder / "report.json", *ANY_BOX)

    def test_a_folder_that_is_not_writable(
        self, refuses: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Rights do not bind administrators, so the system's refusal is acted.
        def no_file(**_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tempfile, "TemporaryFile", no_file)
        refuses(*ANY_BOX, mentions=[tmp_path / "out.seg.nrrd", "not writable", "another folder"])


class TestWeights:
    """The right image and prompt, but no weights: status 3."""

    def test_weights_that_are_not_here(
        self, refuses: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEDSAM_SLICER_WEIGHTS", "")
        monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path / "cache"))
        mentions = ["medsam_vit_b.pth", "md5:3bb6db55", "zenodo.org", "models import FILE --as medsam"]
        refuses(*ANY_BOX, "--model", "medsam", mentions=mentions, status=3)

    def test_a_weights_file_that_is_missing(self, refuses: Callable, tmp_path: Path) -> None:
        wanted = tmp_path / "mine.pth"
        refuses(*ANY_BOX, "--weights", wanted, mentions=[wanted, "does not exist", "sha256:79d8c9"], status=3)

    def test_a_weights_file_with_the_wrong_checksum(self, refuses: Callable, tmp_path: Path) -> None:
        wrong = tmp_path / "lite_medsam.pth"
        wrong.write_bytes(b"weights of something else")
        refuses(*ANY_BOX, "--weights", wrong, mentions=[wrong, "sha256", "79d8c9", "LiteMedSAM"], status=3)
