"""What may be shown of an address or a path: no part that may be a secret, and nothing unreadable.

Does not know: stores, or who shows it. Every value that fills a `Text` comes through `presentable`.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import unicodedata

STRAY_BYTES = "olhar.stray_bytes"  # the way of streams of text to write names that are no UTF-8
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:/ is a drive
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^/:@,?#\[\]\s]+)(?::\d+)?"
_LOGIN = r"(?:[^/?@:%]|%[0-9A-Fa-f]{2})*"
_PARTS = re.compile(
    rf"(?P<login>{_LOGIN}(?::{_LOGIN})?@)?(?P<hosts>{_HOST}(?:,{_HOST})*)?"
    r"(?P<path>(?:/[^?@]*)?)(?P<version>(?:@[A-Za-z0-9._-]+)?)(?P<query>(?:\?[^@]*)?)",
    re.DOTALL,
)
# A host that is none of a password's middle parts: it has a point or a port, or is this computer.
_SURE_HOST = re.compile(r"[^,]*(?:\.[^,]*|:\d+|\])|localhost")
_VERSION = re.compile(r"@(?:\d+|[A-Za-z0-9_-]*)")
_MONGODB_SETTINGS = re.compile(
    r"(?i)(?:tls|ssl|w|journal|appname|authsource|authmechanism|replicaset|readpreference|"
    r"readconcernlevel|retrywrites|retryreads|directconnection|loadbalanced|compressors|"
    r"(?:max|min)poolsize|\w*timeoutms)=[\w.,-]*"
)
_SECRET_SETTING = re.compile(
    r"(?i)pass|pwd|secret|token|key|sig|auth|cred|code|login|user|session|properties"
)
# As an address, but not written as one: mongodb:/u:p@host, "mongodb ://u:p@host, user:password@host/db.
_KNOWN = (
    r"mongodb|mongo|s3|gs|gcs|az|abfss?|hf|postgres(?:ql)?|mysql|mariadb|sqlite|redis|amqp|https?|"
    r"s?ftp"
)
_MISSPELT = re.compile(rf"(?i)\W*({_KNOWN})(?:\+\w+)?[\s'\"]*(?:[:;]|//|/[^/]*:.*@).*", re.DOTALL)
_BARE = re.compile(r"(?![A-Za-z]:[\\/])[^\s/\\@:]+:\S+@[^\s/@]+(?:/\S*)?")
_ALL_HIDDEN = re.compile(r"(?:[A-Za-z0-9+.-]+:(?://)?)?\*\*\*")
_INSIDE = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]+:/{{1,3}}|(?:{_KNOWN})//)\S*[@?]\S*")


def is_misspelt_address(text: str) -> bool:
    """Whether a text begins like an address, mongodb:/host, and is none."""
    return _SCHEME.match(text) is None and _MISSPELT.fullmatch(text) is not None


def is_hidden(text: str) -> bool:
    """Whether it cannot be told which part of an address is a secret, so that all of it is hidden."""
    return hide_secrets(text) != text and _ALL_HIDDEN.fullmatch(hide_secrets(text)) is not None


def hide_secrets(text: str) -> str:
    """An address without login data and secret settings; any other text as it is.

    Where it cannot be told for certain what is a secret, because a login has letters that were not
    escaped, nothing is left but the scheme.
    """
    found = _SCHEME.match(text)
    if not found:
        known = _MISSPELT.fullmatch(text) if "@" in text or "?" in text else None
        if known:
            return f"{known[1]}:***"
        return "***" if _BARE.fullmatch(text) else text
    scheme = found[1].lower()
    if scheme == "file":
        return text
    parts = _PARTS.fullmatch(text[found.end() :])
    if parts is None or not _is_certain(scheme, parts):
        return f"{found[0]}***"
    settings = [_masked(scheme, setting) for setting in parts["query"][1:].split("&")]
    query = f"?{'&'.join(settings)}" if parts["query"] else ""
    return found[0] + (parts["hosts"] or "") + parts["path"] + parts["version"] + query


def _is_certain(scheme: str, parts: re.Match[str]) -> bool:
    """Whether what stands behind the login can be no end of a password: u:pass@word/w/o@rd."""
    if not parts["version"]:
        return True
    deep = len([part for part in parts["path"].split("/") if part]) > (scheme != "s3")
    if not parts["hosts"] or not deep or ":" in (parts["path"]):
        return False
    if scheme == "s3" or not parts["login"]:
        return True
    is_number = parts["version"][1:].isdecimal() or parts["version"] == "@latest"
    plain = _VERSION.fullmatch(parts["version"]) and parts["version"] != "@localhost"
    return is_number or bool(plain and _SURE_HOST.fullmatch(parts["hosts"]))


def _masked(scheme: str, setting: str) -> str:
    key, mark, _value = setting.partition("=")
    if scheme.startswith("mongodb"):
        known = _MONGODB_SETTINGS.fullmatch(setting) or not setting
        return setting if known else f"{key}=***" if mark and key.isalnum() else "***"
    return f"{key}=***" if mark and _SECRET_SETTING.search(key) else setting


def readable_name(name: str) -> str:
    """A path or name as text that can be written anywhere: composed Unicode, no stray bytes.

    Bytes that are no UTF-8, which Python keeps as lone surrogates, are written as shells do: \\xe9.
    """
    if name.isascii():
        return name
    try:
        stray = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        stray = name.encode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", stray.decode("utf-8", "backslashreplace"))


def quoted(path: object) -> str:
    """A path as the shell of this system takes it in a command that is shown, one word."""
    text = readable_name(str(path))
    if os.name != "nt":
        return shlex.quote(text)
    return f'"{text}"' if re.search(r"[\s&()^,;=%!'+`~\[\]{}]", text) else text


def _write_stray(error: UnicodeError) -> tuple[str, int]:
    """For streams of text: what cannot be encoded, as `readable_name` writes it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return readable_name(error.object[error.start : error.end]), error.end


codecs.register_error(STRAY_BYTES, _write_stray)


def presentable(text: str) -> str:
    """A text as it may be shown to anybody: readable, and without the logins of addresses in it."""
    if not text.isascii():
        text = readable_name(text)
    if ":" not in text or not ("@" in text or "?" in text):
        return text
    whole = hide_secrets(text)
    if whole != text or _SCHEME.match(text):
        return whole
    return presentable_sentence(text)


def presentable_sentence(text: str) -> str:
    """The same for a whole sentence, which may begin with an address that is shown already."""
    return _INSIDE.sub(lambda found: hide_secrets(found[0]), readable_name(text))
