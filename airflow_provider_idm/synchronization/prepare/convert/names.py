"""Distinguished names: the first RDN's value."""

from __future__ import annotations

from typing import Final

from airflow_provider_idm.synchronization.prepare.convert.let import let

_TYPE: Final = r"\s*(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=\s*"
_ESCAPED: Final = r"\\[0-9A-Fa-f]{2}|\\[^0-9A-Fa-f]"
_QUOTED: Final = rf'"(?:[^\\"]|{_ESCAPED})*"'
_PLAIN: Final = rf'(?:[^\\,+;"]|{_ESCAPED})*'
_VALUE: Final = rf"({_QUOTED}|{_PLAIN})"
_REST: Final = r"\s*(?:[,;+](?s:.*))?"


def rdn(x: str) -> str:
    """Return the value of the first RDN of a DN, without its escapes; of ``CN=a+UID=b`` the first part.

    An escape is a backslash before a character or before two hexadecimal digits, which are a byte of UTF-8.
    """
    value = let(f"regexp_extract({x}, '^{_TYPE}{_VALUE}{_REST}$', 1)", "value", _bare)
    return (
        f"CASE WHEN regexp_full_match({x}, '{_TYPE}{_VALUE}{_REST}') THEN "
        f"CASE WHEN contains({x}, '\\') THEN {_unescape(value)} ELSE {value} END END"
    )


def _bare(value: str) -> str:
    # spaces around an unquoted value do not belong to it, unless the last one is escaped
    stripped = rf"regexp_replace({value}, '(^|[^\\])\s+$', '\1')"
    return f"CASE WHEN {value}[1] = '\"' THEN {value}[2:-2] ELSE {stripped} END"


def _unescape(value: str) -> str:
    tokens = rf"regexp_extract_all({value}, '(?s:\\[0-9A-Fa-f]{{2}}|\\.|[^\\]+)')"
    return (
        f"TRY(decode(unhex(array_to_string(list_transform({tokens}, lambda t: "
        rf"CASE WHEN regexp_full_match(t, '\\[0-9A-Fa-f]{{2}}') THEN t[2:] "
        rf"WHEN t[1] = '\' THEN hex(encode(t[2:])) ELSE hex(encode(t)) END), ''))))"
    )
