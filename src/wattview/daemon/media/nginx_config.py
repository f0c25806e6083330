"""The managed media server: its configuration text, its RTMP module, and its ports.

External input cannot break out of the text: paths are relative to the server's own directory, names are validated, and
the only absolute path is quoted.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from wattview.daemon import children
from wattview.decoding import Explained

LOOPBACK = "127.0.0.1"
VERSION_SECONDS = 10.0
INSTALL = "sudo apt-get install nginx-light libnginx-mod-rtmp"

_MODULE = "ngx_rtmp_module.so"
MODULE_DIRECTORIES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
_APPLICATION = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


class MediaServerError(Explained):
    """The managed media server cannot run."""


def configuration(application: str, rtmp_port: int, stat_port: int, module: Path | None) -> str:
    """The text of nginx.conf. Paths in it are relative to the server's directory, so that no path can break it.

    Raises MediaServerError for an application name or a module path that is invalid in such a file.
    """
    if not _APPLICATION.fullmatch(application):
        raise MediaServerError(
            f"{application!r} cannot be the name of an RTMP application",
            "set streams.rtmp_url to rtmp://host:port/NAME with letters, digits, _ . - in NAME",
        )
    load = "" if module is None else f"load_module {_quoted(str(module))};\n"
    return f"""\
# Written by WattView at each start: changes are lost.
{load}{_user()}daemon off;
worker_processes 1;
worker_shutdown_timeout 2s;
pid nginx.pid;
error_log stderr warn;
events {{
    worker_connections 1024;
}}
rtmp {{
    access_log off;
    server {{
        listen {LOOPBACK}:{rtmp_port};
        chunk_size 4096;
        max_message 16M;
        timeout 30s;
        ping 15s;
        ping_timeout 10s;
        application {application} {{
            live on;
            drop_idle_publisher 30s;
            allow publish {LOOPBACK};
            deny publish all;
            allow play {LOOPBACK};
            deny play all;
        }}
    }}
}}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    server {{
        listen {LOOPBACK}:{stat_port};
        keepalive_timeout 10s;
        location = /stat {{
            rtmp_stat all;
        }}
        location / {{
            return 404;
        }}
    }}
}}
"""


def _quoted(text: str) -> str:
    """A text as one parameter in nginx's configuration syntax."""
    if any(ord(character) < 0x20 or character == "$" for character in text):
        raise MediaServerError(f"{text!r} cannot be used in an nginx configuration")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _user() -> str:
    """If the daemon is root, the worker runs as the system's account for web servers."""
    if os.geteuid() != 0:
        return ""
    for name in ("www-data", "nginx", "http", "nobody"):
        with contextlib.suppress(KeyError):
            group = grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
            if _ACCOUNT.fullmatch(group):
                return f"user {name} {group};\n"
    return ""


async def find_module(nginx: str) -> Path | None:
    """The RTMP module's file; None if it is compiled in. Raises MediaServerError if there is neither."""
    try:
        _, output = await children.output([nginx, "-V"], seconds=VERSION_SECONDS)
    except OSError as error:
        raise MediaServerError(str(error), INSTALL) from None
    build = output.decode("utf-8", "replace")
    if re.search(r"--add-module=\S*rtmp", build):
        return None
    named = re.search(r"--modules-path=(\S+)", build)
    for directory in ((named[1],) if named else ()) + MODULE_DIRECTORIES:
        file = Path(directory) / _MODULE
        if file.is_file():
            return file
    raise MediaServerError("nginx has no RTMP module", INSTALL)


def application_of(url: str) -> str:
    """The application of ``rtmp://host:port/application``."""
    name = urlsplit(url).path.strip("/").partition("/")[0] or "live"
    configuration(name, 1, 1, None)
    return name


def port_of(url: str, default: int) -> int:
    try:
        port = urlsplit(url).port
    except ValueError:
        raise MediaServerError(
            f"{url!r} has no usable port", "set streams.rtmp_url and streams.nginx_rtmp_url"
        ) from None
    return default if port is None else port


def free_port(wanted: int, taken: list[int]) -> int:
    """``wanted`` if it is free, else another free port. 0 always gives a free one."""
    for port in (wanted, 0):
        if port and port in taken:
            continue
        with socket.socket() as probe:
            # As in nginx, a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise MediaServerError(f"there is no free port on {LOOPBACK}")
