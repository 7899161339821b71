#!/usr/bin/env python3
"""Response times of the effect in the test host: previews, cancelling, blocking of the main thread, import.

    python benchmarks/bench_effect.py [IMAGE] [--engine litemedsam|bright] [--moves N]

The mouse moves 60 times per second over the middle slice of the volume. The time of a preview is measured from the mouse
move of its box until its overlay is set. The main thread is blocked for the duration of one pass of the event loop.
Writes effect.json to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "MedSAMSlicer" / "Testing" / "Python"
sys.path[:0] = [str(ROOT / "MedSAMSlicer"), str(TESTS), str(ROOT / "tools")]
FRAME = 1 / 60


class Loop:
    """Runs the event loop of the host in real time and records the duration of each pass."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.passes: list[float] = []
        self._last = time.perf_counter()

    def once(self) -> None:
        time.sleep(0.001)
        begin = time.perf_counter()
        self.host.clock.advance((begin - self._last) * 1000)
        self._last = begin
        self.passes.append(time.perf_counter() - begin)

    def until(self, condition: Callable[[], Any], seconds: float = 300) -> None:
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError(f"the condition was not met within {seconds:g} s")
            self.once()

    def pause(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        self.until(lambda: time.perf_counter() >= end)


def import_milliseconds(times: int = 5) -> float:
    """Median time to import the effect after Slicer's own modules."""
    code = (
        "import sys, time\n"
        "from host.application import replaced_modules; import slicer, numpy, vtk, slicer.util\n"
        "from vtk.util import numpy_support\n"
        "sys.modules.update(replaced_modules())\n"
        "begin = time.perf_counter(); import MedSAMSlicerLib.SegmentEditorEffect\n"
        "print(time.perf_counter() - begin)"
    )
    environment = {"PYTHONPATH": f"{ROOT / 'MedSAMSlicer'}:{TESTS}", "PATH": "/usr/bin"}
    found = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, check=True
            ).stdout.split()[-1]
        )
        for _ in range(times)
    ]
    return 1000 * float(np.median(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", help="default: the demo's CT")
    parser.add_argument("--engine", choices=("litemedsam", "bright"), default="litemedsam")
    parser.add_argument("--moves", type=int, default=120)
    parser.add_argument("--preview-only", action="store_true")
    options = parser.parse_args()
    if options.image is None:
        from demo_data import demo_case

        options.image = demo_case().image
    table: dict[str, Any] = {"engine": options.engine, "import ms": import_milliseconds()}
    print(f"import of the effect: {table['import ms']:.0f} ms")

    from _pytest.fixtures import FixtureFunctionDefinition

    import host.fixture

    function = host.fixture.host
    generator = (function._get_wrapped_function() if isinstance(function, FixtureFunctionDefinition) else function)()
    running = next(generator)
    try:
        table.update(measure(running, options))
    finally:
        generator.close()
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "effect.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def measure(host: Any, options: argparse.Namespace) -> dict[str, Any]:
    import slicer.util

    volume = slicer.util.loadVolume(str(options.image))
    host.show(volume)
    host.load_module(ROOT / "MedSAMSlicer" / "MedSAMSlicer.py")
    host.complete_startup()
    host.edit(volume, "object")
    print(f"{options.image.name}: {slicer.util.arrayFromVolume(volume).shape} voxels, engine {options.engine}")
    host.editor.setActiveEffectByName("MedSAM")
    effect = host.editor.activeEffect().self()
    if options.engine == "bright":
        from MedSAMSlicerLib.engine.environment import child_environment
        from MedSAMSlicerLib.processes.qprocess_transport import QProcessTransport
        from MedSAMSlicerLib.scene.worker.transport import worker_command

        command, environment = worker_command("support.effect_services:NeedsReviewService"), child_environment([TESTS])
        effect.make_transport = lambda: QProcessTransport(command, environment)
    effect.scriptedEffect.setParameter("EncodeAhead", "0")
    loop = Loop(host)
    found = preview(host, effect, loop, options.moves)
    if not options.preview_only:
        found.update(run_and_cancel(host, effect, loop))
        begin = time.perf_counter()
        effect.apply()
        found["apply ms"] = 1000 * (time.perf_counter() - begin)
        print(f"apply: {found['apply ms']:.0f} ms")
    effect.cleanup()
    return found


def preview(host: Any, effect: Any, loop: Loop, moves: int) -> dict[str, Any]:
    contouring, rectangle = effect.contouring, effect.contouring.rectangle
    move_times: dict[Any, float] = {}
    latencies: list[float] = []
    seen: list[Any] = []

    def record() -> None:
        """Record a new preview. The effect has drawn it, because it was connected first."""
        shown = rectangle.shown
        if shown is not None and shown not in seen[-1:]:
            seen.append(shown)
            latencies.append(time.perf_counter() - move_times[shown.box])

    contouring.state.changed.connect(record)
    host.user.press("Red", (140, 100))
    host.user.move("Red", (180, 140))
    move_times[rectangle.drag.box] = time.perf_counter()
    loop.until(lambda: rectangle.shown is not None)
    found: dict[str, Any] = {"first preview s": latencies[0]}
    print(f"first preview, with start of the process, loading and encoding: {latencies[0]:.2f} s")
    latencies.clear()
    loop.passes.clear()
    for n in range(moves):
        share = np.sin(n / 9)
        begin = time.perf_counter()
        host.user.move("Red", (round(200 + 40 * share), round(165 + 30 * np.cos(n / 7))))
        move_times[rectangle.drag.box] = begin
        while time.perf_counter() - begin < FRAME:
            loop.once()
    loop.until(lambda: not contouring.preview.busy)
    print(
        f"{moves} mouse moves, {len(latencies)} previews: median {1000 * np.median(latencies):.0f} ms, "
        f"95th percentile {1000 * np.percentile(latencies, 95):.0f} ms; last one shown: {rectangle.shown.box == rectangle.drag.box}"
    )
    print(f"main thread blocked while drawing for at most {1000 * max(loop.passes):.0f} ms")
    assert contouring.problem is None, contouring.problem
    quartiles = dict(
        zip(("q25", "median", "q75", "p95"), np.percentile(latencies, (25, 50, 75, 95)) * 1000, strict=True)
    )
    return {
        **found,
        "moves": moves,
        "previews": len(latencies),
        "mouse to mask ms": quartiles,
        "longest stretch while drawing ms": 1000 * max(loop.passes),
    }


def run_and_cancel(host: Any, effect: Any, loop: Loop) -> dict[str, Any]:
    contouring = effect.contouring
    latencies = []
    host.user.release("Red", (230, 190))
    for _ in range(3):
        loop.until(lambda: contouring.progress is not None and contouring.progress.done >= 3)
        begin = time.perf_counter()
        effect.cancel()
        loop.until(lambda: not contouring.busy)
        latencies.append(time.perf_counter() - begin)
        effect.run()
    print("cancel: " + ", ".join(f"{1000 * one:.0f}" for one in latencies) + " ms")
    loop.passes.clear()
    begin = time.perf_counter()
    loop.until(lambda: not contouring.running)
    seconds = time.perf_counter() - begin
    print(
        f"run: {len(contouring.result)} slices in {seconds:.1f} s; "
        f"main thread blocked for at most {1000 * max(loop.passes):.0f} ms, "
        f"99th percentile {1000 * np.percentile(loop.passes, 99):.0f} ms"
    )
    return {
        "cancel ms": [1000 * one for one in latencies],
        "run s": seconds,
        "run slices": len(contouring.result),
        "longest stretch in a run ms": 1000 * max(loop.passes),
    }


if __name__ == "__main__":
    main()
