"""Report of an adaptation: one HTML file with its pictures in it, to be opened in any browser.

It names cases by their ids, as the table of cases does, and belongs where that table belongs.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engine.propagation.settings import ConfidenceSettings
from ..evaluation.evaluate_case import CaseScore
from ..evaluation.plots import plot_writers, poor_slice_auc
from .calibration import Calibration
from .course import Course
from .description import counted
from .judgement import Comparison, Verdict
from .patients import Split, patients_of
from .report_plots import agreement_plot, course_plot

_CHECK = (
    "Read the worst cases first, in Slicer: is the result wrong, or the contour that it is compared with?",
    "Compare with the disagreement between two of your own experts on the same cases, not with 1.",
    "Few patients were held back: a difference that hangs on one of them says nothing. The plot shows every case.",
    "Import the model, contour three new patients with it and with the model before, and compare the corrections.",
    "Go back to the model before for other structures, modalities and protocols than those in the table of cases.",
)
_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1050px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 0.6em 0 1.4em } td, th { padding: 0.25em 0.8em; text-align: right }
th { border-bottom: 2px solid #888 } td { border-bottom: 1px solid #ddd } td:first-child, th:first-child { text-align: left }
.verdict { padding: 0.8em 1em; background: #e6f2e6 } .no { background: #fbe9dc } img { max-width: 100% }
"""


@dataclass(frozen=True)
class Findings:
    """Everything that a report is about.

    Attributes:
        title: title of the adapted model.
        started_from: title of the model that learning began with.
        split: groups of cases.
        course: how the training went.
        box3d, midslice: comparisons on the cases held back; their confidences are those after the calibration.
        verdict: judgement of these.
        calibration: of the confidence.
        before: settings of the confidence before.
        cost: what the stages of the run took, one line each.
        worst_cases: number of cases that are named first.
    """

    title: str
    started_from: str
    split: Split
    course: Course
    box3d: Comparison
    midslice: Comparison
    verdict: Verdict
    calibration: Calibration
    before: ConfidenceSettings
    cost: list[str]
    worst_cases: int


def write_report(path: Path, findings: Findings) -> None:
    """Write the report as HTML to a path."""
    path.write_text(report_html(findings), encoding="utf-8")


def report_html(findings: Findings) -> str:
    """The report as HTML."""
    title = f"Adaptation of {findings.started_from}: {findings.title}"
    comparisons = (findings.box3d, findings.midslice)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _verdict(findings),
        _list(findings.split.warnings),
        "<h2>Patients</h2>",
        _groups(findings.split),
        "<h2>On patients held back</h2>",
        "<p>Nothing was learned or chosen with them. Prompts are derived from the contours: the 3D box of the object "
        "(<i>box3d</i>), or its rectangle on the middle slice (<i>midslice</i>). DSC: overlap; NSD: share of the surface within "
        "2 mm. Each value: median [quartiles], mean.</p>",
        *(_summary(comparison) for comparison in comparisons),
        _picture(agreement_plot(comparisons), "DSC and NSD of each case before and after"),
        "<h2>Worst cases after the adaptation (3D box)</h2>",
        _cases(findings.box3d.worst(findings.worst_cases)),
        "<h2>All cases held back</h2>",
        *(f"<h3>{comparison.prompt}</h3>{_cases(comparison)}" for comparison in comparisons),
        "<h2>Confidence</h2>",
        _confidence(findings),
        "<h2>Training</h2>",
        f"<p>{_training(findings)}</p>",
        _picture(course_plot(findings.course), "Loss and Dice coefficient by step"),
        _list(findings.cost),
        "<h2>Before it is used</h2>",
        _list(_CHECK),
        "<p>This is a tool for research, and no medical device. A person checks every contour.</p>",
    ]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n" + "\n".join(parts) + "\n</body></html>\n"


def _verdict(findings: Findings) -> str:
    verdict = findings.verdict
    before, after = (
        float(np.mean([score.agreement.dsc for score in scores]))
        for scores in (findings.box3d.before, findings.box3d.after)
    )
    told = (
        f"mean DSC in a 3D box {before:.3f} before, {after:.3f} after, on {counted(findings.split.held_back)} held back"
    )
    if verdict.better:
        return f'<p class="verdict"><b>Better</b>: {told}.</p>'
    reasons = html.escape("; ".join(verdict.reasons))
    return f'<p class="verdict no"><b>Not better</b>: {reasons} ({told}).</p>'


def _groups(split: Split) -> str:
    told = (
        ("taught", split.taught, "learned from"),
        ("watched", split.watched, "training was stopped by them"),
        ("held back", split.held_back, "not used until the end"),
    )
    rows = [
        (name, counted(cases) if cases else "none", use, ", ".join(patients_of(cases))) for name, cases, use in told
    ]
    return _table(("group", "contours", "use", "patients"), rows)


def _summary(comparison: Comparison) -> str:
    everything = [(f"{structure} {modality}", group) for (structure, modality), group in comparison.groups.items()]
    rows = []
    for name, group in [*everything, ("all", comparison)]:
        cells = [
            _spread([getattr(score.agreement, attribute) for score in scores])
            for attribute in ("dsc", "nsd_2mm")
            for scores in (group.before, group.after)
        ]
        rows.append((name, str(len(group.before)), *cells, f"{group.gain:+.3f}"))
    header = ("structure, modality", "cases", "DSC before", "DSC after", "NSD before", "NSD after", "mean DSC gain")
    return f"<h3>{comparison.prompt}</h3>{_table(header, rows)}"


def _spread(values: Sequence[float]) -> str:
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    return f"{middle:.3f} [{low:.3f}, {high:.3f}], {np.mean(values):.3f}"


def _cases(comparison: Comparison) -> str:
    rows = []
    for old, new in zip(comparison.before, comparison.after, strict=True):
        case, figures = old.case, [score.agreement for score in (old, new)]
        cells = [f"{getattr(one, name):.3f}" for name in ("dsc", "nsd_2mm") for one in figures]
        change = f"{figures[1].dsc - figures[0].dsc:+.3f}"
        rows.append((case.id, case.patient, case.structure, case.modality, *cells, change))
    header = ("case", "patient", "structure", "modality", "DSC before", "after", "NSD before", "after", "DSC change")
    return _table(header, rows)


def _confidence(findings: Findings) -> str:
    calibration = findings.calibration
    figure = f"{calibration.slices} slices, {calibration.poor} of them with a DSC below 0.7"
    if not calibration.fitted:
        return f"<p>Unchanged: too few slices to calibrate it with ({figure}).</p>"
    names = ("middle", "middle_smoothed", "steepness", "review_below")
    rows = [(name, f"{getattr(findings.before, name):g}", f"{getattr(calibration.settings, name):g}") for name in names]
    scores = findings.box3d.after
    auc = poor_slice_auc(scores)
    told = "" if auc is None else f" It finds poor slices with an area under the ROC curve of {auc:.2f}."
    told += f" {_flagged(scores)}"
    return f"<p>Calibrated with {figure}.{told}</p>{_table(('setting', 'before', 'after'), rows)}{_scatter(scores)}"


def _flagged(scores: Sequence[CaseScore]) -> str:
    slices = [one for score in scores for one in score.slices if one.in_truth or one.dsc < 1]
    review = sum(one.needs_review for one in slices)
    return f"In 3D boxes, {review} of {len(slices)} slices need review."


def _scatter(scores: Sequence[CaseScore]) -> str:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "confidence.png"
        plot_writers(scores)[path.name](path)
        return _picture(path.read_bytes(), "DSC of each slice by its confidence")


def _training(findings: Findings) -> str:
    course = findings.course
    if not course.watched:
        return f"{course.step} steps; no patient was watched."
    first, best = course.watched[0][1], max(value for _step, value in course.watched)
    return (
        f"{course.step} steps; the state of step {course.best_step} was kept. On watched patients the Dice coefficient of "
        f"single slices was {first:.3f} before and {best:.3f} at best."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _picture(png: bytes, text: str) -> str:
    return f'<p><img alt="{html.escape(text)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"></p>'
