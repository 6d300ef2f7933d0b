"""CreateDatabaseViewsTask: a view per entity type and per association with a link table, now and as of dates.

Views of ours carry a sign with a hash of their definition: what is as it should be is left alone, what is no longer
wanted is dropped, and what somebody else made is never touched. The sign of one as of a date has that, too: so it is
known which dates somebody once asked for.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from airflow_provider_idm.configuration.mappings import MappedAssociation
from airflow_provider_idm.configuration.model import EntityType
from airflow_provider_idm.errors import RepositoryError
from airflow_provider_idm.repository.contents import Contents
from airflow_provider_idm.repository.dialects.views import PREFIX, Found, View, ViewDialect
from airflow_provider_idm.repository.layouts import read_layout

LONGEST_NAME: Final = 63
"""Bytes of a name that PostgreSQL keeps; on SQLite too, so that a query runs on both."""
_HASH_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class ViewsResult:
    """What became of the views, by name.

    :param created: new; ``replaced``: differ from before; ``dropped``: no longer wanted; ``unchanged``: as they were.
    """

    created: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    @property
    def views(self) -> tuple[str, ...]:
        """Every view that there is now."""
        return tuple(sorted((*self.created, *self.replaced, *self.unchanged), key=str.casefold))

    def as_dict(self) -> dict[str, list[str]]:
        """Return it as JSON takes it."""
        return {
            "views": list(self.views),
            "created": list(self.created),
            "replaced": list(self.replaced),
            "dropped": list(self.dropped),
            "unchanged": list(self.unchanged),
        }

    def as_text(self) -> str:
        """Return it as people read it."""
        count = len(self.views)
        told = (
            (len(self.created), "created"),
            (len(self.replaced), "replaced"),
            (len(self.unchanged), "unchanged"),
        )
        parts = ", ".join(f"{number:,} {what}" for number, what in told)
        return f"{count:,} view{'' if count == 1 else 's'}: {parts}; {len(self.dropped):,} dropped"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done so that the views are as they should be.

    :param create: with the view whose place it takes, if there is one of ours.
    """

    create: tuple[tuple[View, Found | None], ...]
    drop: tuple[Found, ...]
    unchanged: tuple[str, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether all is as it should be."""
        return not (self.create or self.drop)

    @property
    def result(self) -> ViewsResult:
        """What has become of the views once it is done."""
        return ViewsResult(
            created=tuple(view.name for view, old in self.create if old is None),
            replaced=tuple(view.name for view, old in self.create if old is not None),
            dropped=tuple(found.name for found in self.drop),
            unchanged=self.unchanged,
        )


def plan_views(
    connection: Connection,
    dialect: ViewDialect,
    contents: Sequence[Contents],
    schema: str | None,
    dates: Collection[datetime] | None,
) -> Change:
    """Compare the views that there are with those that there should be; writes nothing.

    :param contents: what every connector has stored now.
    :param dates: as of which there should be views, beside those of now; None for the dates that there are views of.
    :raises RepositoryError: if somebody else has something of the name of a view.
    """
    found = {dialect.key(f.name): f for f in dialect.find(connection, schema)}
    if dates is None:
        dates = {f.date for f in found.values() if f.date}
    then = {
        date: [
            Contents.as_of(
                c.tables,
                c.mappings,
                c.catalogue,
                date,
                read_layout(connection, c.tables, c.catalogue.connector, date),
            )
            for c in contents
        ]
        for date in sorted(set(dates))
    }
    views = list(_views(contents, then, dialect))
    taken = [f for v in views if (f := found.get(dialect.key(v.name))) and f.signature is None]
    if taken:
        names = ", ".join(f"{f.kind} {f.name}" for f in taken)
        raise RepositoryError(
            f"the repository {connection.engine.url!r} has what this program did not make where views of it belong: "
            f"{names}; rename or drop it, then try again; no view was changed"
        )
    create: list[tuple[View, Found | None]] = []
    unchanged: list[str] = []
    for view in views:
        old = found.pop(dialect.key(view.name), None)
        if old is not None and (old.name, old.signature) == (view.name, view.signature):
            unchanged.append(view.name)
        else:
            create.append((view, old))
    return Change(
        tuple(create),
        tuple(f for f in sorted(found.values(), key=lambda f: f.name) if f.signature),
        tuple(unchanged),
    )


def change_views(connection: Connection, dialect: ViewDialect, change: Change, schema: str | None) -> None:
    """Drop, replace and create views inside the caller's transaction.

    :raises RepositoryError: if something of somebody else's depends on a view that must go.
    :raises LockedError: if somebody uses one for too long.
    """
    dialect.begin(connection)
    for found in change.drop:
        dialect.drop(connection, schema, found.name)
    for view, old in change.create:
        if old is None:
            dialect.create(connection, schema, view)
        else:
            dialect.replace(connection, schema, old.name, view)


def _views(
    contents: Sequence[Contents], then: Mapping[datetime, Sequence[Contents]], dialect: ViewDialect
) -> Iterator[View]:
    """Define every view: those of entity types first, so that theirs are the plain names, and those of dates last."""
    names = _Names()
    subjects = [(names.stem(PREFIX + s.identifier), n, s) for n, s in _subjects(contents)]
    for stem, n, subject in subjects:
        yield View(_fitting(stem), dialect.compiled(_query(contents[n], subject, dialect)))
    for date, former in then.items():
        for stem, n, subject in subjects:
            query = dialect.compiled(_query(former[n], subject, dialect))
            yield View(names.take(stem, _suffix(date)), query, date)


def _subjects(contents: Sequence[Contents]) -> list[tuple[int, EntityType | MappedAssociation]]:
    """Name what there is a view of, and the connector's number: entity types, then associations, by identifier."""
    numbered = list(enumerate(contents))
    entity_types = [(n, e) for n, c in numbered for e in c.mappings.metadata]
    associations = [(n, a) for n, c in numbered for a in c.mappings.associations if a.has_link_table]
    return [
        *sorted(entity_types, key=lambda item: item[1].identifier.casefold()),
        *sorted(associations, key=lambda item: item[1].identifier.casefold()),
    ]


def _query(contents: Contents, subject: EntityType | MappedAssociation, dialect: ViewDialect) -> Select[Any]:
    if isinstance(subject, EntityType):
        return _resources(contents, subject, dialect)
    return _links(contents, subject, dialect)


def _suffix(date: datetime) -> str:
    """Return what the name of a view as of a date ends with: the day, and the time (UTC) if it is not midnight."""
    moment = date.time()
    exact = f"_{moment:%f}" if moment.microsecond else ""
    return f"_as_of_{date.year:04}{date:%m%d}" + (f"T{moment:%H%M%S}{exact}Z" if moment != time() else "")


def _resources(contents: Contents, entity_type: EntityType, dialect: ViewDialect) -> Select[Any]:
    found = contents.of_entity_type(entity_type)
    names = _Names("Id")
    named = [(names.take(shown.property.identifier), shown) for shown in found.shown]
    columns: list[Any] = [found.own.c.Id.label("Id")]
    for name, shown in named:
        columns.append(dialect.typed(shown.value, shown.type).label(name))
        if shown.reference is not None:
            columns.append(shown.reference.label(names.take(f"{shown.property.identifier}_Id")))
    return select(*columns).select_from(found.source).where(found.where)


def _links(contents: Contents, association: MappedAssociation, dialect: ViewDialect) -> Select[Any]:
    found = contents.of_association(association)
    end1, end2 = found.end1.c, found.end2.c
    return (
        select(
            end1.Id.label("R1_Id"),
            dialect.typed(end1.PrimaryKey, contents.key_type(association.key1.entity_type)).label("key1"),
            end2.Id.label("R2_Id"),
            dialect.typed(end2.PrimaryKey, contents.key_type(association.key2.entity_type)).label("key2"),
        )
        .select_from(found.source)
        .where(found.where)
    )


class _Names:
    """Gives each a name of its own, ignoring case as SQLite does, that no database cuts off."""

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in taken}

    def take(self, wanted: str, suffix: str = "") -> str:
        """Return a name, or where it is taken the first free one of ``name_2``, ``name_3`` and so on.

        :param suffix: what the name ends with, whatever becomes of the rest.
        """
        if not suffix:
            return _fitting(self.stem(wanted))
        return next(name for end in _numbered(suffix) if self._is_free(name := _fitting(wanted, end)))

    def stem(self, wanted: str) -> str:
        """Take a name as ``take`` does, and return it as it would be at any length."""
        return next(stem for stem in _numbered(wanted) if self._is_free(_fitting(stem)))

    def _is_free(self, name: str) -> bool:
        """Take a name if nobody has."""
        key = name.casefold()
        free = key not in self._taken
        self._taken.add(key)
        return free


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(2))


def _fitting(name: str, suffix: str = "") -> str:
    """Shorten a name that is too long: its beginning, and a hash of all of it."""
    longest = LONGEST_NAME - len(suffix.encode())
    if len(name.encode()) <= longest:
        return name + suffix
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    beginning = name.encode()[: longest - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{beginning}_{digest}{suffix}"
