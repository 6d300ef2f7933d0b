"""What a synchronization could not use, as CSV files beside its work: orphans, conflicts, anomalies."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_idm.engine import identifier, literal
from airflow_provider_idm.synchronization.synchronize.associations import CONFLICT
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout
from airflow_provider_idm.synchronization.synchronize.resources import anomalies_query

FORMAT = "(HEADER, DELIMITER ',', NULLSTR '')"


def write_reports(difference: Difference, folder: Path, *, orphans: bool) -> list[str]:
    """Write the files of a difference into a folder, and remove those of an earlier one.

    ``<association>.orphans.csv`` (``key1``, ``key2``, ``missing``) if ``orphans`` are wanted;
    ``<association>.conflicts.csv`` (``key1``, ``key2``) and ``<entity type>.anomalies.csv`` (``command``, the primary
    key) if there are any.

    :return: a warning per file of conflicts or anomalies, with its path and its number of rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    warnings = []
    for entity in difference.layout.entity_types:
        name, path = entity.mapped.identifier, folder / f"{entity.mapped.identifier}.anomalies.csv"
        number = difference.entity_types[name].anomalies
        path.unlink(missing_ok=True)
        if number:
            key = identifier(entity.mapped.primary_key.identifier)
            _copy(
                difference, f"SELECT command, pk AS {key} FROM ({anomalies_query(entity)}) ORDER BY pk", path
            )
            warnings.append(f"{name}: {number:,} updates of a primary key that is not stored, see {path}")
    for association in difference.layout.associations:
        warnings += _association(difference, association, folder, orphans=orphans)
    return warnings


def _association(
    difference: Difference, association: AssociationLayout, folder: Path, *, orphans: bool
) -> list[str]:
    name = association.mapped.identifier
    rows = f"SELECT key1, key2, reason FROM {association.table('unresolved')}"
    if association not in difference.concerned:
        rows = "SELECT NULL AS key1, NULL AS key2, NULL AS reason WHERE false"
    path = folder / f"{name}.orphans.csv"
    path.unlink(missing_ok=True)
    if orphans:
        query = f"SELECT key1, key2, reason AS missing FROM ({rows}) WHERE reason <> '{CONFLICT}' ORDER BY key1, key2"
        _copy(difference, query, path)
    path = folder / f"{name}.conflicts.csv"
    path.unlink(missing_ok=True)
    number = difference.associations[name].conflicts
    if not number:
        return []
    _copy(
        difference, f"SELECT key1, key2 FROM ({rows}) WHERE reason = '{CONFLICT}' ORDER BY key1, key2", path
    )
    return [f"{name}: {number:,} rows lost a side that holds one link at most to another row, see {path}"]


def _copy(difference: Difference, query: str, path: Path) -> None:
    difference.duck.execute(f"COPY ({query}) TO {literal(str(path))} {FORMAT}")
