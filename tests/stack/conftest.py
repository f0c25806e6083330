"""What the tests on a real Docker engine share: an engine that has Debian's image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.docker_engine import engine
from tests.support.stack import Docker


@pytest.fixture(scope="session")
def bookworm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """An engine with the image ``debian:bookworm-slim``, made of Debian's packages: half a minute."""
    with engine() as docker_engine:
        docker = Docker(docker_engine.host, tmp_path_factory.mktemp("docker"))
        docker.make_base_image()
        yield docker
