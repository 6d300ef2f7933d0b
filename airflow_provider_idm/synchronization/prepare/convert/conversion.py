"""Which conversion a mapped property needs: its ``Format`` first, then its type, then what its column holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.synchronization.prepare.convert import binary, dates, names, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_idm.configuration.mappings import MappedProperty
    from airflow_provider_idm.configuration.model import Format

    Step = Callable[[str], str]

_INTEGERS: Final = {
    PropertyType.BYTE: "Byte",
    PropertyType.INT16: "Int16",
    PropertyType.INT32: "Int32",
    PropertyType.INT64: "Int64",
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A conversion step: its expression (None: as is), what it expects, and the types that its results fit."""

    step: Step | None
    expected: str
    fits: frozenset[PropertyType] = frozenset()


@dataclass(frozen=True, slots=True)
class Conversion:
    """From a source text to the canonical value of a property.

    :param steps: applied in turn; none leaves the text as is.
    :param expected: what the source should hold, for messages.
    :param max_length: code points that the canonical value may have, or None.
    """

    steps: tuple[Step, ...]
    expected: str
    max_length: int | None

    def expression(self, x: str, *, nul: bool) -> str:
        """Return SQL: NULL for a text that does not convert, an empty text if it stands for no value.

        :param x: the expression of a source text (NULL in, NULL out).
        :param nul: whether texts may hold NUL characters, which no value can.
        """
        value = x
        for number, step in enumerate(self.steps):
            value = f"CASE WHEN {value} = '' THEN '' ELSE {step(value)} END" if number else step(value)
        guards = [f"NOT contains({x}, chr(0))"] if nul else []
        if self.max_length is not None:
            # bytes are quickly counted, and never fewer than code points
            guards.append(f"(strlen({value}) <= {self.max_length} OR length({value}) <= {self.max_length})")
        return f"CASE WHEN {' AND '.join(guards)} THEN {value} END" if guards else value


def conversion_of(
    mapped: MappedProperty, find_property: Callable[[str], MappedProperty]
) -> tuple[Conversion, str | None]:
    """Return the conversion of a mapped property, and the source column that it reads.

    :param find_property: finds the property that a ``Bit`` format reads.
    """
    kind = _of_type(mapped.type)
    column = mapped.connection_column
    if mapped.format is None:
        steps = [kind.step]
    elif mapped.format.name is FormatName.BIT:
        of = find_property(mapped.format.bit_property or "")
        source, column = conversion_of(of, find_property)
        bit = mapped.format.bit or 0
        integer = _of_type(PropertyType.INT64).step
        # what is no number is reported once, by the property itself
        steps = [*source.steps, integer if of.type not in _INTEGERS else None, lambda x: numbers.bit(x, bit)]
        own = Conversion(tuple(s for s in steps if s), source.expected, None)
        return Conversion(
            (lambda x: f"coalesce({own.expression(x, nul=False)}, '')",), own.expected, None
        ), column
    else:
        written = _of_format(mapped.format)
        steps = [written.step, kind.step if mapped.type not in written.fits else None]
        kind = _Kind(None, written.expected)
    expected = kind.expected
    if mapped.max_length is not None:
        expected += f", at most {mapped.max_length} characters"
    return Conversion(tuple(s for s in steps if s), expected, mapped.max_length), column


def _integer(name: str) -> Step:
    return lambda x: numbers.integer(x, name)


def _of_type(type_: PropertyType) -> _Kind:
    if type_ in _INTEGERS:
        name = _INTEGERS[type_]
        low, high = numbers.RANGES[name]
        return _Kind(_integer(name), f"{name}: a whole number from {low} to {high}")
    return _TYPES.get(type_, _TEXT)


def _of_format(format_: Format) -> _Kind:
    name = format_.name.value
    if name in numbers.RANGES:
        low, high = numbers.RANGES[name]
        wider = {
            t for t, n in _INTEGERS.items() if numbers.RANGES[n][0] <= low and numbers.RANGES[n][1] >= high
        }
        expected = f"{name}: a whole number from {low} to {high}"
        return _Kind(_integer(name), expected, frozenset(wider) | _TEXTUAL)
    kind = _FORMATS.get(format_.name, _TEXT)
    return _Kind(kind.step, kind.expected, kind.fits | _TEXTUAL)


_TEXTUAL: Final = frozenset({PropertyType.STRING, PropertyType.FOREIGN_KEY})
_BINARIES: Final = frozenset({PropertyType.BYTES, PropertyType.BINARY})
_TEXT: Final = _Kind(None, "a text without NUL characters")
_BOOL: Final = _Kind(numbers.boolean, "Bool: true, false, yes, no, 1 or 0", frozenset({PropertyType.BOOL}))
_DOUBLE: Final = _Kind(
    numbers.double, "Double: a number with a decimal point", frozenset({PropertyType.DOUBLE})
)
_DATE_TIME: Final = _Kind(
    dates.date_time,
    "DateTime: ISO 8601, yyyy-MM-dd HH:mm:ss or generalized time",
    frozenset({PropertyType.DATE_TIME}),
)
_GUID: Final = _Kind(
    binary.guid,
    "Guid: 32 hexadecimal digits, with or without dashes and braces, or 16 bytes as base64 or 0x hexadecimal",
    frozenset({PropertyType.GUID}),
)
_BYTES: Final = _Kind(binary.bytes_, "bytes as base64, or as hexadecimal digits after 0x", _BINARIES)

_TYPES: Final = {
    PropertyType.BOOL: _BOOL,
    PropertyType.DOUBLE: _DOUBLE,
    PropertyType.DATE_TIME: _DATE_TIME,
    PropertyType.GUID: _GUID,
    PropertyType.BYTES: _BYTES,
    PropertyType.BINARY: _BYTES,
}
_FORMATS: Final = {
    FormatName.RDN: _Kind(names.rdn, "RDN: a distinguished name such as CN=name,OU=unit"),
    FormatName.SID: _Kind(binary.sid, "SID: S-1-… text, or a binary SID as base64 or hexadecimal digits"),
    FormatName.BOOL: _BOOL,
    FormatName.DOUBLE: _DOUBLE,
    FormatName.DATE_TIME: _DATE_TIME,
    FormatName.DATE: _Kind(dates.date, "Date: yyyy-MM-dd or yyyyMMdd", frozenset({PropertyType.DATE_TIME})),
    FormatName.DATE_1601: _Kind(
        dates.date_1601, "1601Date: 100-ns ticks since 1601", frozenset({PropertyType.DATE_TIME})
    ),
    FormatName.GUID: _GUID,
    FormatName.BYTES: _BYTES,
    FormatName.BINARY: _BYTES,
}
