"""The difference between a batch and the repository, whole: resources, then links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.engine import count_rows
from airflow_provider_idm.errors import ExchangeError
from airflow_provider_idm.synchronization.exchange.manifest import BatchFile, Manifest
from airflow_provider_idm.synchronization.synchronize import associations, keys, resources
from airflow_provider_idm.synchronization.synchronize.incremental import RowScope
from airflow_provider_idm.synchronization.synchronize.layout import (
    AssociationLayout,
    EntityLayout,
    Layout,
    brings_owner,
    is_incremental,
)
from airflow_provider_idm.synchronization.synchronize.result import AssociationCounts, EntityTypeCounts
from airflow_provider_idm.synchronization.synchronize.source import entity_view, read_clean_file
from airflow_provider_idm.synchronization.synchronize.stored import LOST_LINKS, Stored

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """How much was stored before: by entity type's and association's number."""

    resources: Mapping[int, int]
    links: Mapping[int, int]

    def updated(self, by: StoredCounts) -> StoredCounts:
        """Return the counts with newer ones for what these name."""
        return StoredCounts({**self.resources, **by.resources}, {**self.links, **by.links})


@dataclass(slots=True)
class Difference:
    """What a batch would change; the rows themselves stand in DuckDB.

    :param inserted_ids: how many provisional ids were given (``-1`` downwards).
    :param before: numbers stored before, exact where everything was read.
    :param before_others: links stored of associations without a mapping, by number; ``lost_links`` how many of them go
        with their resources, of those that lose any. ``associations`` has the latter, too.
    :param key_maps: the maps of keys made for it, which several associations share.
    :param concerned: associations that the batch concerns at all; only they have change tables.
    """

    duck: duckdb.DuckDBPyConnection
    manifest: Manifest
    layout: Layout
    inserted_ids: int = 0
    entity_types: dict[str, EntityTypeCounts] = field(default_factory=dict)
    associations: dict[str, AssociationCounts] = field(default_factory=dict)
    before_resources: dict[int, int] = field(default_factory=dict)
    before_links: dict[int, int] = field(default_factory=dict)
    before_others: dict[int, int] = field(default_factory=dict)
    lost_links: dict[int, int] = field(default_factory=dict)
    concerned: list[AssociationLayout] = field(default_factory=list)
    key_maps: set[str] = field(default_factory=set)

    def counts_after(self) -> StoredCounts:
        """Return how much would be stored once it is applied."""
        return StoredCounts(
            {
                e.type: self.before_resources[e.type] + c.inserted - c.deleted
                for e in self.layout.entity_types
                for c in [self.entity_types[e.mapped.identifier]]
            },
            {
                a.type: self.before_links[a.type] + c.inserted - c.deleted
                for a in self.layout.associations
                for c in [self.associations[a.mapped.identifier]]
            }
            | {n: self.before_others[n] - lost for n, lost in self.lost_links.items()},
        )

    @property
    def inserted(self) -> tuple[int, int]:
        """How many rows it brings: resources, and links in a table of their own."""
        links = (
            self.associations[a.mapped.identifier].inserted
            for a in self.layout.associations
            if a.mapped.has_link_table
        )
        return sum(c.inserted for c in self.entity_types.values()), sum(links)

    @property
    def incremental(self) -> bool:
        """Whether the batch holds commands."""
        return is_incremental(self.manifest.mode)


def build_difference(
    stored: Stored,
    layout: Layout,
    manifest: Manifest,
    files: Mapping[str, Path],
    counts: StoredCounts,
    *,
    given_ids: int = 0,
) -> Difference:
    """Compare a batch with the repository.

    :param files: the batch's files by entity type and association, fetched and verified.
    :param counts: what the repository says it holds; an Incremental relies on it, a Complete counts anew.
    :param given_ids: how many provisional ids earlier differences of the same plan gave.
    :raises ExchangeError: if the batch lacks a file or a column that the mappings need.
    """
    duck = stored.session.duck
    difference = Difference(duck, manifest, layout, given_ids)
    for entity in layout.entity_types:
        batch_file = _file(manifest, entity.mapped.identifier)
        columns = [p.identifier for p in entity.mapped.properties]
        _check_columns(batch_file, columns, manifest)
        view = entity_view(entity, files[batch_file.target], batch_file.columns)
        duck.execute(f"CREATE OR REPLACE TEMP VIEW {entity.new} AS {view}")
        _compare_resources(stored, entity, difference, counts)
    for association in layout.associations:
        _compare_links(stored, association, difference, files, counts)
    difference.before_others = {o.id: counts.links.get(o.id, 0) for o in layout.catalogue.others}
    if layout.catalogue.others and any(c.deleted for c in difference.entity_types.values()):
        _find_lost_links(stored, difference)
    return difference


def _compare_resources(
    stored: Stored, entity: EntityLayout, difference: Difference, counts: StoredCounts
) -> None:
    duck, mode = stored.session.duck, difference.manifest.mode
    if mode is SynchronizationMode.INITIAL:
        before = 0
        resources.everything_is_new(duck, entity, difference.inserted_ids)
    elif mode is SynchronizationMode.COMPLETE:
        resources.difference_of_everything(stored, entity, difference.inserted_ids)
        before = count_rows(duck, entity.stored)
    else:
        before = counts.resources.get(entity.type, 0)
        stored.load_touched_entity_type(entity)
        resources.difference_of_commands(duck, entity, difference.inserted_ids)
    difference.before_resources[entity.type] = before
    difference.inserted_ids += count_rows(duck, f"{entity.change}_rows")
    difference.entity_types[entity.mapped.identifier] = resources.count(
        duck, entity, before, incremental=difference.incremental
    )


def _compare_links(
    stored: Stored,
    association: AssociationLayout,
    difference: Difference,
    files: Mapping[str, Path],
    counts: StoredCounts,
) -> None:
    duck, manifest = stored.session.duck, difference.manifest
    batch_file = _file(manifest, association.mapped.identifier)
    owned = brings_owner(association.mapped, manifest.mode, manifest.type)
    _check_columns(batch_file, ["key1", "key2", *(["owner"] if owned else [])], manifest)
    rows = read_clean_file(files[batch_file.target], batch_file.columns)
    after = (association.table("after_1"), association.table("after_2"))
    if difference.incremental:
        before = counts.links.get(association.type, 0)
        concerned = RowScope(stored, association, rows, owned=owned).collect()
        rows = association.table("rows")
    else:
        concerned = True
        before = _load_all_links(stored, association, manifest.mode)
        after = (_all_keys(difference, association, 1), _all_keys(difference, association, 2))
    difference.before_links[association.type] = before
    if not concerned:
        difference.associations[association.mapped.identifier] = AssociationCounts(unchanged=before)
        return
    associations.resolve(duck, association, rows, *after)
    associations.compare(duck, association)
    difference.concerned.append(association)
    difference.associations[association.mapped.identifier] = associations.count(duck, association, before)


def _load_all_links(stored: Stored, association: AssociationLayout, mode: SynchronizationMode) -> int:
    duck, link = stored.session.duck, association.table("link")
    if mode is SynchronizationMode.INITIAL:
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {link} (r1 BIGINT, r2 BIGINT)")
    else:
        stored.load_links(association)
    stored.load_unresolved(association)
    return count_rows(duck, link)


def _find_lost_links(stored: Stored, difference: Difference) -> None:
    """Find and count the links of associations without a mapping that go with their resources."""
    stored.load_lost_links(difference.layout)
    counted = difference.duck.execute(f"SELECT type, count(*) FROM {LOST_LINKS} GROUP BY type")
    difference.lost_links = dict(counted.fetchall())
    for other in difference.layout.catalogue.others:
        if lost := difference.lost_links.get(other.id):
            unchanged = difference.before_others[other.id] - lost
            difference.associations[other.identifier] = AssociationCounts(deleted=lost, unchanged=unchanged)


def _all_keys(difference: Difference, association: AssociationLayout, number: int) -> str:
    """Make the map of an end's keys, or find the one that another association made."""
    side, key = association.side(number), association.duck_key(number)
    name = f"keys_{side.index}_{key}"
    if name not in difference.key_maps:
        keys.after_keys_of_everything(difference.duck, side, key, name)
        difference.key_maps.add(name)
    return name


def _file(manifest: Manifest, target: str) -> BatchFile:
    found = manifest.file(target)
    if found is None:
        raise ExchangeError(
            f"batch {manifest.batch} of {manifest.connector} has no file for {target}: prepare the connector again"
        )
    return found


def _check_columns(batch_file: BatchFile, needed: list[str], manifest: Manifest) -> None:
    wanted = [*(["command"] if is_incremental(manifest.mode) else []), *needed]
    missing = [c for c in wanted if c not in batch_file.columns]
    if missing:
        raise ExchangeError(
            f"{batch_file.name} of batch {manifest.batch} has no column {', '.join(missing)}; it has "
            f"{', '.join(batch_file.columns)}: prepare the connector again"
        )
