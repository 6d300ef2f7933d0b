"""A connector under test: batches written by hand, the product's synchronize, and the repository read by plain SQL."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from airflow_provider_idm.configuration import SourceType, SynchronizationMode
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import (
    BatchFile,
    Exchange,
    Manifest,
    Origin,
    new_batch_id,
    sha256_of,
)
from airflow_provider_idm.synchronization.synchronize import (
    BatchOutcome,
    Plan,
    PlanRequest,
    SynchronizeRequest,
    SynchronizeResult,
    plan_synchronization,
    reject,
    resume,
    synchronize,
)
from tests.oracle.model import CleanFile, Model, Pair, Row, command_counts
from tests.oracle.shapes import Limits, Shape, column_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCALARS = [column_of(n) for n in range(128)]
NAVIGATIONS = [column_of(n) for n in range(128, 153)]
UNIQUE = ["U0", "U1", "U2"]


@dataclass
class Snapshot:
    """What the repository holds of one connector, without ids."""

    resources: dict[str, dict[str, Row]]
    links: dict[str, set[Pair]]
    unresolved: dict[str, set[Pair]]
    ids: dict[tuple[str, str], int] = field(compare=False, default_factory=dict)


def expected_snapshot(model: Model) -> Snapshot:
    """Say what the repository should hold, according to the model."""
    links = {a.identifier: model.links(a.identifier) for a in model.shape.associations}
    return Snapshot(
        {t: {k: dict(r) for k, r in rows.items()} for t, rows in model.resources.items()},
        {a: found.links for a, found in links.items()},
        {a: set(found.orphans) | found.conflicts for a, found in links.items()},
    )


def write_csv(path: Path, columns: list[str], lines: list[list[str]]) -> None:
    """Write a CSV file as clean files are: UTF-8, comma, LF, quotes only where needed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *lines])
    path.write_bytes(text.getvalue().encode("utf-8"))


class Harness:
    """One connector with an exchange, a work folder and a repository of its own."""

    def __init__(self, shape: Shape, url: str, folder: Path) -> None:
        self.shape = shape
        self.url = url
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.mappings = shape.mappings(folder / "configuration")
        self.exchange_folder = folder / "exchange"
        self.exchange = Exchange.open(str(self.exchange_folder))
        self.channel = self.exchange.channel(shape.connector)
        self.last: str | None = None
        self._repository: Repository | None = None
        poolclass = sa.NullPool
        self._engine = sa.create_engine(url, poolclass=poolclass)

    @property
    def repository(self) -> Repository:
        """The product's repository, opened when first needed."""
        if self._repository is None:
            self._repository = Repository.open(self.url)
        return self._repository

    def use(self, repository: Repository) -> None:
        """Use a repository that somebody else opened, and closes."""
        self._repository = repository

    def close(self) -> None:
        if self._repository is not None:
            self._repository.close()
            self._repository = None
        self._engine.dispose()

    # --------------------------------------------------------------- batches

    def publish(
        self,
        files: dict[str, CleanFile],
        mode: str,
        source_type: str = "None",
        *,
        based_on: str | None = "last",
        dated: datetime | None = None,
        plan_only: bool = False,
        fingerprint: str | None = None,
    ) -> str:
        """Publish a batch made of clean files, as a prepare would.

        :param based_on: for an Incremental; ``last`` is the batch published before.
        """
        batch = str(new_batch_id())
        folder = self.folder / "made" / batch
        folder.mkdir(parents=True)
        paths, entries = {}, []
        types = {t.identifier for t in self.shape.types}
        for target, file in files.items():
            name = f"{target}.sorted.{'delta' if mode == 'Incremental' else 'csv'}"
            path = folder / name
            write_csv(path, file.columns, file.lines)
            paths[name] = path
            entries.append(
                BatchFile(
                    name=name,
                    target=target,
                    kind="entity_type" if target in types else "association",
                    rows=len(file.lines),
                    columns=tuple(file.columns),
                    size=path.stat().st_size,
                    sha256=sha256_of(path),
                    commands=command_counts(file.rows()),
                )
            )
        now = datetime.now(UTC)
        manifest = Manifest(
            batch=batch,
            connector=self.shape.connector,
            mode=SynchronizationMode[mode.upper()],
            type=SourceType(source_type),
            created_at=now,
            effective_date=dated or now,
            dated=dated is not None,
            origin=Origin(),
            based_on=(self.last if based_on == "last" else based_on) if mode == "Incremental" else None,
            fingerprint=fingerprint or self.mappings.fingerprint,
            files=tuple(entries),
            plan_only=plan_only,
        )
        self.channel.publish(manifest, paths)
        if not plan_only:
            self.last = batch
        return batch

    def request(self, **options: Any) -> SynchronizeRequest:
        """Ask for a synchronization of this connector."""
        return SynchronizeRequest(
            mappings=options.pop("mappings", self.mappings),
            exchange=self.exchange,
            repository=self.repository,
            work=self.work,
            **options,
        )

    def synchronize(self, **options: Any) -> SynchronizeResult:
        """Run the product's synchronize."""
        return synchronize(self.request(**options))

    def resume(
        self,
        *,
        by: str = "a person",
        batch: str | None = None,
        change_set: str | None = None,
        at: datetime | None = None,
        **options: Any,
    ) -> SynchronizeResult:
        """Let a person resume what is blocked."""
        return resume(self.request(**options), by=by, batch=batch, change_set=change_set, at=at)

    def reject(
        self,
        *,
        by: str = "a person",
        batch: str | None = None,
        message: str = "",
        at: datetime | None = None,
    ) -> BatchOutcome:
        """Let a person reject what is blocked."""
        return reject(self.request(), by=by, batch=batch, message=message, at=at)

    def plan(self, batch: str | None = None, **options: Any) -> Plan:
        """Plan a synchronization."""
        return plan_synchronization(
            PlanRequest(
                mappings=self.mappings,
                exchange=self.exchange,
                repository=self.repository,
                work=self.work,
                batch=batch,
                **options,
            )
        )

    def limit(self, thresholds: Limits) -> None:
        """Configure other thresholds from now on; the mappings stay the same."""
        self.shape = self.shape.with_thresholds(thresholds)
        self.mappings = self.shape.mappings(self.folder / f"configuration-{new_batch_id()}")

    # --------------------------------------------------------------- reading

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            yield connection

    def table(self, name: str) -> list[dict[str, Any]]:
        """Read a whole table."""
        with self.connect() as connection:
            rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"')
            return [dict(row) for row in rows.mappings()]

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Read every table, its rows in a fixed order."""
        result = {}
        with self.connect() as connection:
            for name in sa.inspect(connection).get_table_names():
                rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()
                result[name] = sorted((tuple(row) for row in rows), key=repr)
        return result

    def type_ids(self) -> dict[str, int]:
        return {row["Identifier"]: row["Id"] for row in self.table("UM_EntityTypes")}

    def _valid(self, name: str, as_of: datetime | None) -> list[dict[str, Any]]:
        """Read a table, or what of it and of its history was valid at a date."""
        rows = self.table(name)
        if as_of is None:
            return rows
        former = self.table(f"{name}History")
        for row in former:
            assert _moment(row["ValidFrom"]) < _moment(row["ValidTo"]), (
                "a version that nobody ever saw is kept"
            )
        current = [row for row in rows if _moment(row["ValidFrom"]) <= as_of]
        return current + [
            row for row in former if _moment(row["ValidFrom"]) <= as_of < _moment(row["ValidTo"])
        ]

    def snapshot(self, as_of: datetime | None = None) -> Snapshot:
        """Read the repository's content and check that it is stored as specified.

        :param as_of: the date whose content is wanted; what is unresolved is that of now.
        """
        types = {v: k for k, v in self.type_ids().items()}
        associations = {row["Identifier"]: row["Id"] for row in self.table("UM_EntityAssociations")}
        own = {t.identifier for t in self.shape.types}
        valid = [row for row in self._valid("UR_Resources", as_of) if types[row["Type"]] in own]
        rows = {row["Id"]: row for row in valid}
        assert len(rows) == len(valid), "a resource has two versions at once"
        link_rows = self._valid("UR_ResourceLinks", as_of)
        unresolved = self.table("UR_UnresolvedLinks")
        primary = {i: row["PrimaryKey"] for i, row in rows.items()}
        found = Snapshot({t.identifier: {} for t in self.shape.types}, {}, {})
        used: dict[str, set[str]] = {t.identifier: set() for t in self.shape.types}
        for a in self.shape.associations:
            identity = associations.get(a.identifier)
            found.unresolved[a.identifier] = {
                (r["Key1"], r["Key2"]) for r in unresolved if r["Type"] == identity
            }
            sides = []
            for side, type_id in ((1, a.type1), (2, a.type2)):
                column = self.shape.navigation(a, side)
                if column is None:
                    continue
                used[type_id].add(column)
                pairs = {
                    (primary[i], primary[row[column]])
                    for i, row in rows.items()
                    if types[row["Type"]] == type_id and row[column] is not None
                }
                sides.append(pairs if side == 1 else {(one, two) for two, one in pairs})
            in_table = [(r["R1_Id"], r["R2_Id"]) for r in link_rows if r["Type"] == identity]
            if sides:
                assert not in_table, f"{a.identifier} has navigation columns and rows in UR_ResourceLinks"
                assert all(pairs == sides[0] for pairs in sides), (
                    f"the sides of {a.identifier} disagree: {sides}"
                )
                found.links[a.identifier] = sides[0]
            else:
                assert len(set(in_table)) == len(in_table)
                found.links[a.identifier] = {(primary[one], primary[two]) for one, two in in_table}
        for i, row in rows.items():
            entity = self.shape.type(types[row["Type"]])
            stored = {p.identifier: row[column_of(p.index)] for p in entity.properties}
            expected_keys = [stored[p.identifier] for p in entity.unique]
            expected_keys += [None] * (3 - len(expected_keys))
            assert [row[u] for u in UNIQUE] == expected_keys, f"unique keys of {row['PrimaryKey']}"
            assert stored[entity.primary.identifier] == row["PrimaryKey"]
            columns = {column_of(p.index) for p in entity.properties} | used[entity.identifier]
            others = [c for c in (*SCALARS, *NAVIGATIONS) if c not in columns and row[c] is not None]
            assert not others, f"columns that nothing maps are filled: {others}"
            assert "" not in stored.values(), "an empty value is stored as text, not as NULL"
            assert row["PrimaryKey"] not in found.resources[entity.identifier]
            found.resources[entity.identifier][row["PrimaryKey"]] = {c: v or "" for c, v in stored.items()}
            found.ids[entity.identifier, row["PrimaryKey"]] = i
        return found

    def dirty(self) -> set[tuple[str, str]]:
        """Name the resources whose Dirty flag is set."""
        types = {v: k for k, v in self.type_ids().items()}
        return {(types[r["Type"]], r["PrimaryKey"]) for r in self.table("UR_Resources") if r["Dirty"]}

    def queried(self, as_of: datetime | None = None) -> tuple[dict[str, list[Row]], dict[str, list[Pair]]]:
        """Read everything through the product's queries, of now or as of a date."""
        repository, mappings = self.repository, self.mappings
        entities, links = {}, {}
        for entity in self.shape.types:
            name = entity.identifier
            found = (
                repository.query_entity_type(mappings, name)
                if as_of is None
                else repository.resources_as_of(mappings, name, as_of)
            )
            entities[name] = found.to_pylist()
        for association in self.shape.associations:
            name = association.identifier
            found = (
                repository.query_association(mappings, name)
                if as_of is None
                else repository.links_as_of(mappings, name, as_of)
            )
            links[name] = [(r["key1"], r["key2"]) for r in found.to_pylist()]
        return entities, links


def _moment(value: Any) -> datetime:
    """Read a moment as either database tells it."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
