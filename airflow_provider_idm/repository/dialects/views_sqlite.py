"""Views on SQLite: the sign of ours is a comment inside their SQL, which SQLite keeps as it was written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    select,
)
from sqlalchemy.dialects import sqlite

from airflow_provider_idm.configuration.enums import PropertyType
from airflow_provider_idm.repository.dialects.views import (
    INTEGERS,
    PREFIX,
    Found,
    View,
    ViewDialect,
    found_view,
)

_LARGEST: Final = 1.7976931348623157e308
_END: Final = " */\n"
_MASTER: Final = Table(
    "sqlite_master", MetaData(), Column("type", Text), Column("name", Text), Column("sql", Text)
)


class SqliteViews(ViewDialect):
    """Numbers and moments as SQLite's functions take them; all else is text."""

    def typed(self, text: ColumnElement[Any], type_: PropertyType) -> ColumnElement[Any]:
        """Make integers, reals, 0 and 1, and ``yyyy-MM-dd HH:mm:ss``."""
        if type_ in INTEGERS:
            number = cast(text, Integer)
            return case((and_(cast(number, Text) == text, number.between(*INTEGERS[type_])), number))
        if type_ is PropertyType.BOOL:
            return case((text == "1", 1), (text == "0", 0))
        if type_ is PropertyType.DOUBLE:
            number = cast(text, Float)
            is_number = and_(
                func.json_type(text).in_(("integer", "real")), number.between(-_LARGEST, _LARGEST)
            )
            return case((func.json_valid(text) == 1, case((is_number, number))))
        if type_ is PropertyType.DATE_TIME:
            moment = _moment(text)
            exists = (
                func.datetime(moment, "+0 days") == moment
            )  # which makes the 30th of February one of March
            return case((and_(func.length(text) == 14, exists, moment.not_like("0000%")), moment))
        return text

    def compiled(self, statement: Select[Any]) -> str:
        """Write the query."""
        return str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))

    def key(self, name: str) -> str:
        """Return the name in lower case."""
        return name.casefold()

    def begin(self, connection: Connection) -> None:
        """Do nothing: readers are never in the way, and the transaction waited for its turn already."""

    def find(self, connection: Connection, schema: str | None) -> list[Found]:  # noqa: ARG002
        """Look into the list of everything."""
        return [
            _view(row.name, row.sql) if row.type == "view" else Found(row.name, row.type, None)
            for row in connection.execute(select(_MASTER))
            if row.name.casefold().startswith(PREFIX)
        ]

    def create(self, connection: Connection, schema: str | None, view: View) -> None:  # noqa: ARG002
        """Create a view."""
        connection.exec_driver_sql(f"CREATE VIEW {_quoted(view.name)} AS /* {view.sign}{_END}{view.query}")

    def replace(self, connection: Connection, schema: str | None, old: str, view: View) -> None:
        """Drop the old view and create the new one; whatever selects from it goes on doing so."""
        self.drop(connection, schema, old)
        self.create(connection, schema, view)

    def drop(self, connection: Connection, schema: str | None, name: str) -> None:  # noqa: ARG002
        """Drop a view."""
        connection.exec_driver_sql(f"DROP VIEW {_quoted(name)}")


def _view(name: str, sql: str) -> Found:
    """Return a view, with the signature of its query: SQLite writes it anew where a table is given another name."""
    found = found_view(name, sql)
    return (
        replace(found, signature=View(name, sql.partition(_END)[2]).signature) if found.signature else found
    )


def _moment(text: ColumnElement[Any]) -> ColumnElement[Any]:
    written: ColumnElement[Any] = func.substr(text, 1, 4, type_=Text())
    for start, before in ((5, "-"), (7, "-"), (9, " "), (11, ":"), (13, ":")):
        written = written + before + func.substr(text, start, 2, type_=Text())
    return written


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
