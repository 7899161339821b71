"""Child processes in a running application."""

from host.fixture import host  # noqa: F401 - a fixture
