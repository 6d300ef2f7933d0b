"""Source files that an export of everything left as a former one had written them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.names import same, table_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_provider_idm.configuration.model import (
        Configuration,
        Connection,
        EntityAssociationMapping,
        EntityTypeMapping,
    )
    from airflow_provider_idm.synchronization.export.exporter import ExportedFile

logger = logging.getLogger(__name__)


def warn_of_leftovers(
    configuration: Configuration, connection: Connection, files: Iterable[ExportedFile], output: Path
) -> None:
    """Log a warning for each file of the connection that a mapping reads, and that was there but not written now.

    Such a file is of a former export, or another task writes it; a prepare cannot tell.
    """
    written = {file.path.name.removesuffix(".csv") for file in files}
    name = connection.identifier
    mappings: tuple[EntityTypeMapping | EntityAssociationMapping, ...] = (
        *configuration.entity_type_mappings.values(),
        *configuration.entity_association_mappings.values(),
    )
    tables = {
        table_name(mapping.connection_table): mapping.location
        for mapping in mappings
        if same(mapping.connector, connection.connector)
    }
    for table, location in tables.items():
        path = output / f"{table}.csv"
        if (table == name or table.startswith(f"{name}_")) and table not in written and path.is_file():
            written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            logger.warning(
                "connection %s: %s, which a mapping (%s) reads, was not exported now: it stays as written at %s UTC. If "
                "no other task writes it, export it again, or take the mapping out",
                name,
                path,
                location,
                f"{written_at:%Y-%m-%d %H:%M}",
            )
