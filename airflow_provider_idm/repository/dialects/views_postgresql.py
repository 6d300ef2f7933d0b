"""Views on PostgreSQL: the sign of ours is their comment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    UUID,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Numeric,
    Select,
    SmallInteger,
    and_,
    case,
    cast,
    exc,
    false,
    func,
    or_,
    text,
    true,
)
from sqlalchemy.dialects import postgresql

from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.errors import LockedError, RepositoryError
from airflow_provider_idm.repository.dialects.views import (
    INTEGERS,
    PREFIX,
    Found,
    View,
    ViewDialect,
    found_view,
)

_PATIENCE: Final = 10
"""Seconds to wait for who uses a view; others that want to use it wait behind."""
_OTHER_COLUMNS, _IN_USE, _DEPENDED_ON = "42P16", "55P03", "2BP01"
_TYPES: Final = {
    PropertyType.BYTE: SmallInteger(),
    PropertyType.INT16: SmallInteger(),
    PropertyType.INT32: Integer(),
    PropertyType.INT64: BigInteger(),
}
_LARGEST, _SMALLEST = "1.7976931348623157e308", "5e-324"
_INTEGER: Final = "^(0|-?[1-9][0-9]{0,18})$"
_NUMBER: Final = "^-?(0|[1-9][0-9]*)([.][0-9]+)?(e[+-]?[0-9]{1,3})?$"
_MOMENT: Final = "^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]$"
_GUID: Final = "^[0-9a-f]{32}$"
_BASE64: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_KINDS: Final = {
    "m": "materialized view",
    "S": "sequence",
    "i": "index",
    "I": "index",
    "f": "foreign table",
    "c": "type",
}
_FIND: Final = text(
    """
    SELECT c.relname AS name, c.relkind::text AS kind, obj_description(c.oid, 'pg_class') AS sign
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(:schema, current_schema()) AND left(c.relname, :length) = :prefix
    """
)
_GRANTS: Final = text(
    """
    SELECT CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END AS grantee, a.privilege_type, a.is_grantable
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
    WHERE n.nspname = coalesce(:schema, current_schema()) AND c.relname = :name AND a.grantee <> c.relowner
    ORDER BY 1, 2
    """
)


class PostgresqlViews(ViewDialect):
    """Every type has its own here; a moment is a ``timestamp`` in UTC, for ``9999-12-31`` has no other time zone."""

    def __init__(self) -> None:
        # Of this style neither names nor values have their percent signs doubled.
        self._dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]

    def typed(self, text: ColumnElement[Any], type_: PropertyType) -> ColumnElement[Any]:
        """Cast what has the type's form."""
        if type_ in INTEGERS:
            return _integer(text, type_)
        return _TYPED[type_](text) if type_ in _TYPED else text

    def compiled(self, statement: Select[Any]) -> str:
        """Write the query."""
        return str(statement.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))

    def key(self, name: str) -> str:
        """Return the name: upper and lower case differ."""
        return name

    def begin(self, connection: Connection) -> None:
        """Set how long to wait for each view."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")

    def find(self, connection: Connection, schema: str | None) -> list[Found]:
        """Look into the catalogue of relations."""
        rows = connection.execute(_FIND, {"schema": schema, "prefix": PREFIX, "length": len(PREFIX)})
        return [
            found_view(row.name, row.sign)
            if row.kind == "v"
            else Found(row.name, _KINDS.get(row.kind, "table"), None)
            for row in rows
        ]

    def create(self, connection: Connection, schema: str | None, view: View) -> None:
        """Create a view."""
        self._define(connection, "CREATE VIEW", schema, view)

    def replace(self, connection: Connection, schema: str | None, old: str, view: View) -> None:
        """Replace the query if the columns allow it; else make the view anew, with the rights granted on it."""
        try:
            with _told(old), connection.begin_nested():
                self._define(connection, "CREATE OR REPLACE VIEW", schema, view)
        except exc.DBAPIError as error:
            if _state(error) != _OTHER_COLUMNS:
                raise
            grants = connection.execute(_GRANTS, {"schema": schema, "name": old}).all()
            self.drop(connection, schema, old)
            self.create(connection, schema, view)
            for grant in grants:
                self._grant(connection, self._quoted(schema, view.name), *grant)

    def drop(self, connection: Connection, schema: str | None, name: str) -> None:
        """Drop a view."""
        with _told(name):
            _execute(connection, f"DROP VIEW {self._quoted(schema, name)}")

    def _define(self, connection: Connection, how: str, schema: str | None, view: View) -> None:
        name = self._quoted(schema, view.name)
        _execute(connection, f"{how} {name} AS\n{view.query}")
        _execute(connection, f"COMMENT ON VIEW {name} IS '{view.sign}'")

    def _grant(
        self, connection: Connection, view: str, grantee: str | None, privilege: str, grantable: bool
    ) -> None:
        whom = "PUBLIC" if grantee is None else self._dialect.identifier_preparer.quote(grantee)
        option = " WITH GRANT OPTION" if grantable else ""
        _execute(connection, f"GRANT {privilege} ON {view} TO {whom}{option}")

    def _quoted(self, schema: str | None, name: str) -> str:
        quote = self._dialect.identifier_preparer.quote
        return quote(name) if schema is None else f"{quote(schema)}.{quote(name)}"


def _integer(text: ColumnElement[Any], type_: PropertyType) -> ColumnElement[Any]:
    fits = cast(text, Numeric).between(*INTEGERS[type_])
    return case((text.regexp_match(_INTEGER), case((fits, cast(text, _TYPES[type_])))))


def _boolean(text: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((text == "1", true()), (text == "0", false()))


def _double(text: ColumnElement[Any]) -> ColumnElement[Any]:
    size = func.abs(cast(text, Numeric))
    fits = or_(size == 0, size.between(cast(_SMALLEST, Numeric), cast(_LARGEST, Numeric)))
    return case((text.regexp_match(_NUMBER), case((fits, cast(text, Double)))))


def _guid(text: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((text.regexp_match(_GUID), cast(text, UUID)))


def _bytes(text: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((text.regexp_match(_BASE64), func.decode(text, "base64", type_=LargeBinary())))


def _moment(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Read ``yyyyMMddHHmmss``; the days are added, since a day that a month does not have would be an error."""
    year, month, day, hour, minute, second = (
        cast(func.substr(text, start, length), Integer)
        for start, length in ((1, 4), (5, 2), (7, 2), (9, 2), (11, 2), (13, 2))
    )
    first = func.make_timestamp(year, month, 1, hour, minute, second)
    moment = first.op("+", return_type=DateTime())(func.make_interval(0, 0, 0, day - 1))
    exists = func.to_char(moment, "YYYYMMDDHH24MISS") == text
    return case((and_(text.regexp_match(_MOMENT), text.not_like("0000%")), case((exists, moment))))


_TYPED: Final[Mapping[PropertyType, Callable[[ColumnElement[Any]], ColumnElement[Any]]]] = {
    PropertyType.BOOL: _boolean,
    PropertyType.DOUBLE: _double,
    PropertyType.DATE_TIME: _moment,
    PropertyType.GUID: _guid,
    PropertyType.BYTES: _bytes,
    PropertyType.BINARY: _bytes,
}


def _execute(connection: Connection, statement: str) -> None:
    """Execute a statement as it is: nothing in it stands for a parameter."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _state(error: exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


@contextmanager
def _told(view: str) -> Iterator[None]:
    """Tell what stands in the way of changing a view."""
    try:
        yield
    except exc.DBAPIError as error:
        if _state(error) == _IN_USE:
            raise LockedError(
                f"the view {view} was in use for more than {_PATIENCE} s; no view was changed, try again later"
            ) from None
        if _state(error) == _DEPENDED_ON:
            detail = getattr(getattr(error.orig, "diag", None), "message_detail", None) or ""
            raise RepositoryError(
                f"the view {view} must be dropped, but other objects depend on it ({'; '.join(detail.splitlines())}): "
                "drop them, and make them again afterwards; no view was changed"
            ) from None
        raise
