"""``Format`` of a mapped property: parsing it, and which formats suit which property types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.configuration.model import Format
from airflow_provider_idm.configuration.names import suggestion

_BY_NAME: Final = {name.value.casefold(): name for name in FormatName}

INTEGER_BITS: Final[Mapping[PropertyType, int]] = {
    PropertyType.BYTE: 8,
    PropertyType.INT16: 16,
    PropertyType.INT32: 32,
    PropertyType.INT64: 64,
}
"""Bits of the integer types: how far a ``Bit`` format may count."""

_INTEGERS: Final = (FormatName.BYTE, FormatName.INT16, FormatName.INT32, FormatName.INT64)

SUITABLE: Final[Mapping[PropertyType, tuple[FormatName, ...]]] = {
    PropertyType.STRING: (FormatName.CONCAT, FormatName.MULTIVALUED_TEXT, FormatName.RDN, FormatName.SID),
    PropertyType.BOOL: (FormatName.BOOL, FormatName.BIT),
    PropertyType.BYTE: (*_INTEGERS[:1], FormatName.BIT),
    PropertyType.INT16: (*_INTEGERS[:2], FormatName.BIT),
    PropertyType.INT32: (*_INTEGERS[:3], FormatName.BIT),
    PropertyType.INT64: (*_INTEGERS, FormatName.BIT),
    PropertyType.DOUBLE: (FormatName.DOUBLE,),
    PropertyType.DATE_TIME: (FormatName.DATE_TIME, FormatName.DATE, FormatName.DATE_1601),
    PropertyType.GUID: (FormatName.GUID,),
    PropertyType.BYTES: (FormatName.BYTES, FormatName.BINARY),
    PropertyType.BINARY: (FormatName.BINARY, FormatName.BYTES),
    PropertyType.FOREIGN_KEY: (),
}
"""The formats whose values always fit the type."""


def parse_format(text: str) -> Format:
    """Read a ``Format`` attribute, its name in any case.

    :raises ValueError: if it is unknown or incomplete; the message says what was expected.
    """
    name_text, colon, rest = text.partition(":")
    name = _BY_NAME.get(name_text.strip().casefold())
    if name is None:
        known = [format_name.value for format_name in FormatName]
        raise ValueError(f"expected one of {', '.join(known)}{suggestion(name_text, known)}")
    if name is FormatName.CONCAT:
        if not rest:
            raise ValueError("expected Concat:<separator>")
        return Format(name, separator=rest)
    if name is FormatName.BIT:
        return _parse_bit(rest)
    if colon:
        raise ValueError(f"expected {name.value} alone, with nothing behind it")
    return Format(name)


def _parse_bit(rest: str) -> Format:
    bit_property, _, number = (part.strip() for part in rest.rpartition(":"))
    if not bit_property or not (number.isascii() and number.isdigit() and len(number) <= 2):
        raise ValueError("expected Bit:<property>:<number of the bit, 0 being the lowest>")
    return Format(FormatName.BIT, bit_property=bit_property, bit=int(number))
