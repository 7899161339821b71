"""Tasks in processes of their own: they say how it goes, can be called off, and leave nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from MedSAMSlicerLib.engine.diagnostics.child_log import is_log_line
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from support.weights_site import MEDSAM_AT, WeightsSite

pytestmark = pytest.mark.slow


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    torch.save({"a": torch.zeros(1000, 1500)}, tmp_path / "weights.pth")
    return (tmp_path / "weights.pth").read_bytes()


@pytest.fixture
def site(content: bytes) -> Iterator[WeightsSite]:
    with WeightsSite(content) as site:
        yield site


def start(arguments: list[str], cache: Path, code: str | None = None, module: str = "") -> subprocess.Popen[bytes]:
    environment = {**os.environ, "MEDSAM_SLICER_CACHE": str(cache), "MEDSAM_SLICER_WEIGHTS": "", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[4])
    environment["NO_PROXY"] = "127.0.0.1"
    command = [sys.executable, *(["-c", code] if code else ["-m", module]), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)


def lines_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def run(arguments: list[str], cache: Path, **how: Any) -> tuple[int, list[dict[str, Any]]]:
    process = start(arguments, cache, **how)
    output, errors = process.communicate(timeout=120)
    assert all(is_log_line(line) for line in errors.decode().splitlines()), errors
    return process.returncode, lines_of(output)


MODELS = "MedSAMSlicerLib.engine.jobs.weights_job"


class TestDownload:
    def test_it_tells_progress_and_the_file_is_verified(self, site: WeightsSite, content: bytes, cache: Path) -> None:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        status, lines = run([site.url, md5, "download", "medsam"], cache, code=MEDSAM_AT)
        assert status == 0
        progress = [line for line in lines if line["kind"] == "progress"]
        assert progress[-1] == {"kind": "progress", "done": len(content), "total": len(content)}
        file = cache / "weights" / "medsam_vit_b.pth"
        sha256 = hashlib.sha256(content).hexdigest()
        assert lines[-2:] == [
            {"kind": "verified", "model": "medsam", "path": str(file), "sha256": sha256},
            {"kind": "done"},
        ]
        assert file.read_bytes() == content

    def test_another_file_than_expected_is_not_kept(self, site: WeightsSite, cache: Path) -> None:
        status, lines = run([site.url, "0" * 32, "download", "medsam"], cache, code=MEDSAM_AT)
        assert status == 3
        assert lines[-1]["kind"] == "failed"
        assert "is not the weights file of MedSAM" in lines[-1]["message"]
        assert list((cache / "weights").iterdir()) == []

    def test_cancelled_in_the_middle_it_ends_and_leaves_no_part(
        self, site: WeightsSite, content: bytes, cache: Path
    ) -> None:
        site.hold.set()
        process = start([site.url, "0" * 32, "--attached", "download", "medsam"], cache, code=MEDSAM_AT)
        assert site.half_sent.wait(60)
        # The first megabyte has been written; the rest does not come.
        assert process.stdin is not None
        process.stdin.close()
        time.sleep(0.3)
        site.hold.clear()
        process.wait(30)
        assert process.stdout is not None and process.stderr is not None
        lines = lines_of(process.stdout.read())
        process.stdout.close()
        process.stderr.close()
        assert process.returncode == 130
        assert lines[-1] == {"kind": "cancelled"}
        assert list((cache / "weights").iterdir()) == []

    def test_what_a_killed_download_left_is_removed_by_the_next_one(self, site: WeightsSite, cache: Path) -> None:
        left = cache / "weights" / ".part-0"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
        two_hours_ago = time.time() - 7200
        os.utime(left, (two_hours_ago, two_hours_ago))
        status, _ = run([site.url, "0" * 32, "download", "medsam"], cache, code=MEDSAM_AT)
        assert status == 3 and not left.exists()


class TestImportAndVerify:
    def test_the_right_file_is_copied_and_verified(self, litemedsam_weights: Path, cache: Path) -> None:
        status, lines = run(["import", str(litemedsam_weights), "--as", "litemedsam"], cache, module=MODELS)
        assert (status, lines[-1]["kind"]) == (0, "done")
        assert lines[0]["sha256"] == CATALOGUE["litemedsam"].weights.sha256
        assert Path(lines[0]["path"]).parent == cache / "weights"

    def test_a_wrong_file_is_refused_in_one_line(self, tmp_path: Path, cache: Path) -> None:
        (tmp_path / "photo.jpg").write_bytes(b"not weights")
        status, lines = run(["import", str(tmp_path / "photo.jpg"), "--as", "medsam"], cache, module=MODELS)
        assert status == 3
        assert [line["kind"] for line in lines] == ["failed"]
        assert "photo.jpg" in lines[0]["message"] and "\n" not in lines[0]["message"]

    def test_verifying_tells_right_wrong_and_missing_apart(self, litemedsam_weights: Path, cache: Path) -> None:
        (cache / "weights").mkdir(parents=True)
        (cache / "weights" / "medsam_vit_b.pth").write_bytes(b"cut off")
        status, lines = run(["verify", "litemedsam", "medsam", "sam_vit_b"], cache, module=MODELS)
        assert status == 0
        assert [(line["kind"], line.get("model")) for line in lines] == [
            ("verified", "litemedsam"),
            ("wrong", "medsam"),
            ("missing", "sam_vit_b"),
            ("done", None),
        ]

    def test_an_unknown_model_is_an_error_that_lists_the_known_ones(self, cache: Path) -> None:
        status, lines = run(["verify", "medsam2"], cache, module=MODELS)
        assert status == 2
        assert "litemedsam" in lines[-1]["message"]

    def test_torch_is_not_needed_for_it(self, litemedsam_weights: Path, cache: Path) -> None:
        code = (
            "import sys; from MedSAMSlicerLib.engine.jobs import weights_job; status = weights_job.main(['verify', 'litemedsam']); "
            "sys.exit(status or bool({'torch', 'requests'} & sys.modules.keys()))"
        )
        status, _ = run([], cache, code=code)
        assert status == 0
