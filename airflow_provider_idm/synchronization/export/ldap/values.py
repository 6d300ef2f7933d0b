"""From what a directory holds to the text of a source file."""

from __future__ import annotations

import base64
import re
from enum import Enum
from typing import Final

_BINARY: Final = frozenset(
    {
        "audio",
        "cacertificate",
        "certificaterevocationlist",
        "jpegphoto",
        "logonhours",
        "msds-generationid",
        "msexcharchiveguid",
        "msexchmailboxguid",
        "ntsecuritydescriptor",
        "objectguid",
        "objectsid",
        "parentguid",
        "photo",
        "schemaidguid",
        "sidhistory",
        "thumbnaillogo",
        "thumbnailphoto",
        "usercertificate",
        "usersmimecertificate",
        "userpkcs12",
    }
)
"""Attributes that hold bytes, in lower case: always base64, for some of their values may look like text."""


_RDN: Final = re.compile(r"(?:[^\\,;]|\\.)*", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)


class Kind(Enum):
    """How the values of a column are written."""

    TEXT = "text"
    """As text; base64 if they are none."""
    BYTES = "bytes"
    """As base64."""
    GUID = "guid"
    """As text, or as base64 if they are the 16 bytes of a binary one."""
    SID = "sid"
    """As text, or as base64 if they are binary."""


def to_text(raw: bytes, kind: Kind, attribute: str) -> str:
    """Return a value as the formats of mappings expect to read it.

    :param attribute: whose value it is, in lower case.
    """
    if kind is Kind.BYTES:
        return _base64(raw)
    if kind is Kind.GUID:
        return _base64(raw) if len(raw) == 16 else _decode(raw)
    if kind is Kind.SID:
        return _decode(raw) if raw[:4].upper() == b"S-1-" else _base64(raw)
    return _base64(raw) if attribute in _BINARY else _decode(raw)


def join(values: list[str], separator: str) -> str:
    """Join the values of an attribute, sorted without regard to case: a directory keeps them in no order."""
    return separator.join(sorted(values, key=lambda value: (value.upper(), value)))


def parent_dn(dn: str) -> str:
    """Return the DN without its first part; empty if it has only one."""
    at = 0
    while at < len(dn):
        if dn[at] == "\\":
            at += 2
            continue
        if dn[at] in ",;":
            return dn[at + 1 :].lstrip(" ")
        at += 1
    return ""


def rdn_values(dn: str, attribute: str) -> list[str]:
    """Return the values that the first part of a DN has for an attribute (in lower case), without their escapes."""
    values = []
    for pair in re.split(r"(?<!\\)\+", _RDN.match(dn)[0]):  # type: ignore[index]
        name, _, value = pair.partition("=")
        if name.strip().casefold() == attribute:
            raw = _ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else m[2], value.encode())
            values.append(raw.decode("utf-8", "replace"))
    return values


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _base64(raw)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
