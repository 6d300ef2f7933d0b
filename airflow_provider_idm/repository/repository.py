"""The identity repository: opened, created or upgraded, and asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, exc, func, inspect, make_url, select, update

from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.errors import RepositoryError, RepositoryMissingError
from airflow_provider_idm.repository import dirty, state
from airflow_provider_idm.repository.catalogue import Catalogue, find, preview, register
from airflow_provider_idm.repository.contents import Contents
from airflow_provider_idm.repository.dialects import (
    BulkSession,
    DatabaseDialect,
    PostgresqlDialect,
    SqliteDialect,
)
from airflow_provider_idm.repository.history import (
    Forgotten,
    forget_history,
    history_since,
    warn_if_incomplete,
)
from airflow_provider_idm.repository.moments import as_moment
from airflow_provider_idm.repository.schema import SCHEMA_VERSION, tables
from airflow_provider_idm.repository.upgrade import RESOURCE_IDS, upgrade
from airflow_provider_idm.repository.views import Change, ViewsResult, change_views, plan_views

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

log = logging.getLogger(__name__)

_UPGRADE_SECONDS = 300


class Repository:
    """An identity repository in one database (and, on PostgreSQL, one schema of it).

    Use ``Repository.open``; it is a context manager.
    """

    def __init__(self, url: str, schema: str | None, dialect: DatabaseDialect) -> None:
        self.schema = schema
        self.tables = tables(schema)
        self.dialect = dialect
        self.engine = dialect.engine(url)

    @classmethod
    def open(cls, url: str, schema: str | None = None, *, create: bool = True) -> Self:
        """Open a repository, creating its tables or upgrading older ones.

        :param url: an SQLAlchemy URL, ``sqlite:///path/to/file`` or ``postgresql://user:password@host/database``.
        :param schema: the database schema that holds the tables (PostgreSQL only).
        :param create: whether to create it if it is not there; False refuses instead.
        :raises RepositoryError: if the URL is of another database, or a newer version made the tables.
        :raises RepositoryMissingError: if it is not there and not to be created.
        :raises RepositoryUnavailableError: if the database does not answer.
        """
        repository = cls.at(url, schema)
        try:
            with repository.errors():
                repository._upgrade(create=create)  # noqa: SLF001
        except BaseException:
            repository.close()
            raise
        return repository

    @classmethod
    def at(cls, url: str, schema: str | None = None) -> Self:
        """Return a repository as ``open`` does, but do not reach for it yet.

        :raises RepositoryError: if the URL is of another database.
        """
        try:
            backend = make_url(url).get_backend_name()
        except (exc.ArgumentError, ValueError):  # the latter of a port that is no number
            raise RepositoryError(
                "the repository is not a database URL; expected sqlite:///path/to/file or postgresql://user@host/database"
            ) from None
        if backend not in {"sqlite", "postgresql"}:
            raise RepositoryError(
                f"the repository is a {backend} database; supported are sqlite and postgresql"
            )
        if backend == "sqlite" and schema:
            raise RepositoryError(
                f"SQLite has no schemas: leave out the schema {schema!r}, or use another file"
            )
        return cls(url, schema, SqliteDialect() if backend == "sqlite" else PostgresqlDialect())

    def check_answers(self) -> None:
        """Check that the database answers, whether or not there is a repository in it; nothing is changed.

        :raises RepositoryError: if it refuses the user, or is none.
        :raises RepositoryUnavailableError: if it does not answer.
        """
        with self.reading() as connection:
            connection.execute(select(1))

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Repository({self.engine.url!r}, schema={self.schema!r})"

    # ------------------------------------------------------------------------------------------ connections

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the drivers' errors into those of this provider: changed meanwhile, or not available."""
        try:
            yield
        except Exception as error:
            translated = self.dialect.translate(error, repr(self.engine.url))
            if translated is None:
                raise
            # A driver's error quotes rows: it must not follow ours into a log.
            log.debug("the database said", exc_info=error)
            raise translated from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a reading transaction."""
        with self.errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a reading transaction all of whose statements see the same."""
        options = dict(self.dialect.snapshot_options)
        with (
            self.errors(),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a small writing transaction."""
        with self.errors(), self.dialect.begin(self.engine) as connection:
            yield connection

    def lock(self, connector: str, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock of a connector: two synchronizations of one connector never overlap.

        :param timeout: seconds to wait.
        :raises LockedError: if it was not free in time.
        """
        return self.dialect.lock(self.engine, f"{self.schema or ''}:{connector.casefold()}", timeout)

    def session(self, duck: duckdb.DuckDBPyConnection, folder: Path) -> AbstractContextManager[BulkSession]:
        """Open a bulk session between DuckDB and the repository."""
        return self.dialect.session(self.engine, duck, folder)

    # ---------------------------------------------------------------------------------------------- contents

    def register(self, mappings: ConnectorMappings) -> Catalogue:
        """Store a connector's identifiers and metadata, if they are not there already; return their numbers."""
        with self.reading() as connection:
            known = find(connection, self.tables, mappings)
        if known:
            return known
        with self.writing() as connection:
            return register(connection, self.tables, mappings)

    def deploy(self, mappings: Sequence[ConnectorMappings]) -> tuple[str, ...]:
        """Store the identifiers and metadata of several connectors, as ``register`` does, all or none of them.

        :return: the connectors of which anything was not stored as it is configured.
        """
        with self.reading() as connection:
            changed = [m for m in mappings if find(connection, self.tables, m) is None]
        if changed:
            with self.writing() as connection:
                for one in changed:
                    register(connection, self.tables, one)
        return tuple(one.connector.identifier for one in changed)

    def create_views(
        self, mappings: Sequence[ConnectorMappings], as_of: Iterable[date | datetime] | None = None
    ) -> ViewsResult:
        """Make the ``zz_`` views what the configuration says, in one transaction.

        :param mappings: of every connector: views of ours that belong to none of them are dropped.
        :param as_of: days or moments as of which there are to be views, beside those of now, and no others; without a
            zone they are UTC. None keeps those that there are, made what the configuration says too.
        :raises RepositoryError: if something that was not made by this program is in the way.
        :raises LockedError: if somebody uses a view for too long.
        """
        dates = None if as_of is None else {as_moment(given) for given in as_of}
        with self.reading() as connection:
            known = [find(connection, self.tables, m) for m in mappings]
            for one, catalogue in zip(mappings, known, strict=True):
                since = history_since(connection, self.tables, catalogue.connector) if catalogue else None
                for moment in sorted(dates or ()):
                    warn_if_incomplete(since, moment, one.connector.identifier)
            if all(known):
                change = self._plan_views(connection, mappings, [c for c in known if c], dates)
                if change.is_nothing:  # nobody need wait, nor be waited for
                    return change.result
        with self.writing() as connection:
            known_now = [register(connection, self.tables, m) for m in mappings]
            change = self._plan_views(connection, mappings, known_now, dates)
            change_views(connection, self.dialect.views, change, self.schema)
        return change.result

    def _plan_views(
        self,
        connection: Connection,
        mappings: Sequence[ConnectorMappings],
        catalogues: Sequence[Catalogue],
        dates: set[datetime] | None,
    ) -> Change:
        contents = [Contents.now(self.tables, m, c) for m, c in zip(mappings, catalogues, strict=True)]
        return plan_views(connection, self.dialect.views, contents, self.schema, dates)

    def preview(self, mappings: ConnectorMappings) -> Catalogue:
        """Return the numbers that a connector's identifiers have, or would have; nothing is stored."""
        with self.reading() as connection:
            return preview(connection, self.tables, mappings)

    def allocate_ids(self, count: int) -> int:
        """Take ``count`` resource ids, committed at once so that they are never given again; return the first."""
        counters = self.tables.counters
        statement = (
            update(counters)
            .where(counters.c.Name == RESOURCE_IDS)
            .values(NextValue=counters.c.NextValue + count)
            .returning(counters.c.NextValue)
        )
        with self.writing() as connection:
            return int(connection.execute(statement).scalar_one()) - count

    def mend_indexes(self) -> None:
        """Make the indexes again that a process left away to fill the tables, if it was killed before it did so."""
        with self.errors():
            self.dialect.mend_indexes(self.engine, [self.tables.resources, self.tables.resource_links])

    def totals(self) -> tuple[int, int]:
        """Return how many resources and links are stored, of all connectors."""
        types, associations = self.tables.entity_types, self.tables.entity_associations
        with self.reading() as connection:
            resources = connection.scalar(select(func.coalesce(func.sum(types.c.Resources), 0)))
            links = connection.scalar(select(func.coalesce(func.sum(associations.c.Links), 0)))
        return int(resources or 0), int(links or 0)

    def analyze(self) -> None:
        """Bring the database's statistics up to date, after a great many rows came."""
        with self.errors():
            stored = self.tables
            self.dialect.analyze(
                self.engine, [stored.resources, stored.resource_links, stored.unresolved_links]
            )

    def status(self, connector: str) -> state.ConnectorStatus:
        """Return what the repository holds of a connector and which batches made it."""
        with self.reading() as connection:
            return state.read_status(connection, self.tables, connector)

    def set_recently_modified_flag(self) -> int:
        """Set ``Dirty`` on every resource that applied change rows name, clear exactly those rows.

        :return: how many resources were marked.
        """
        with self.writing() as connection:
            return dirty.set_recently_modified_flag(connection, self.tables)

    def query_entity_type(self, mappings: ConnectorMappings, entity_type: str) -> pa.Table:
        """Return the resources of an entity type: a text column per property, sorted by primary key."""
        from airflow_provider_idm.repository.query import query_entity_type  # noqa: PLC0415 - imports DuckDB

        return query_entity_type(self, mappings, entity_type)

    def query_association(self, mappings: ConnectorMappings, association: str) -> pa.Table:
        """Return the links of an association: primary keys ``key1`` and ``key2``, sorted."""
        from airflow_provider_idm.repository.query import query_association  # noqa: PLC0415 - imports DuckDB

        return query_association(self, mappings, association)

    def resources_as_of(self, mappings: ConnectorMappings, entity_type: str, as_of: date | str) -> pa.Table:
        """Return the resources of an entity type as they were at a date, as ``query_entity_type`` returns those of now.

        A Binary kept as a file shows the SHA-256 of its content. There is nothing before the first batch's effective
        date; where former versions are missing (``history=False``, forgotten), a warning says since when none are.

        :param as_of: a date (its midnight) or a moment, ISO 8601 text too; without a time zone it is UTC.
        """
        from airflow_provider_idm.repository.query import query_entity_type  # noqa: PLC0415 - imports DuckDB

        return query_entity_type(self, mappings, entity_type, as_moment(as_of))

    def links_as_of(self, mappings: ConnectorMappings, association: str, as_of: date | str) -> pa.Table:
        """Return the links of an association as they were at a date, as ``query_association`` returns those of now.

        :param as_of: as of ``resources_as_of``.
        """
        from airflow_provider_idm.repository.query import query_association  # noqa: PLC0415 - imports DuckDB

        return query_association(self, mappings, association, as_moment(as_of))

    def content_hash(self, mappings: ConnectorMappings, as_of: date | str | None = None) -> str:
        """Return one SHA-256 (hex) of a connector's resources and links by their keys and values.

        :param as_of: as of ``resources_as_of``; None for what is stored now.
        """
        from airflow_provider_idm.repository.query import content_hash  # noqa: PLC0415 - imports DuckDB

        return content_hash(self, mappings, None if as_of is None else as_moment(as_of))

    def forget_history(self, before: date | str) -> Forgotten:
        """Delete the former versions that had ended by a date; what was stored at it and later can still be read.

        :param before: as ``as_of`` of ``resources_as_of``.
        """
        with self.writing() as connection:
            return forget_history(connection, self.tables, as_moment(before))

    def _upgrade(self, *, create: bool) -> None:
        missing = RepositoryMissingError(
            f"there is no identity repository at {self.engine.url!r}: a synchronization makes one; or is the URL wrong?"
        )
        if (
            not create
            and self.engine.dialect.name == "sqlite"
            and not Path(str(self.engine.url.database)).exists()
        ):
            raise missing
        self.dialect.check(self.engine)
        with self.engine.begin() as connection:
            table = self.tables.schema_version
            found = inspect(connection).has_table(table.name, schema=self.schema)
            current = found and connection.scalar(select(table.c.Version)) == SCHEMA_VERSION
        if not (found or create):
            raise missing
        if not current:
            with (
                self.dialect.lock(self.engine, f"{self.schema or ''}:", _UPGRADE_SECONDS),
                self.dialect.begin(self.engine) as connection,
            ):
                upgrade(connection, self.tables)
