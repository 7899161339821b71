"""A server of one weights file on this computer, and code that makes it MedSAM's in a process."""

from __future__ import annotations

import http.server
import threading
import time
from typing import Any

MEDSAM_AT = """
import sys
from dataclasses import replace
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.jobs import weights_job
url, md5, *arguments = sys.argv[1:]
medsam = CATALOGUE["medsam"]
CATALOGUE["medsam"] = replace(medsam, weights=replace(medsam.weights, url=url, md5=md5))
sys.exit(weights_job.main(arguments))
"""
"""Arguments: address, MD5, then those of `engine.jobs.weights_job`."""


class WeightsSite:
    """Sends `content`, whatever it is asked for. While `hold` is set it sends the first half and then nothing.

    Attributes:
        url: where it is.
        half_sent: set when the first half is on its way.
    """

    def __init__(self, content: bytes, name: str = "medsam_vit_b.pth") -> None:
        self.hold = threading.Event()
        self.half_sent = threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                half = len(content) // 2
                try:
                    self.wfile.write(content[:half])
                    self.wfile.flush()
                    site.half_sent.set()
                    while site.hold.is_set():
                        time.sleep(0.01)
                    self.wfile.write(content[half:])
                except OSError:
                    return  # the one who asked has gone

            def log_message(self, *_: Any) -> None:
                """Nothing on standard error."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{name}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> WeightsSite:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody any more."""
        self.hold.clear()
        self._server.shutdown()
        self._server.server_close()
