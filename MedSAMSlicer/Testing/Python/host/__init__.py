"""The smallest real thing that the faces need of Slicer's application. See README.md; used through `host.fixture`."""
