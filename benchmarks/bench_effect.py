#!/usr/bin/env python3
"""Response times of the effect in the test host: previews, first slice, cancelling, blocking of the main thread, import.

    python benchmarks/bench_effect.py [IMAGE] [--engine litemedsam|bright] [--moves N] [--slow-rendering SECONDS]

The mouse moves 60 times per second over the middle slice of the volume. The time of a preview is measured from the mouse
move of its box until its overlay is set, and until its view is rendered with it. The main thread is blocked for the
duration of one turn of the event loop. Rendering takes no time, except in the last part: there a run goes on and is
cancelled while rendering a view takes as long as it does without a graphics card.
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
    """Runs the event loop of the host in real time.

    Attributes:
        turns: seconds of each turn of the event loop.
        work: processor time of each turn: other programs take part of the seconds, and rendering that only waits does.
        renders: number of views that were rendered in each turn.
    """

    def __init__(self, host: Any) -> None:
        self.host = host
        self.turns: list[float] = []
        self.work: list[float] = []
        self.renders: list[int] = []
        self._last = time.perf_counter()
        self._process = host.clock.process
        host.clock.process = self._turn

    def _turn(self) -> None:
        self.renders.append(0)
        begin, work = time.perf_counter(), time.thread_time()
        self._process()
        self.turns.append(time.perf_counter() - begin)
        self.work.append(time.thread_time() - work)

    def close(self) -> None:
        """Leave the clock as it was."""
        del self.host.clock.process

    def clear(self) -> None:
        self.turns, self.work, self.renders = [], [], []

    def once(self) -> None:
        time.sleep(0.001)
        begin = time.perf_counter()
        self.host.clock.advance((begin - self._last) * 1000)
        self._last = begin

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
    parser.add_argument("--slow-rendering", type=float, default=0.2, help="seconds a view, in the last part")
    options = parser.parse_args()
    if options.image is None:
        from demo_data import demo_case

        options.image = demo_case().image
    table: dict[str, Any] = {"engine": options.engine}
    if not options.preview_only:
        table["import ms"] = import_milliseconds()
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
    if not options.preview_only:
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
    try:
        found = respond(host, effect, loop, options)
    finally:
        loop.close()
    effect.cleanup()
    return found


def respond(host: Any, effect: Any, loop: Loop, options: argparse.Namespace) -> dict[str, Any]:
    found = preview(host, effect, loop, options.moves)
    if not options.preview_only:
        found.update(run_and_cancel(host, effect, loop))
        begin = time.perf_counter()
        effect.apply()
        found["apply ms"] = 1000 * (time.perf_counter() - begin)
        print(f"apply: {found['apply ms']:.0f} ms")
        found.update(run_with_slow_rendering(host, effect, loop, options.slow_rendering))
    return found


def spread(milliseconds: list[float]) -> dict[str, float]:
    """Quartiles and the 95th percentile."""
    return dict(
        zip(("q25", "median", "q75", "p95"), map(float, np.percentile(milliseconds, (25, 50, 75, 95))), strict=True)
    )


def preview(host: Any, effect: Any, loop: Loop, moves: int) -> dict[str, Any]:
    contouring, rectangle = effect.contouring, effect.contouring.rectangle
    move_times: dict[Any, float] = {}
    overlays: list[float] = []
    renders: list[float] = []
    seen: list[Any] = []
    drawn: list[Any] = []

    def record() -> None:
        """Record a new preview. The effect has drawn it, because it was connected first."""
        shown = rectangle.shown
        if shown is not None and shown not in seen[-1:]:
            seen.append(shown)
            overlays.append(1000 * (time.perf_counter() - move_times[shown.box]))

    def rendered(view: Any) -> None:
        shown = rectangle.shown
        if view is red and shown is not None and shown not in drawn[-1:]:
            drawn.append(shown)
            renders.append(1000 * (time.perf_counter() - move_times[shown.box]))

    red = host.user.view("Red").sliceView()
    host.rendering.work = rendered
    contouring.state.previewed.connect(record)
    host.user.press("Red", (140, 100))
    host.user.move("Red", (180, 140))
    move_times[rectangle.drag.box] = time.perf_counter()
    loop.until(lambda: rectangle.shown is not None)
    found: dict[str, Any] = {"first preview s": overlays[0] / 1000 if overlays else None}
    print(f"first preview, with start of the process, loading and encoding: {found['first preview s']:.2f} s")
    loop.pause(0.5)
    overlays.clear()
    renders.clear()
    loop.clear()
    for n in range(moves):
        share = np.sin(n / 9)
        begin = time.perf_counter()
        host.user.move("Red", (round(200 + 40 * share), round(165 + 30 * np.cos(n / 7))))
        move_times[rectangle.drag.box] = begin
        while time.perf_counter() - begin < FRAME:
            loop.once()
    loop.until(lambda: not contouring.preview.busy)
    loop.pause(0.1)
    host.rendering.work = None
    print(
        f"{moves} mouse moves, {len(overlays)} previews: median {np.median(overlays):.0f} ms, rendered after "
        f"{np.median(renders):.0f} ms, 95th percentile {np.percentile(renders, 95):.0f} ms; "
        f"last one shown: {rectangle.shown.box == rectangle.drag.box}"
    )
    print(f"main thread blocked while drawing for at most {1000 * max(loop.turns):.0f} ms")
    assert contouring.problem is None, contouring.problem
    return {
        **found,
        "moves": moves,
        "previews": len(overlays),
        "mouse to mask ms": spread(overlays),
        "mouse to rendered mask ms": spread(renders),
        "longest stretch while drawing ms": 1000 * max(loop.turns),
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
    print("until the process has ended its slice: " + ", ".join(f"{1000 * one:.0f}" for one in latencies) + " ms")
    loop.clear()
    begin = time.perf_counter()
    loop.until(lambda: not contouring.running)
    seconds = time.perf_counter() - begin
    first, last = contouring.state.current.run.seconds
    print(
        f"run: {len(contouring.result)} slices in {seconds:.1f} s, the first after {first:.2f} s; "
        f"main thread blocked for at most {1000 * max(loop.turns):.0f} ms, "
        f"99th percentile {1000 * np.percentile(loop.turns, 99):.0f} ms"
    )
    return {
        "cancel until the process is free ms": [1000 * one for one in latencies],
        "first slice s": first,
        "run s": last,
        "run slices": len(contouring.result),
        "longest stretch in a run ms": 1000 * max(loop.turns),
    }


def run_with_slow_rendering(host: Any, effect: Any, loop: Loop, seconds: float) -> dict[str, Any]:
    """Runs on slices that are encoded already, whose results come one upon the other, and cancels some of them.

    The user clicks 'Cancel' when the rendering of a view has just begun, so that the click waits for its end: that is the
    longest time. The cancel is over when no run is shown any more.
    """
    contouring, ui = effect.contouring, effect._frame.ui
    clicked: list[float] = []
    cancelled: list[float] = []

    def click() -> None:
        host.user.click(ui.cancelButton)
        assert not contouring.running and not ui.progressFrame.visible
        cancelled.append(time.perf_counter() - clicked[-1])

    def render(_view: Any) -> None:
        loop.renders[-1] += 1
        progress = contouring.progress
        if progress is not None and progress.done >= 3 and len(clicked) == len(cancelled) < 5:
            clicked.append(time.perf_counter())
            host.clock.post(click)
        time.sleep(seconds)

    host.rendering.work = render
    loop.clear()
    for number in range(1, 6):
        effect.run()
        loop.until(lambda number=number: len(cancelled) == number and not contouring.busy)
    effect.run()
    loop.until(lambda: not contouring.running)
    host.rendering.work = None
    most = max(loop.renders)
    print(
        f"rendering takes {seconds:g} s a view: cancelled after {', '.join(f'{1000 * one:.0f}' for one in cancelled)} ms; "
        f"in one turn of the event loop at most {most} view and {1000 * max(loop.work):.0f} ms of work"
    )
    return {
        "seconds to render a view": seconds,
        "cancel with slow rendering ms": [1000 * one for one in cancelled],
        "most work in one turn ms": 1000 * max(loop.work),
        "views in one turn": most,
    }


if __name__ == "__main__":
    main()
