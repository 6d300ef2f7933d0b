"""The tables of the identity repository, one description for SQLite and PostgreSQL.

Keys and values are text that compares by code point: collation ``C`` on PostgreSQL, SQLite's own ``BINARY``. Moments are
UTC. What a class of tables is for says its prefix: ``UC_``/``UM_`` configuration and metadata, ``UR_`` resources,
``UJ_`` jobs and the queue.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy import text as sql_text

from airflow_provider_idm.configuration.columns import (
    NAVIGATION_COLUMNS,
    SCALAR_COLUMNS,
    SCALAR_LENGTH,
    UNIQUE_KEY_COLUMNS,
    column_length,
)

SCHEMA_VERSION: Final = 3
"""Version of the tables below; ``upgrade.py`` brings older ones here."""


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` on PostgreSQL, ISO text without zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


LARGE: Final = "large"
"""In the ``info`` of a column: its values are whole files."""


def text(length: int | None = None) -> Any:
    """Return a text type that compares by code point."""
    kind = Text if length is None else lambda **options: String(length, **options)
    return kind().with_variant(kind(collation="C"), "postgresql")


ID: Final = BigInteger().with_variant(Integer, "sqlite")
"""64 bits; on SQLite the row id itself."""


def _resource_values() -> tuple[Column[Any], ...]:
    """Return the columns of a resource beside its id, for the table of those of now and that of former versions."""
    return (
        Column("Type", Integer, nullable=False),
        Column("PrimaryKey", text(SCALAR_LENGTH), nullable=False),
        *(Column(name, text(SCALAR_LENGTH)) for name in UNIQUE_KEY_COLUMNS),
        Column("DisplayName", text()),
        *(Column(name, text(column_length(n))) for n, name in enumerate(SCALAR_COLUMNS)),
        *(Column(name, BigInteger) for name in NAVIGATION_COLUMNS),
        Column("Dirty", Boolean, nullable=False, server_default=false()),
        Column("WhenCreated", Moment, nullable=False),
        Column("WhenChanged", Moment, nullable=False),
        Column("ValidFrom", Moment, nullable=False),
    )


@lru_cache(maxsize=16)
def tables(schema: str | None = None) -> Tables:
    """Return the tables inside a database schema (PostgreSQL), or in the default one."""
    return Tables(schema)


class Tables:
    """All tables, as attributes in snake case.

    :param schema: the database schema that holds them; None for the connection's default.
    """

    def __init__(self, schema: str | None) -> None:
        self.metadata = MetaData(schema=schema)
        self._metadata_tables()
        self._resource_tables()
        self._history_tables()
        self._change_tables()
        self._job_tables()

    def _metadata_tables(self) -> None:
        self.schema_version = Table(
            "UJ_SchemaVersion", self.metadata, Column("Version", Integer, primary_key=True)
        )
        self.connectors = Table(
            "UC_Connectors",
            self.metadata,
            Column("Id", Integer, primary_key=True),
            Column("Identifier", text(SCALAR_LENGTH), nullable=False, unique=True),
        )
        self.entity_types = Table(
            "UM_EntityTypes",
            self.metadata,
            Column("Id", Integer, primary_key=True),
            Column("Identifier", text(SCALAR_LENGTH), nullable=False, unique=True),
            Column("Connector_Id", ForeignKey(self.connectors.c.Id), nullable=False),
            # How many resources are stored: what percentages are of, kept in step by every apply.
            Column("Resources", BigInteger, nullable=False, server_default="0"),
        )
        self.entity_properties = Table(
            "UM_EntityProperties",
            self.metadata,
            Column("Id", Integer, primary_key=True),
            Column("EntityType_Id", ForeignKey(self.entity_types.c.Id), nullable=False),
            Column("Identifier", text(SCALAR_LENGTH), nullable=False),
            Column("Type", Integer, nullable=False),
            Column("TargetColumnIndex", Integer, nullable=False),
            UniqueConstraint("EntityType_Id", "Identifier"),
        )
        self.entity_associations = Table(
            "UM_EntityAssociations",
            self.metadata,
            Column("Id", Integer, primary_key=True),
            Column("Identifier", text(SCALAR_LENGTH), nullable=False, unique=True),
            Column("Connector_Id", ForeignKey(self.connectors.c.Id), nullable=False),
            Column("EntityType1_Id", ForeignKey(self.entity_types.c.Id), nullable=False),
            Column("EntityType2_Id", ForeignKey(self.entity_types.c.Id), nullable=False),
            Column("Property1", text(SCALAR_LENGTH), nullable=False),
            Column("Property2", text(SCALAR_LENGTH), nullable=False),
            Column("IsProperty1Collection", Boolean, nullable=False),
            Column("IsProperty2Collection", Boolean, nullable=False),
            # I40 … where a side keeps the other's id in its own row; with neither, links are in UR_ResourceLinks.
            Column("Navigation1", text(3)),
            Column("Navigation2", text(3)),
            Column("Links", BigInteger, nullable=False, server_default="0"),
        )

        # Where properties and links were kept since when, as JSON; written when a batch is applied that changes it.
        self.layouts = Table(
            "UM_Layouts",
            self.metadata,
            Column("Connector_Id", ForeignKey(self.connectors.c.Id), primary_key=True, autoincrement=False),
            Column("ValidFrom", Moment, primary_key=True),
            Column("Layout", text(), nullable=False),
        )

    def _resource_tables(self) -> None:
        self.resources = Table(
            "UR_Resources",
            self.metadata,
            Column("Id", ID, primary_key=True, autoincrement=False),
            *_resource_values(),
        )
        Index("UR_Resources_PrimaryKey", self.resources.c.Type, self.resources.c.PrimaryKey, unique=True)
        for name in UNIQUE_KEY_COLUMNS:
            key = self.resources.c[name]
            Index(
                f"UR_Resources_{name}",
                self.resources.c.Type,
                key,
                postgresql_where=key.is_not(None),
                sqlite_where=key.is_not(None),
            )
        self.resource_links = Table(
            "UR_ResourceLinks",
            self.metadata,
            Column("Type", Integer, primary_key=True, autoincrement=False),
            Column("R1_Id", BigInteger, primary_key=True, autoincrement=False),
            Column("R2_Id", BigInteger, primary_key=True, autoincrement=False),
            Column("ValidFrom", Moment, nullable=False),
            sqlite_with_rowid=False,
        )
        Index("UR_ResourceLinks_R2", self.resource_links.c.Type, self.resource_links.c.R2_Id)
        self.resource_files = Table(
            "UR_ResourceFiles",
            self.metadata,
            Column("Resource_Id", BigInteger, primary_key=True, autoincrement=False),
            Column("Property_Id", Integer, primary_key=True, autoincrement=False),
            Column("Hash", text(64), nullable=False),
            # Written with every file; the default is that of what older versions stored. It stands before the content,
            # which SQLite would have to read through to find it.
            Column("ValidFrom", Moment, nullable=False, server_default=sql_text("'1970-01-01 00:00:00'")),
            Column("Content", text(), nullable=False, info={LARGE: True}),
        )
        # Association rows that make no link (orphans, conflict losers …), by their keys, to be resolved again later.
        self.unresolved_links = Table(
            "UR_UnresolvedLinks",
            self.metadata,
            Column("Type", Integer, primary_key=True, autoincrement=False),
            Column("Key1", text(SCALAR_LENGTH), primary_key=True),
            Column("Key2", text(SCALAR_LENGTH), primary_key=True),
            Column("Reason", text(16), nullable=False),
            sqlite_with_rowid=False,
        )
        Index("UR_UnresolvedLinks_Key2", self.unresolved_links.c.Type, self.unresolved_links.c.Key2)

    def _history_tables(self) -> None:
        """Former versions: what was valid from ``ValidFrom`` until, and no longer at, ``ValidTo``."""
        self.resources_history = Table(
            "UR_ResourcesHistory",
            self.metadata,
            Column("Id", BigInteger, nullable=False),
            *_resource_values(),
            Column("ValidTo", Moment, nullable=False),
            PrimaryKeyConstraint("Id", "ValidFrom"),
        )
        self.resource_links_history = Table(
            "UR_ResourceLinksHistory",
            self.metadata,
            Column("Type", Integer, primary_key=True, autoincrement=False),
            Column("R1_Id", BigInteger, primary_key=True, autoincrement=False),
            Column("R2_Id", BigInteger, primary_key=True, autoincrement=False),
            Column("ValidFrom", Moment, primary_key=True),
            Column("ValidTo", Moment, nullable=False),
            sqlite_with_rowid=False,
        )
        # As of a date, everything of a type that ended later is looked at.
        for table in (self.resources_history, self.resource_links_history):
            Index(f"{table.name}_ValidTo", table.c.Type, table.c.ValidTo)
        self.resource_files_history = Table(
            "UR_ResourceFilesHistory",
            self.metadata,
            Column("Resource_Id", BigInteger, primary_key=True, autoincrement=False),
            Column("Property_Id", Integer, primary_key=True, autoincrement=False),
            Column("Hash", text(64), nullable=False),
            Column("ValidFrom", Moment, primary_key=True),
            Column("ValidTo", Moment, nullable=False),
            sqlite_with_rowid=False,
        )

    def _change_tables(self) -> None:
        def change_table(name: str, *columns: Column[Any]) -> Table:
            return Table(
                name,
                self.metadata,
                Column("Id", ID, primary_key=True, autoincrement=True),
                Column("JobInstance_Id", BigInteger, nullable=False),
                Column("TaskInstance_Id", BigInteger, nullable=False, index=True),
                Column("ChangeOperation", text(8), nullable=False),
                Column("Type", Integer, nullable=False),
                *columns,
            )

        self.resource_changes = change_table(
            "UR_ResourceChanges",
            Column("Resource_Id", BigInteger),
            Column("R1_PK", text(SCALAR_LENGTH), nullable=False),
            # JSON objects, column of UR_Resources → value; an update holds the changed columns only.
            Column("OldValues", text()),
            Column("NewValues", text()),
        )
        self.resource_link_changes = change_table(
            "UR_ResourceLinkChanges",
            Column("R1_Id", BigInteger),
            Column("R2_Id", BigInteger),
            # Empty where somebody else removed the resource and left the link.
            Column("R1_PK", text(SCALAR_LENGTH)),
            Column("R2_PK", text(SCALAR_LENGTH)),
        )
        self.resource_file_changes = change_table(
            "UR_ResourceFileChanges",
            Column("Resource_Id", BigInteger),
            Column("Property_Id", Integer, nullable=False),
            Column("R1_PK", text(SCALAR_LENGTH), nullable=False),
            Column("OldHash", text(64)),
            Column("NewHash", text(64)),
        )

    def _job_tables(self) -> None:
        self.job_instances = Table(
            "UJ_JobInstances",
            self.metadata,
            Column("Id", ID, primary_key=True, autoincrement=True),
            Column("Job", text(SCALAR_LENGTH), nullable=False),
            Column("Run", text(SCALAR_LENGTH), nullable=False),
            Column("StartedAt", Moment, nullable=False),
            UniqueConstraint("Job", "Run"),
        )
        self.task_instances = Table(
            "UJ_TaskInstances",
            self.metadata,
            Column("Id", ID, primary_key=True, autoincrement=True),
            Column("JobInstance_Id", ForeignKey(self.job_instances.c.Id), nullable=False),
            Column("Task", text(SCALAR_LENGTH), nullable=False),
            Column("MapIndex", Integer, nullable=False),
            Column("Connector_Id", ForeignKey(self.connectors.c.Id)),
            Column("Batch_Id", text(36)),
            Column("State", text(16), nullable=False),
            Column("StartedAt", Moment, nullable=False),
            Column("EndedAt", Moment),
            Column("Counters", text()),
            Column("ThresholdsExceeded", text()),
            Column("DecidedBy", text(SCALAR_LENGTH)),
            Column("DecidedAt", Moment),
            Column("Message", text()),
        )
        self.batches = Table(
            "UJ_Batches",
            self.metadata,
            Column("Id", text(36), primary_key=True),
            Column("Connector_Id", ForeignKey(self.connectors.c.Id), nullable=False, index=True),
            Column("State", text(16), nullable=False),
            Column("Mode", text(16), nullable=False),
            Column("EffectiveDate", Moment, nullable=False),
            Column("FinishedAt", Moment, nullable=False),
            Column("TaskInstance_Id", BigInteger),
            Column("ReplacedBy", text(36)),
            Column("Result", text()),
            # Who answered for exceeding the thresholds: resumed (a person) or forced; NULL if they were kept.
            Column("Consent", text(16)),
        )
        self.connector_states = Table(
            "UJ_ConnectorStates",
            self.metadata,
            Column("Connector_Id", ForeignKey(self.connectors.c.Id), primary_key=True, autoincrement=False),
            # Counts every apply, block and rejection: what was compared is still true while it stands where it was read.
            Column("Revision", BigInteger, nullable=False),
            Column("LastBatch_Id", text(36)),
            Column("LastEffectiveDate", Moment),
            Column("Fingerprint", text(64)),
            # ready, blocked (a batch awaits a decision) or needs_complete (one was rejected); since when, which batch.
            Column("State", text(16), nullable=False, server_default="ready"),
            Column("StateSince", Moment),
            Column("StateBatch_Id", text(36)),
            # Of a block: the task instance that keeps its change rows, their hash, how it was asked to apply them.
            Column("StateTask_Id", BigInteger),
            Column("ChangeSet", text(64)),
            Column("Options", text()),
            Column("Message", text()),
            # Before it, former versions are missing: of older versions' repositories, written without, or forgotten.
            Column("HistorySince", Moment),
        )
        self.counters = Table(
            "UJ_Counters",
            self.metadata,
            Column("Name", text(32), primary_key=True),
            Column("NextValue", BigInteger, nullable=False),
        )
