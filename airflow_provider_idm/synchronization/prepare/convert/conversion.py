"""Which conversion a mapped property needs: its ``Format`` first, then its type, then what its column holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.configuration.enums import FormatName, PropertyType
from airflow_provider_idm.synchronization.prepare.convert import binary, dates, names, numbers
from airflow_provider_idm.synchronization.prepare.convert.let import let

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
    """A conversion step.

    :param step: its expression; None: as is.
    :param expected: what it expects.
    :param fits: the types that its results fit.
    :param longest: code points that its results have at most; None: as many as there are.
    """

    step: Step | None
    expected: str
    fits: frozenset[PropertyType] = frozenset()
    longest: int | None = None


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
        value = self.steps[0](x) if self.steps else x
        for step in self.steps[1:]:
            value = let(value, "read", partial(_unless_empty, step))
        guards = [f"NOT contains({x}, chr(0))"] if nul else []
        if self.max_length is not None and value != x:
            value = let(value, "value", self._guarded)
        elif self.max_length is not None:
            value = self._guarded(value)
        return f"CASE WHEN {' AND '.join(guards)} THEN {value} END" if guards else value

    def _guarded(self, value: str) -> str:
        # bytes are quickly counted, and never fewer than code points
        fits = f"strlen({value}) <= {self.max_length} OR length({value}) <= {self.max_length}"
        return f"CASE WHEN {fits} THEN {value} END"


def _unless_empty(step: Step, value: str) -> str:
    return f"CASE WHEN {value} = '' THEN '' ELSE {step(value)} END"


def conversion_of(
    mapped: MappedProperty, find_property: Callable[[str], MappedProperty]
) -> tuple[Conversion, str | None]:
    """Return the conversion of a mapped property, and the source column that it reads.

    :param find_property: finds the property that a ``Bit`` format reads.
    """
    if mapped.format is not None and mapped.format.name is FormatName.BIT:
        return _bit_of(find_property(mapped.format.bit_property or ""), mapped.format.bit or 0, find_property)
    kinds = [_of_type(mapped.type)]
    if mapped.format is not None:
        written = _of_format(mapped.format)
        kinds = [written] if mapped.type in written.fits else [written, *kinds]
    steps = tuple(kind.step for kind in kinds if kind.step)
    longest = next((kind.longest for kind in reversed(kinds) if kind.step), None)
    expected, max_length = kinds[0].expected, mapped.max_length
    if max_length is not None and longest is not None and longest <= max_length:
        max_length = None
    if max_length is not None:
        expected += f", at most {max_length} characters"
    return Conversion(steps, expected, max_length), mapped.connection_column


def _bit_of(
    of: MappedProperty, bit: int, find_property: Callable[[str], MappedProperty]
) -> tuple[Conversion, str | None]:
    source, column = conversion_of(of, find_property)
    integer = _of_type(PropertyType.INT64).step
    # what is no number is reported once, by the property itself
    steps = [*source.steps, integer if of.type not in _INTEGERS else None, lambda x: numbers.bit(x, bit)]
    own = Conversion(tuple(s for s in steps if s), source.expected, None)
    return Conversion(
        (lambda x: f"coalesce({own.expression(x, nul=False)}, '')",), own.expected, None
    ), column


def _integer(name: str) -> Step:
    return lambda x: numbers.integer(x, name)


def _of_type(type_: PropertyType) -> _Kind:
    if type_ in _INTEGERS:
        return _of_range(_INTEGERS[type_])
    return _TYPES.get(type_, _TEXT)


def _of_range(name: str) -> _Kind:
    low, high = numbers.RANGES[name]
    wider = {t for t, n in _INTEGERS.items() if numbers.RANGES[n][0] <= low and numbers.RANGES[n][1] >= high}
    expected = f"{name}: a whole number from {low} to {high}"
    return _Kind(_integer(name), expected, frozenset(wider), max(len(str(low)), len(str(high))))


def _of_format(format_: Format) -> _Kind:
    name = format_.name.value
    kind = _of_range(name) if name in numbers.RANGES else _FORMATS.get(format_.name, _TEXT)
    return replace(kind, fits=kind.fits | _TEXTUAL)


_TEXTUAL: Final = frozenset({PropertyType.STRING, PropertyType.FOREIGN_KEY})
_BINARIES: Final = frozenset({PropertyType.BYTES, PropertyType.BINARY})
_MOMENT: Final = 14
_TEXT: Final = _Kind(None, "a text without NUL characters")
_BOOL: Final = _Kind(numbers.boolean, "Bool: true, false, yes, no, 1 or 0", frozenset({PropertyType.BOOL}), 1)
_DOUBLE: Final = _Kind(
    numbers.double, "Double: a number with a decimal point", frozenset({PropertyType.DOUBLE}), 24
)
_DATE_TIME: Final = _Kind(
    dates.date_time,
    "DateTime: ISO 8601, yyyy-MM-dd HH:mm:ss or generalized time",
    frozenset({PropertyType.DATE_TIME}),
    _MOMENT,
)
_GUID: Final = _Kind(
    binary.guid,
    "Guid: 32 hexadecimal digits, with or without dashes and braces, or 16 bytes as base64 or 0x hexadecimal",
    frozenset({PropertyType.GUID}),
    32,
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
    FormatName.DATE: _Kind(
        dates.date, "Date: yyyy-MM-dd or yyyyMMdd", frozenset({PropertyType.DATE_TIME}), _MOMENT
    ),
    FormatName.DATE_1601: _Kind(
        dates.date_1601, "1601Date: 100-ns ticks since 1601", frozenset({PropertyType.DATE_TIME}), _MOMENT
    ),
    FormatName.GUID: _GUID,
    FormatName.BYTES: _BYTES,
    FormatName.BINARY: _BYTES,
}
