"""Connects to a daemon, or starts one temporarily.

``wattview up`` and ``wattview run`` attach to a running daemon; if there is none, they start one as a child that the
kernel ends with them. This module starts and stops only that child.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx
from msgspec.structs import replace

from wattview.client import Address, Client
from wattview.config import Config
from wattview.daemon import state_directory
from wattview.daemon.children import ProgramMissing, child_command
from wattview.daemon.state_directory import StateError
from wattview.fetch import FetchError, Site, blocking, shown

T = TypeVar("T")

START_SECONDS = 15.0
STOP_SECONDS = 15.0

PATIENCE_SECONDS = 30.0
"""How long a command waits for an answer: a daemon of a machine that its encoders fill answers late."""


class AddressError(click.UsageError):
    """An invalid address or token. The text names it and the reason."""


class DaemonFailed(click.ClickException):
    """The started daemon ended before it was ready. The text is its last output."""


def socket_url(config: Config) -> str:
    return f"unix://{config.daemon.control_socket}"


def addresses(urls: Sequence[str], token_files: Sequence[Path], ca_file: str = "") -> list[Address]:
    """Daemons by their URLs, each once. A single token file applies to all that are reached over HTTP; several are
    matched in order. Raises AddressError."""
    urls = list(dict.fromkeys(urls))
    for url in urls:
        check_url(url, "unix://")
    over_http = [url for url in urls if not url.startswith("unix://")]
    tokens = [read_secret(path) for path in token_files]
    if len(tokens) > 1 and len(tokens) != len(over_http):
        raise AddressError(
            f"--token-file: {len(tokens)} files for {len(over_http)} http:// addresses; one, or one each"
        )
    token_of = dict(zip(over_http, tokens * len(over_http) if len(tokens) == 1 else tokens, strict=False))
    return [Address(url, token_of.get(url, ""), ca_file) for url in urls]


def check_url(url: str, *more: str) -> None:
    """Checks that a URL is ``http://`` or ``https://`` with a host, or starts with one of ``more``. Raises
    AddressError."""
    kinds = " or ".join([*("unix:///path" for _ in more), "http://host:port"])
    try:
        parsed = httpx.URL(url)
        good = parsed.scheme in ("http", "https") and bool(parsed.host)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        good = False
    if not good and not any(url.startswith(kind + "/") and "\0" not in url for kind in more):
        raise AddressError(f"{shown(url)}: not an address; give {kinds}")


def read_secret(path: Path) -> str:
    """The content of a token file. Raises AddressError."""
    try:
        return path.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AddressError(f"--token-file {path}: {getattr(error, 'strerror', None) or 'is not text'}") from None


def answers(config: Config) -> bool:
    """Whether a daemon answers on the control socket."""
    path = config.daemon.control_socket
    if not os.path.exists(path):
        return False

    async def ask() -> bool:
        async with Site(f"unix://{path}", seconds=PATIENCE_SECONDS) as site:
            return (await site.fetch("/api/v1/runs")).status == 200

    try:
        return blocking(ask())
    except FetchError:
        return False


def running(config: Config) -> Config | None:
    """The settings for reaching the running daemon, None if there is none: the one on the control socket, else the one
    that holds the state directory, whatever its socket."""
    if answers(config):
        return config
    holder = state_directory.holder(Path(config.paths.state))
    if holder is None or not holder.control_socket:
        return None
    other = replace(config, daemon=replace(config.daemon, control_socket=holder.control_socket))
    return other if answers(other) else None


@contextlib.contextmanager
def daemon_for(config: Config, arguments: list[str]) -> Iterator[Config]:
    """Context with a running daemon. Yields the settings for reaching it.

    ``arguments`` are this command's ``--config`` and ``--set`` options. Raises DaemonFailed.
    """
    found = running(config)
    if found is not None:
        yield found
        return
    log_path = Path(config.paths.state) / "daemon.log"
    command = [sys.executable, "-m", "wattview", "daemon", "--set", "streams.managed=auto", *arguments]
    try:
        state_directory.private(log_path.parent)
        with log_path.open("wb") as log:
            child = subprocess.Popen(
                child_command(command, death_signal=signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except (ProgramMissing, OSError, StateError) as error:
        raise DaemonFailed(str(error)) from None
    try:
        yield _await_ready(config, child, log_path)
    finally:
        _stop(child)


def _await_ready(config: Config, child: subprocess.Popen[bytes], log_path: Path) -> Config:
    """The settings for reaching the child, or another daemon that was started at the same time and won."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = running(config)
        if found is not None:
            return found
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.05)
            if state_directory.holder(Path(config.paths.state)) is not None:
                time.sleep(0.05)
                continue
            raise DaemonFailed(_last_words(log_path) or f"the daemon ended with status {child.returncode}")
    raise DaemonFailed(f"the daemon was not ready within {START_SECONDS:g} s; see {log_path}")


def _last_words(log_path: Path) -> str:
    lines = [line for line in log_path.read_text("utf-8", "replace").splitlines() if line.strip()]
    return "\n".join(lines[-3:])


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()


def with_daemon(config: Config, arguments: list[str], use: Callable[[Client, Config], Coroutine[Any, Any, T]]) -> T:
    """Runs ``use`` with a client of the running daemon, or of one that is started for the duration, and with the
    settings to reach it.

    ``arguments``: see ``daemon_for``. Raises click.ClickException if there is no daemon, or it refuses a call.
    """

    with daemon_for(config, arguments) as reached:
        return ask_address(Address(socket_url(reached)), lambda client: use(client, reached))


def ask_daemon(config: Config, use: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """``with_daemon`` where only a running one can answer."""
    found = running(config)
    if found is None:
        raise click.ClickException("no daemon runs here; start one with: wattview daemon, or wattview up")
    return ask_address(Address(socket_url(found)), use)


def ask_address(address: Address, use: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """Runs ``use`` with a client of that daemon. Raises ClientError if it does not answer, or refuses."""

    async def call() -> T:
        async with Client(address.url, address.token, PATIENCE_SECONDS, ca_file=address.ca_file) as client:
            return await use(client)

    return asyncio.run(call())
