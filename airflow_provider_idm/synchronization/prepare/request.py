"""What a prepare is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.configuration.mappings import ConnectorMappings
from airflow_provider_idm.engine import MEMORY_LIMIT
from airflow_provider_idm.synchronization.exchange import Exchange, Manifest, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRequest:
    """What to prepare.

    :param mappings: the connector's mappings.
    :param sources: the folder of the source files, which are never written to.
    :param exchange: where the batch is published.
    :param work: the work folder; the connector's part of it is ``<work>/<connector>``.
    :param type: what the source files hold; in Complete and Initial mode all hold full extracts.
    :param column_name: the command column of lists of changes, in any case.
    :param effective_date: when the content of dated sources was true (without a zone: UTC); None for now.
    :param on_invalid_value: ``fail``, or ``null`` to empty values that do not convert (never those of a key).
    :param origin: the task instance that asks; a retry of it gets the batch that it has published.
    :param plan_only: publish a batch that only a plan may read, and leave ``previous`` alone.
    :param stop_if_blocked: refuse a Complete or Initial too while the connector is blocked; an Incremental is refused
        then in any case. What only a plan may read never is.
    :param encoding: of the source files; None for UTF-8.
    :param separator: between fields, one ASCII character; None for a comma or semicolon, told by the header.
    :param memory_limit: of DuckDB; more is kept on disk.
    :param threads: of DuckDB; None for one per core.
    :param lock_timeout: seconds to wait for another prepare of the connector.
    :param tables: tables to read instead of source files, by their ``ConnectionTable`` (with or without ``.csv``): a
        pandas DataFrame, a pyarrow Table or anything else with Arrow's interface, a list of dicts (one per row), or the
        path or URL of a Parquet file.
    :param exports: the work folder of the exports that wrote the sources; None if it is ``work``.
    """

    mappings: ConnectorMappings
    mode: SynchronizationMode
    sources: Path
    exchange: Exchange
    work: Path
    type: SourceType = SourceType.NONE
    column_name: str = "command"
    effective_date: datetime | None = None
    on_invalid_value: Literal["fail", "null"] = "fail"
    origin: Origin = Origin()  # noqa: RUF009 - frozen
    plan_only: bool = False
    stop_if_blocked: bool = False
    encoding: str | None = None
    separator: str | None = None
    memory_limit: str = MEMORY_LIMIT
    threads: int | None = None
    lock_timeout: float = 600.0
    exports: Path | None = None
    tables: Mapping[str, Any] | None = None

    @property
    def connector(self) -> str:
        """The connector's identifier."""
        return self.mappings.connector.identifier

    @property
    def is_incremental(self) -> bool:
        """Whether a list of changes is to be sent."""
        return self.mode is SynchronizationMode.INCREMENTAL

    @property
    def reads_changes(self) -> bool:
        """Whether the source files are lists of changes."""
        return self.is_incremental and self.type is not SourceType.NONE


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """The batch that was published, or that an equal prepare had published before (``reused``)."""

    manifest: Manifest
    reused: bool

    @property
    def has_changes(self) -> bool:
        """Whether the batch holds anything to apply: False for an Incremental without a change."""
        incremental = self.manifest.mode is SynchronizationMode.INCREMENTAL
        return not incremental or any(file.rows for file in self.manifest.files)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``idm prepare --json`` prints."""
        made = self.manifest
        return {
            "batch": made.batch,
            "connector": made.connector,
            "mode": made.mode.name.capitalize(),
            "type": made.type.value,
            "effective_date": made.effective_date.isoformat(),
            "created_at": made.created_at.isoformat(),
            "based_on": made.based_on,
            "plan_only": made.plan_only,
            "reused": self.reused,
            "files": {
                file.target: {
                    "rows": file.rows,
                    "duplicates": file.duplicates,
                    "nullpk": file.nullpk,
                    "invalid": file.invalid,
                    "inserts": file.commands.get("insert", 0),
                    "updates": file.commands.get("update", 0),
                    "deletes": file.commands.get("delete", 0),
                    "merges": file.commands.get("merge", 0),
                }
                for file in made.files
            },
        }
