"""The operating system's name and version, from os-release(5)."""

from __future__ import annotations

import os
import re
import shlex
from datetime import UTC, datetime

from wattview.config import Config
from wattview.exposition import Family, gauge, label_text
from wattview.probes.lines import value
from wattview.probes.node.collector import NoSource

_LABELS = (
    "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id",
    "version", "version_codename", "version_id",
)  # fmt: skip
_MAJOR_MINOR = re.compile(r"[0-9]+\.?[0-9]*")


class OsRelease:
    """``node_os_info``, ``node_os_version`` and, if known, the end of support."""

    def __init__(self, config: Config) -> None:
        root = config.paths.rootfs.rstrip("/")
        self._paths = (f"{root}/etc/os-release", f"{root}/usr/lib/os-release")
        self._stamp: tuple[str, int] | None = None
        self._families: list[Family] = []

    def collect(self) -> list[Family]:
        for path in self._paths:
            try:
                stamp = (path, os.stat(path).st_mtime_ns)
                if stamp != self._stamp:
                    with open(path, encoding="utf-8", errors="replace") as file:
                        self._families = os_families(os_release(file.read()))
                    self._stamp = stamp
                return self._families
            except FileNotFoundError:
                continue
        raise NoSource("no os-release file")


def os_release(text: str) -> dict[str, str]:
    """The assignments of an os-release file, unquoted as in a shell; other lines are skipped."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not name.isidentifier():
            continue
        try:
            found[name] = "".join(shlex.split(value, posix=True)[:1])
        except ValueError:
            continue
    return found


def _day(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()


def os_families(release: dict[str, str]) -> list[Family]:
    """Pure: families from os-release."""
    values = {name: release.get(name.upper(), "") for name in _LABELS}
    found = [
        gauge(
            "node_os_info",
            "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, "
            "name, pretty_name, variant, variant_id, version, version_codename, version_id.",
        ).add(1, label_text(values))
    ]
    version = _MAJOR_MINOR.match(values["version_id"])
    if version:
        text = label_text({name: values[name] for name in ("id", "id_like", "name")})
        found.append(
            gauge("node_os_version", "Metric containing the major.minor part of the OS version.").add(
                float(version[0]), text
            )
        )
    end = value(release.get("SUPPORT_END") or None, _day, "os-release")
    if end is not None:
        help_text = "Metric containing the end-of-life date timestamp of the OS."
        found.append(gauge("node_os_support_end_timestamp_seconds", help_text, end))
    return found
