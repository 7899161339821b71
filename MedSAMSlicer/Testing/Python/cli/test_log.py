"""``--verbose`` and ``--log FILE``: the log of a command, for a report that names no patient."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from cli.conftest import BOX, CommandResult, Phantom
from MedSAMSlicerLib.cli import evaluate as evaluate_command
from MedSAMSlicerLib.engine.diagnostics import log
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL
from MedSAMSlicerLib.evaluation.evaluate import evaluate
from support.threshold_model import load_threshold_model

NAME = "Müller^Hans 19540312"
PRIVATE = ("Müller", "Hans", "hans.mueller", "19540312")


@pytest.fixture(autouse=True)
def _errors_are_logged_whatever_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "REPEAT_SECONDS", -1.0)


@pytest.fixture
def patient(phantom: Phantom, tmp_path: Path) -> Path:
    """An image named like a patient, in a folder of a user named like one."""
    folder = tmp_path / "home" / "hans.mueller" / NAME
    folder.mkdir(parents=True)
    sitk.WriteImage(phantom.image(), str(folder / f"{NAME}.nrrd"))
    return folder


def test_a_run_is_logged_with_versions_size_and_cost_on_standard_error_and_in_the_file(
    segment: Callable[..., CommandResult], patient: Path, tmp_path: Path
) -> None:
    image, output, file = patient / f"{NAME}.nrrd", patient / f"{NAME}.seg.nrrd", tmp_path / "run.log"
    quiet = segment(image, "--output", output, "--box", *BOX, "--segment-name", NAME)
    assert quiet.status == 0 and quiet.err == ""
    loud = segment(image, "--output", output, "--box", *BOX, "--segment-name", NAME, "--verbose", "--log", file)
    assert loud.status == 0
    assert loud.out.splitlines()[-1] == quiet.out.splitlines()[-1]
    written = file.read_text(encoding="utf-8")
    for text in (loud.err, written):
        for part in (
            "MedSAMSlicer 0.", "Python 3.", "torch ", "command segment begins",
            f"run begins: {DEFAULT_MODEL} on 7 slices of 64 x 64 pixels, spacing 4 x 1.5 x 1.5 mm",
            f"run finished: {DEFAULT_MODEL} on cpu", "5 slices in", "command segment ended after",
        ):  # fmt: skip
            assert part in text
        assert not any(part in text for part in PRIVATE)


def test_without_the_options_nothing_is_printed_or_written_and_a_file_is_added_to(
    medsam_slicer: Callable[..., CommandResult], tmp_path: Path
) -> None:
    file = tmp_path / "all.txt"
    file.write_text("what was there\n")
    plain = medsam_slicer("models")
    assert plain.err == "" and file.read_text() == "what was there\n"
    for arguments in (["models", "--log", file], ["models", "list", "--log", file], ["models", "--log", file, "list"]):
        ran = medsam_slicer(*arguments)
        assert (ran.status, ran.out, ran.err) == (0, plain.out, "")
    assert file.read_text().startswith("what was there\n")
    assert file.read_text().count("command models begins") == 3
    assert "command models begins" in medsam_slicer("models", "--verbose").err
    assert medsam_slicer("models").err == ""
    assert logging.getLogger("MedSAMSlicer").level == logging.NOTSET


def test_errors_leave_a_traceback_in_the_log_and_one_line_on_standard_error(
    medsam_slicer: Callable[..., CommandResult], patient: Path, tmp_path: Path
) -> None:
    image, file = patient / f"{NAME}.nrrd", tmp_path / "run.log"
    damaged = patient / f"{NAME}.nii.gz"
    damaged.write_bytes(b"no gzip")
    (patient / f"{NAME}.mrk.json").write_text("[")
    box = ["--box", *BOX]
    refused: list[list[object]] = [
        ["segment", patient / "gone.nrrd", "--output", patient / "a.nrrd", *box],
        ["segment", damaged, "--output", patient / "a.nrrd", *box],
        ["segment", image, "--output", patient / NAME / "a.nrrd", *box],
        ["segment", image, "--output", patient / "a.nrrd", "--roi", patient / f"{NAME}.mrk.json"],
        ["segment", image, "--output", patient / "a.nrrd", *box, "--window", NAME],
        ["segment", image, "--output", patient / "a.nrrd", *box, "--weights", patient / "w.pth"],
        ["segment", image, "--output", patient / "a.nrrd", *box, "--model", NAME],
        ["segment", patient, "--output", tmp_path / "a.nrrd", *box],
        ["evaluate", patient / f"{NAME}.csv", "--prompt", "box3d", "--output", tmp_path / "a.csv"],
        ["models", "import", damaged, "--as", "medsam"],
    ]
    for arguments in refused:
        file.unlink(missing_ok=True)
        ran = medsam_slicer(*arguments, "--log", file)
        assert ran.status in (2, 3) and ran.err.startswith("medsam-slicer: ") and ran.err.count("\n") == 1
        written = file.read_text(encoding="utf-8")
        assert written.count("Traceback (most recent call last):") >= 1
        assert "WARNING MedSAMSlicer.cli.main: command" in written
        assert written.rstrip().splitlines()[-1].count("ended after") == 1
        assert not any(part in written for part in PRIVATE), written


def test_names_inside_dicom_files_stay_there(
    segment: Callable[..., CommandResult], phantom: Phantom, series: Callable[..., Path], patient: Path, tmp_path: Path
) -> None:
    import pydicom

    folder, file = series(patient / "series", phantom.voxels), tmp_path / "run.log"
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Mueller^Hans", "hans.mueller", "19540312"
        ds.save_as(path)
    assert segment(folder, "--output", patient / "a.seg.nrrd", "--box", *BOX, "--log", file).status == 0
    next(folder.iterdir()).write_bytes(b"\0" * 128 + b"DICM" + b"cut off")
    assert segment(folder, "--output", patient / "a.seg.nrrd", "--box", *BOX, "--log", file).status == 2
    written = file.read_text(encoding="utf-8")
    assert "run finished" in written and "Traceback" in written
    assert not any(part in written for part in (*PRIVATE, "Mueller", "IM0"))


def test_processes_that_evaluate_side_by_side_write_into_one_log(
    patient: Path,
    tmp_path: Path,
    litemedsam_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    medsam_slicer: Callable[..., CommandResult],
    phantom: Phantom,
) -> None:
    monkeypatch.setattr(evaluate_command, "evaluate", partial(evaluate, load=load_threshold_model))
    sitk.WriteImage(phantom.image(np.where(phantom.truth, 90, -100).astype(np.int16)), str(patient / "ct.nrrd"))
    sitk.WriteImage(phantom.image(phantom.truth.astype(np.uint8)), str(patient / "label.nrrd"))
    cases = patient / "cases.csv"
    lines = [f'{NAME} {n},CT,ct.nrrd,label.nrrd,{value},K,"0,300"' for n, value in enumerate((1, 7))]
    cases.write_text("\n".join(["id,modality,image,label,value,axis,window", *lines]) + "\n", encoding="utf-8")
    file = tmp_path / "run.log"
    ran = medsam_slicer("evaluate", cases, "--prompt", "box3d", "--output", tmp_path / "r.csv", "--log", file)
    assert ran.status == 2 and f"case {NAME} 1" in ran.err
    written = file.read_text(encoding="utf-8")
    assert f"run finished: {DEFAULT_MODEL}; 7 slices of 64 x 64 pixels" in written
    assert "WARNING MedSAMSlicer.evaluation.evaluate: a case failed" in written
    assert not any(part in written for part in PRIVATE), written


def test_a_log_that_cannot_be_written_is_one_line_and_nothing_is_done(
    refused: Callable[..., AbstractContextManager[Callable[..., CommandResult]]], image_file: Path, tmp_path: Path
) -> None:
    arguments = ["segment", image_file, "--output", tmp_path / "a.nrrd", "--box", *BOX, "--log"]
    with refused("its folder does not exist") as run:
        run(*arguments, tmp_path / "no" / "run.log")
    with refused("another ending than .log or .txt") as run:
        run(*arguments, tmp_path / "run.nrrd")
        run("models", "list", "--log", tmp_path / "run")
    cases = tmp_path / "cases.txt"
    cases.write_text("id,modality,image,label,value,axis,window\n")
    with refused("is the same file as the input") as run:
        run(
            "evaluate",
            cases,
            "--prompt",
            "box3d",
            "--output",
            tmp_path / "r.csv",
            "--log",
            tmp_path / "." / "cases.txt",
        )
    (tmp_path / "folder.log").mkdir()
    with refused("folder.log was not written") as run:
        run(*arguments, tmp_path / "folder.log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_log_on_a_full_disk_is_one_line_and_nothing_is_done(
    medsam_slicer: Callable[..., CommandResult], image_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.log"
    file.symlink_to("/dev/full")
    ran = medsam_slicer("segment", image_file, "--output", tmp_path / "a.nrrd", "--box", *BOX, "--log", file)
    assert (ran.status, ran.out) == (2, "")
    assert (
        ran.err
        == f"medsam-slicer: {file} was not written: the disk is full; free some space or choose another folder\n"
    )
    assert not (tmp_path / "a.nrrd").exists()
