"""A process's command line as it may be shown: without its secrets.

Every user of a machine can read command lines, but more people than those look at a dashboard. Hidden are the values of
options, variables and headers that are named like a secret, passwords and queries in addresses, tokens by their form,
and the stream key of a push to a server in the internet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

from wattview.foreign_text import cut

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
_QUOTED = re.compile(rf"((['\"]){_NAME}\2\s*[:=]\s*)(['\"]).*?\3", re.IGNORECASE)
_USER = re.compile(r"(?<!\S)((?:-u|--user|--proxy-user|-U)[ =]?[^\s:/]+:)\S+")
_SCHEME_OF_AUTHORISATION = re.compile(r"\b(bearer|basic|digest)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
_TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*|\b(?:gh[pousr]|glpat|xox[abp])[_-][\w-]{10,}|\bAKIA[0-9A-Z]{16}\b")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{0,30})://([^\s'\"|\]<>]+(?:\]:?[^\s'\"|\]<>]*)?)", re.IGNORECASE)
_PUSHES = ("rtmp", "rtmps", "rtmpt", "rtmpe", "whip", "whips")

_PASSWORD_OPTIONS = {
    **dict.fromkeys(("redis-cli", "valkey-cli", "http", "https"), ("-a",)),
    **dict.fromkeys(("sshpass", "cqlsh", "rdesktop", "ipmipower", "ipmi-dcmi", "ipmi-sensors"), ("-p",)),
    **dict.fromkeys(("mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"), ("-p",)),
    **dict.fromkeys(("7z", "7za", "7zr", "login"), ("-p",)),
    **dict.fromkeys(("mosquitto_pub", "mosquitto_sub", "sqlcmd", "zip", "unzip"), ("-P",)),
    **dict.fromkeys(("ldapsearch", "ldapadd", "ldapmodify", "ldapdelete"), ("-w",)),
    **dict.fromkeys(("snmpget", "snmpwalk", "snmpbulkwalk", "snmpset", "snmptrap"), ("-c", "-A", "-X")),
    "ab": ("-A", "-P"),
    "curl": ("-u", "--user", "-U", "--proxy-user", "-E", "--cert"),
    "ipmitool": ("-P", "-k", "-y"),
    "ldappasswd": ("-w", "-s", "-a"),
    "lftp": ("-u", "--user"),
    "openssl": ("-k", "-K"),
    "smbclient": ("-U",),
    "ssh-keygen": ("-N", "-P"),
}
"""Programs whose options take a password, joined to them or as the next word. ``login`` is docker's and podman's."""

_OF_MYSQL = ("-p",)
"""Of all its programs. The password is joined to it, or else asked for."""

_OTHERS_BEGIN_ALIKE = ("redis-cli", "valkey-cli", "openssl")
"""Their options have several letters: ``-key`` is not ``-k`` with a password."""

_OPTION = re.compile(r"-[A-Za-z]|--[a-z]+(?:-[a-z]+)*(?:=.*)?", re.DOTALL)
"""The usual form of an option. What follows a secret's option and has this form is taken for one."""

_SHELL_WORDS = re.compile(r"""\s+|[;|&()]+|(?:'[^']*(?:'|\Z)|"(?:[^"\\]|\\.)*\\?(?:"|\Z)|[^\s;|&()'"])+""", re.DOTALL)
_DEEPEST = 3
"""A command in a command's argument: ``sh -c "ssh host 'mysql …'"``."""


def shown_command(arguments: Sequence[str]) -> str:
    """A command line in one text, ``***`` for what is secret."""
    return cut(" ".join(word for word in _shown(arguments) if word), MOST_CHARACTERS)


def _shown(words: Iterable[str], depth: int = 0) -> Iterator[str]:
    """Each word as it may be shown. A program is known wherever its name stands: behind sudo, env or docker exec."""
    options: Sequence[str] = ()
    joined, follows, may_be_an_option = True, False, False
    for word in words:
        if word.isspace():
            yield word
            continue
        bare = word.strip("'\"")
        if follows and not (may_be_an_option and _OPTION.fullmatch(bare)):
            follows = False
            yield HIDDEN
            continue
        program = bare.rpartition("/")[2]
        if word.startswith((";", "|", "&")):
            options = ()
        elif program.startswith(("mysql", "mariadb")):
            options, joined = _OF_MYSQL, True
        elif program in _PASSWORD_OPTIONS:
            options, joined = _PASSWORD_OPTIONS[program], program not in _OTHERS_BEGIN_ALIKE
        follows = bare in options or (options is not _OF_MYSQL and _ends_in(bare, options))
        may_be_an_option = options is _OF_MYSQL
        option = next((one for one in options if joined and not follows and _is_joined(bare, one)), None)
        if option is not None:
            yield f"{option}{'=' * option.startswith('--')}{HIDDEN}"
            continue
        if not follows and _SECRET_OPTION.fullmatch(bare):
            follows = may_be_an_option = True
        yield _without_secrets(word.replace(bare, _command(bare, depth + 1), 1) if _is_command(bare, depth) else word)


def _command(text: str, depth: int) -> str:
    return "".join(_shown(_SHELL_WORDS.findall(text), depth))


def _ends_in(word: str, options: Sequence[str]) -> bool:
    """Whether a word is several short options, the last one of these: ``-su``."""
    return re.fullmatch(r"-[A-Za-z]+", word) is not None and f"-{word[-1]}" in options


def _is_joined(word: str, option: str) -> bool:
    return word.startswith(f"{option}=" if option.startswith("--") else option)


def _is_command(text: str, depth: int) -> bool:
    return depth < _DEEPEST and re.search(r"\s", text) is not None


def _without_secrets(text: str) -> str:
    """One argument, which may be a whole shell command itself."""
    text = _ADDRESS.sub(lambda found: _address(found[1], found[2]), text)
    text = _SCHEME_OF_AUTHORISATION.sub(rf"\1\2{HIDDEN}", text)
    text = _HEADER.sub(rf"\g<1>{HIDDEN}", text)
    for pattern in (_QUOTED, _ASSIGNED):
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
