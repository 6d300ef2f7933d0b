"""Bytes, GUIDs, security identifiers."""

from __future__ import annotations

from typing import Final

from airflow_provider_idm.synchronization.prepare.convert.let import let

_BASE64: Final = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_HEX: Final = "0[xX](?:[0-9A-Fa-f]{2})*"
_DASHED: Final = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_GUID: Final = rf"[0-9A-Fa-f]{{32}}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\)|(?:urn:uuid:|URN:UUID:){_DASHED}"
_GUID_HEX: Final = r"0[xX][0-9A-Fa-f]{32}|(?:\\[0-9A-Fa-f]{2}){16}"
_GUID_BASE64: Final = "[A-Za-z0-9+/]{21}[AQgw]=="
_LITTLE_ENDIAN: Final = (4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16)
"""Places (from 1) of the bytes of a binary GUID in the order in which its text shows them."""
_SID: Final = r"[Ss]-1-(?:\d{1,15}|0[xX][0-9A-Fa-f]{1,12})(?:-\d{1,10}){0,15}"
_SID_HEX: Final = "(?:0[xX])?01[0-9A-Fa-f]{14}(?:[0-9A-Fa-f]{8}){0,15}"


def bytes_(x: str) -> str:
    """Base64 (line breaks in it are skipped), or hexadecimal digits after ``0x`` → base64."""
    plain = rf"regexp_replace({x}, '[\r\n]', '', 'g')"
    return (
        f"CASE WHEN regexp_full_match({x}, '{_HEX}') THEN to_base64(TRY(unhex(substr({x}, 3)))) "
        f"WHEN regexp_full_match({plain}, '{_BASE64}') THEN to_base64(TRY(from_base64({plain}))) END"
    )


def guid(x: str) -> str:
    r"""Read 32 hexadecimal digits, plain or with dashes, in braces or parentheses, or as a URN: the same digits.

    16 bytes as base64, as ``0x…`` or as ``\xx\xx…`` are in the byte order of directories, where the first three
    groups are little-endian.
    """
    digits = (
        rf"lower(regexp_replace(regexp_replace({x}, '^(?:urn:uuid:|URN:UUID:)', ''), '[-{{}}()]', '', 'g'))"
    )
    from_hex = rf"regexp_replace(regexp_replace({x}, '^0[xX]', ''), '\\', '', 'g')"
    from_base64 = f"hex(TRY(from_base64({x})))"
    # the common way of writing first: told without a regular expression, it takes a third of the time
    dashed = f"{x} LIKE '________-____-____-____-____________' AND TRY_CAST({x} AS UUID) IS NOT NULL"
    return (
        f"CASE WHEN {dashed} THEN replace(lower({x}), '-', '') "
        f"WHEN regexp_full_match({x}, '{_GUID}') THEN {digits} "
        f"WHEN regexp_full_match({x}, '{_GUID_HEX}') THEN {_reorder(from_hex)} "
        f"WHEN regexp_full_match({x}, '{_GUID_BASE64}') THEN {_reorder(from_base64)} END"
    )


def sid(x: str) -> str:
    """``S-1-…`` text, or the binary form as hexadecimal digits or base64 → ``S-1-…`` text."""
    bare = f"regexp_replace({x}, '^0[xX]', '')"
    from_base64 = f"hex(TRY(from_base64({x})))"
    return (
        f"CASE WHEN regexp_full_match({x}, '{_SID}') THEN {_sid_text(x)} "
        f"WHEN regexp_full_match({x}, '{_SID_HEX}') THEN "
        f"{_sid_binary(bare)} "
        f"WHEN regexp_full_match({x}, '{_BASE64}') AND regexp_full_match({from_base64}, '{_SID_HEX}') "
        f"THEN {_sid_binary(from_base64)} END"
    )


def _reorder(digits: str) -> str:
    return let(
        digits,
        "digits",
        lambda d: "lower(" + " || ".join(f"substr({d}, {2 * n - 1}, 2)" for n in _LITTLE_ENDIAN) + ")",
    )


def _sid_text(x: str) -> str:
    """Write numbers without leading zeros, an authority of 32 bits in decimal; NULL if one is too great."""
    return let(f"string_split({x}, '-')", "parts", _sid_of_parts)


def _sid_of_parts(parts: str) -> str:
    authority = _authority(f"TRY_CAST({parts}[3] AS UBIGINT)")
    rest = f"list_transform({parts}[4:], lambda n: TRY_CAST(n AS UINTEGER)::VARCHAR)"
    return (
        f"CASE WHEN TRY_CAST({parts}[3] AS UBIGINT) < {2**48} AND len(list_filter({rest}, lambda n: n IS NULL)) = 0 "
        f"THEN array_to_string(list_concat(['S', '1', {authority}], {rest}), '-') END"
    )


def _sid_binary(digits: str) -> str:
    """Count, authority (6 bytes, big-endian), sub-authorities (4 bytes each, little-endian)."""
    return let(digits, "digits", _sid_of_digits)


def _sid_of_digits(digits: str) -> str:
    count = f"('0x' || substr({digits}, 3, 2))::INTEGER"
    authority = _authority(f"('0x' || substr({digits}, 5, 12))::UBIGINT")
    subs = (
        f"list_transform(range({count}), lambda i: ('0x' || substr({digits}, 23 + 8 * i::INTEGER, 2) || "
        f"substr({digits}, 21 + 8 * i::INTEGER, 2) || substr({digits}, 19 + 8 * i::INTEGER, 2) || "
        f"substr({digits}, 17 + 8 * i::INTEGER, 2))::UINTEGER::VARCHAR)"
    )
    return (
        f"CASE WHEN length({digits}) = 16 + 8 * {count} "
        f"THEN array_to_string(list_concat(['S', '1', {authority}], {subs}), '-') END"
    )


def _authority(number: str) -> str:
    """Write an identifier authority: decimal below 2^32, else 12 hexadecimal digits after ``0x``."""
    return (
        f"CASE WHEN {number} < {2**32} THEN {number}::VARCHAR ELSE '0x' || lpad(hex({number}), 12, '0') END"
    )
