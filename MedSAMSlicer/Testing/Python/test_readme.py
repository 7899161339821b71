"""What the pages of the documentation point to is there, and the commands that they show are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import unquote

from MedSAMSlicerLib.cli.main import COMMANDS, build_parser

# [text](target "title"), ![text](target), [name]: target, and HTML's src and href.
_INLINE = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*[\"'])?\s*\)")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*(?:[\"'(].*)?$", re.MULTILINE)
_HTML = re.compile(r"""\b(?:src|href)\s*=\s*["']([^"']+)["']""")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def local_targets(text: str) -> list[str]:
    """Paths (without anchors) and anchors of the same page (beginning with #) that a page points to."""
    text = _CODE.sub("", text)
    found = [target for pattern in (_INLINE, _REFERENCE, _HTML) for target in pattern.findall(text)]
    return [unquote(target) for target in found if not _ELSEWHERE.match(target)]


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+\s+(.*?)\s*#*$", _CODE.sub(lambda code: code.group().strip("`"), text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(page: Path) -> list[str]:
    """Targets of a page that are not there, in the upper and lower case that it spells."""
    return [target for target in local_targets(page.read_text(encoding="utf-8")) if not is_there(page, target)]


def is_there(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    # Listed, not only opened: some systems do not mind the case of letters, web sites do.
    if not file.exists() or file.name not in {entry.name for entry in file.parent.iterdir()}:
        return False
    return not (anchor and file.suffix == ".md") or anchor in anchors(file.read_text(encoding="utf-8"))


def pages(repository: Path) -> list[Path]:
    """The pages for readers: the README and its companions, and everything in docs."""
    return [*sorted(repository.glob("*.md")), *sorted((repository / "docs").rglob("*.md"))]


def test_every_local_link_and_image_of_a_page_is_there(repository: Path) -> None:
    assert {str(page.relative_to(repository)): found for page in pages(repository) if (found := missing(page))} == {}


def test_every_page_and_picture_can_be_reached_from_the_readme(repository: Path) -> None:
    reached, waiting = set(), [repository / "README.md"]
    while waiting:
        page = waiting.pop()
        for target in local_targets(page.read_text(encoding="utf-8")):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file not in reached:
                reached.add(file)
                waiting += [file] if file.suffix == ".md" else []
    there = {file.resolve() for file in (repository / "docs").rglob("*") if file.is_file()}
    assert {str(file) for file in there - reached} == set()


def test_the_readme_shows_a_moving_picture_and_leads_to_its_companions(repository: Path) -> None:
    targets = local_targets((repository / "README.md").read_text(encoding="utf-8"))
    assert {"docs/pictures/drag.gif", "docs/command_line.md", "docs/api.md", "LICENSE", "CHANGELOG.md"} <= set(targets)


def commands(page: Path, program: str) -> list[list[str]]:
    """Lines of a page's code blocks that run a program, as arguments."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(f"{program} ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_every_command_line_of_a_page_can_be_parsed(repository: Path) -> None:
    shown = [command for page in pages(repository) for command in commands(page, "medsam-slicer")]
    assert {command[0] for command in shown} == COMMANDS.keys()
    for command in shown:
        build_parser(command[0]).parse_args(command)


def test_make_knows_every_target_that_a_page_names(repository: Path) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in pages(repository))
    named = set(re.findall(r"(?:^|`)make (?:PYTHON=\S+ )?([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# Two words\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Own `part`\n"
        "[good](docs/there.md), [good](docs/there.md#two-words), [good](#own-part), [web](https://example.org/x.md)\n"
        '![bad](docs/a%20picture.png "title") <img src="b.png"> [bad](docs/there.md#three) [bad](#other) [ref]\n'
        "`[code](c.md)`\n\n[ref]: d.md\n```\n[code](e.md)\n```\n"
    )
    assert sorted(missing(page)) == ["#other", "b.png", "d.md", "docs/a picture.png", "docs/there.md#three"]
