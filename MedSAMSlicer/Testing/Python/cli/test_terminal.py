"""The command as a process of its own: on a terminal, interrupted, and piped into something that has gone."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "MedSAMSlicerLib.cli"]
PATIENCE = 240.0


@pytest.fixture
def environment(repository: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repository / "MedSAMSlicer")}


def read_until(terminal: int, pattern: str, shown: str = "") -> str:
    """What the terminal shows, as soon as it holds the pattern or nobody writes to it any more."""
    deadline = time.monotonic() + PATIENCE
    while not re.search(pattern, shown) and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # Linux says so when the other end is closed
                part = b""
            if not part:
                return shown
            shown += part.decode()
    return shown


def test_a_bar_shows_slices_and_time_left_and_ctrl_c_ends_it_cleanly(
    environment: dict[str, str],
    litemedsam_weights: Path,
    image_file: Path,
    files_of: Callable[[], dict],
    tmp_path: Path,
) -> None:
    pty, termios, fcntl = (
        pytest.importorskip(name, reason="needs a system with pseudo-terminals") for name in ("pty", "termios", "fcntl")
    )
    before = files_of()
    files = ["--output", tmp_path / "out.nrrd", "--report", tmp_path / "report.json"]
    arguments = ["segment", image_file, *files, "--box", 18, 42, 19, 49, 0, 6, "--window", "350,400"]
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, stderr=other_end
    ) as process:
        os.close(other_end)
        try:
            shown = read_until(terminal, r"[1-6]/7 \[\d\d:\d\d<\d\d:\d\d")
            assert re.search(r"Segmenting: +\d+%.*[1-6]/7 \[\d\d:\d\d<\d\d:\d\d, .*slice", shown), shown
            # Impatient people press it more than once.
            for _ in range(3):
                process.send_signal(signal.SIGINT)
                time.sleep(0.05)
            shown = read_until(terminal, "(?!)", shown)
            status = process.wait(PATIENCE)
            output = process.stdout.read() if process.stdout else b""
        finally:
            process.kill()
            os.close(terminal)
    assert status == 130, shown
    assert shown.splitlines()[-1] == "medsam-slicer: interrupted; nothing was written"
    assert "Traceback" not in shown
    assert output == b""
    assert files_of() == before


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_error(environment: dict[str, str], unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    for arguments in (["models"], ["--help"]):
        ran = subprocess.run(
            [*COMMAND, *arguments],
            env={**environment, "PYTHONUNBUFFERED": unbuffered},
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
        )
        assert (ran.returncode, ran.stderr) == (0, b"")
    os.close(write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_output_that_goes_to_a_full_disk(environment: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*COMMAND, "models"], env=environment, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE
        )
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"medsam-slicer: standard output cannot be written")
    assert ran.stderr.count(b"\n") == 1


def test_names_that_the_terminal_cannot_show_are_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    weights = tmp_path / "gewichte-\u00e4\u4e2d"
    weights.mkdir()
    (weights / "medsam_vit_b.pth").write_bytes(b"")
    ran = subprocess.run(
        [*COMMAND, "models", "list"],
        env={**environment, "PYTHONIOENCODING": "ascii", "MEDSAM_SLICER_WEIGHTS": str(weights)},
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert rb"gewichte-\xe4\u4e2d" in ran.stdout


def test_a_log_for_those_who_ask_for_it(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["segment", str(tmp_path / "no.nrrd"), "--output", str(tmp_path / "out.nrrd"), "--box", *"111111"]
    ran = subprocess.run(
        [*COMMAND, *arguments],
        env={**environment, "MEDSAM_SLICER_DEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 2
    assert "Traceback" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith(f"medsam-slicer: {tmp_path / 'no.nrrd'} does not exist")
