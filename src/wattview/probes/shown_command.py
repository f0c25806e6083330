"""A process's command line as it may be shown: without its secrets.

Every user of a machine can read command lines, but more people than those look at a dashboard. Hidden are the values of
options, variables and headers that are named like a secret, passwords and queries in addresses, tokens by their form,
and the stream key of a push to a server in the internet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

HIDDEN = "***"

MOST_CHARACTERS = 1000

_NAME = (
    r"(?:[\w.-]*(?:pass(?:w(?:or)?d|phrase|code)?|pwd|secret|token|credential|auth(?!ors?(?![a-z]))|cookie|stream[_-]?id|signature"
    r"|(?:api|access|private|account|stream|decryption|encryption|session|shared|ssh|crypto)[_-]?key)s?[\w.-]*"
    r"|(?:[\w.-]*\.)?(?:key|sig)(?=[=:\s]|$))"
)
_SECRET_OPTION = re.compile(rf"-{{1,2}}{_NAME}", re.IGNORECASE)
_HEADER = re.compile(rf"(?<![\w.-])({_NAME}\s*:\s*)(?!//)[^'\"\r\n]+", re.IGNORECASE)
_ASSIGNED = re.compile(rf"(?<![\w.?&-])(-{{0,2}}{_NAME}=)('[^']*'|\"[^\"]*\"|\S+)", re.IGNORECASE)
_SPACED = re.compile(rf"(?<!\S)(-{{1,2}}{_NAME}\s+)('[^']*'|\"[^\"]*\"|[^\s-]\S*)", re.IGNORECASE)
_QUOTED = re.compile(rf"((['\"]){_NAME}\2\s*[:=]\s*)(['\"]).*?\3", re.IGNORECASE)
_JOINED = re.compile(r"(\b(?:mysql|mariadb)\w*\b[^;|&\n]*?\s-p|\bsshpass\s+-p\s*)[^\s-]\S*")
_USER = re.compile(r"(?<!\S)((?:-u|--user|--proxy-user|-U)[ =]?[^\s:/]+:)\S+")
_SCHEME_OF_AUTHORISATION = re.compile(r"\b(bearer|basic|digest)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
_TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*|\b(?:gh[pousr]|glpat|xox[abp])[_-][\w-]{10,}|\bAKIA[0-9A-Z]{16}\b")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{0,30})://([^\s'\"|\]<>]+(?:\]:?[^\s'\"|\]<>]*)?)", re.IGNORECASE)
_PUSHES = ("rtmp", "rtmps", "rtmpt", "rtmpe", "whip", "whips")

_SHORT_PASSWORDS = {"sshpass": "-p", "redis-cli": "-a", "curl": "-u", "ldapsearch": "-w", "smbclient": "-U"}
"""Programs whose short option takes a password, joined to it or as the next argument. Those of MySQL all have one."""


def shown_command(arguments: Sequence[str]) -> str:
    """A command line in one text, ``***`` for what is secret."""
    words: list[str] = []
    program = arguments[0].rpartition("/")[2] if arguments else ""
    short = "-p" if program.startswith(("mysql", "mariadb")) else _SHORT_PASSWORDS.get(program, "")
    hide = False
    for argument in arguments:
        if hide and not argument.startswith("-"):
            words.append(HIDDEN)
        elif short and len(argument) > len(short) and argument.startswith(short):
            words.append(f"{short}{HIDDEN}")
        else:
            words.append(_without_secrets(argument))
        hide = argument == short or _SECRET_OPTION.fullmatch(argument) is not None
    text = " ".join(word for word in words if word)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _without_secrets(text: str) -> str:
    """One argument, which may be a whole shell command itself."""
    text = _ADDRESS.sub(lambda found: _address(found[1], found[2]), text)
    text = _SCHEME_OF_AUTHORISATION.sub(rf"\1\2{HIDDEN}", text)
    text = _HEADER.sub(rf"\g<1>{HIDDEN}", text)
    for pattern in (_QUOTED, _JOINED, _ASSIGNED, _SPACED):
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    text = _USER.sub(rf"\g<1>{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, text)


def _address(scheme: str, rest: str) -> str:
    """An address without its password, the values of its query, and the key of a push to the internet."""
    place, mark, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    if at:
        name, colon, _ = user.partition(":")
        user = f"{name}:{HIDDEN}" if colon else HIDDEN
    if scheme.lower() in _PUSHES and "/" in path and _is_public(host):
        path = f"{path.rpartition('/')[0]}/{HIDDEN}"
    if mark:
        query = "&".join(re.sub("=.*", f"={HIDDEN}", part) if "=" in part else HIDDEN for part in query.split("&"))
    return f"{scheme}://{user}{at}{host}{slash}{path}{mark}{query}"


def _is_public(authority: str) -> bool:
    """Whether a host is in the internet: neither a private address, nor a name of a local network."""
    host = re.sub(r":\d*$", "", authority).strip("[]").lower()
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".lan", ".home.arpa", ".svc", ".localhost"))
