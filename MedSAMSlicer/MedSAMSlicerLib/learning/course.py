"""How a training went."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Course:
    """How a training goes.

    Attributes:
        step: steps that were taken.
        loss: mean loss between two looks: (step, loss).
        watched: mean Dice coefficient of watched slices: (step, coefficient).
        best_step: step of the state that is best on them.
        worse: looks since then that were worse.
        sums: losses since the last look.
    """

    step: int = 0
    loss: list[tuple[int, float]] = field(default_factory=list)
    watched: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    worse: int = 0
    sums: list[float] = field(default_factory=list)
