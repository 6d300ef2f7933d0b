"""What a synchronization could not use, as CSV files beside its work: orphans, conflicts, anomalies."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_idm.engine import identifier, literal
from airflow_provider_idm.synchronization.synchronize.associations import CONFLICT
from airflow_provider_idm.synchronization.synchronize.difference import Difference
from airflow_provider_idm.synchronization.synchronize.layout import AssociationLayout
from airflow_provider_idm.synchronization.synchronize.resources import anomalies_query

FORMAT = "(HEADER, DELIMITER ',', NULLSTR '')"


def write_reports(difference: Difference, folder: Path, place: Path, *, orphans: bool) -> list[str]:
    """Write the files of a difference into a folder, from where ``place_reports`` takes them.

    ``<association>.orphans.csv`` (``key1``, ``key2``, ``missing``) if ``orphans`` are wanted;
    ``<association>.conflicts.csv`` (``key1``, ``key2``) and ``<entity type>.anomalies.csv`` (``command``, the primary
    key) if there are any.

    :param place: where they will be, for the warnings.
    :return: a warning per file of conflicts or anomalies, with its path and its number of rows.
    """
    folder.mkdir()
    warnings = []
    for entity in difference.layout.entity_types:
        identifier_ = entity.mapped.identifier
        name = f"{identifier_}.anomalies.csv"
        number = difference.entity_types[identifier_].anomalies
        if number:
            key = identifier(entity.mapped.primary_key.identifier)
            query = f"SELECT command, pk AS {key} FROM ({anomalies_query(entity)}) ORDER BY pk"
            _copy(difference, query, folder / name)
            warnings.append(
                f"{identifier_}: {number:,} updates of a primary key that is not stored, see {place / name}"
            )
    for association in difference.layout.associations:
        if association in difference.concerned:
            rows = f"SELECT key1, key2, reason FROM {association.table('unresolved')}"
        else:
            rows = "SELECT NULL AS key1, NULL AS key2, NULL AS reason WHERE false"
        warnings += _association(difference, association, rows, folder, place)
        if orphans:
            query = f"SELECT key1, key2, reason AS missing FROM ({rows}) WHERE reason <> '{CONFLICT}'"
            target = folder / f"{association.mapped.identifier}.orphans.csv"
            _copy(difference, f"{query} ORDER BY key1, key2", target)
    return warnings


def place_reports(difference: Difference, folder: Path, place: Path) -> None:
    """Move a difference's files to their place, and remove those of an earlier one."""
    names = [f"{e.mapped.identifier}.anomalies.csv" for e in difference.layout.entity_types]
    for association in difference.layout.associations:
        names += [f"{association.mapped.identifier}.{what}.csv" for what in ("orphans", "conflicts")]
    for name in names:
        if (folder / name).exists():
            (folder / name).replace(place / name)
        else:
            (place / name).unlink(missing_ok=True)


def _association(
    difference: Difference, association: AssociationLayout, rows: str, folder: Path, place: Path
) -> list[str]:
    identifier_ = association.mapped.identifier
    name = f"{identifier_}.conflicts.csv"
    number = difference.associations[identifier_].conflicts
    if not number:
        return []
    query = f"SELECT key1, key2 FROM ({rows}) WHERE reason = '{CONFLICT}' ORDER BY key1, key2"
    _copy(difference, query, folder / name)
    told = f"{number:,} rows lost a side that holds one link at most to another row"
    return [f"{identifier_}: {told}, see {place / name}"]


def _copy(difference: Difference, query: str, path: Path) -> None:
    difference.duck.execute(f"COPY ({query}) TO {literal(str(path))} {FORMAT}")
