"""The course of a prepare: lock, read, cleanse, compare, publish."""

from __future__ import annotations

import logging
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_provider_idm.engine import open_engine
from airflow_provider_idm.errors import PrepareError
from airflow_provider_idm.file_lock import locked
from airflow_provider_idm.synchronization.exchange import check_not_blocked, folder_name
from airflow_provider_idm.synchronization.prepare.batch import (
    equal_batch,
    make_manifest,
    plan_batch,
    published_before,
)
from airflow_provider_idm.synchronization.prepare.exports import Exports
from airflow_provider_idm.synchronization.prepare.files import CleanFiles, FileMaker
from airflow_provider_idm.synchronization.prepare.invalid import InvalidValues
from airflow_provider_idm.synchronization.prepare.previous import PreviousStore
from airflow_provider_idm.synchronization.prepare.request import PrepareRequest, PrepareResult
from airflow_provider_idm.synchronization.prepare.source import SourceChangedError, SourceFile, is_utf8
from airflow_provider_idm.synchronization.prepare.tables import named_tables, write_table
from airflow_provider_idm.synchronization.prepare.targets import SUFFIXES, Target, targets_of

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.exchange import Batches, ConnectorExchange
    from airflow_provider_idm.synchronization.prepare.batch import Plan

_log = logging.getLogger(__name__)

_AHEAD: Final = timedelta(days=1)
"""How far ahead of now a date may be before it looks like a mistake: further than any time zone."""


def prepare(request: PrepareRequest) -> PrepareResult:
    """Cleanse a connector's source files and publish them as a batch.

    :raises SourceFileError: naming file and line, if a source file is missing or is not what its mapping expects.
    :raises SourceChangedError: if a source file was written to while it was read; the same call may succeed later.
    :raises PrepareError: if the batch cannot be made whatever the files hold (date, chain, encoding).
    :raises ConnectorBlockedError: if it is an Incremental, and the connector's blocked batch awaits a decision.
    :raises LockedError: if another prepare of the connector does not end in time.
    :raises ExchangeUnavailableError: if the exchange does not answer; the same call may succeed later.
    """
    _check(request)
    targets = targets_of(request.mappings)
    folder = request.work / folder_name(request.connector)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".prepare.lock", f"prepare of connector {request.connector}", request.lock_timeout):
        for left in folder.glob(".prepare-*"):
            shutil.rmtree(left, ignore_errors=True)
        build = Path(tempfile.mkdtemp(prefix=".prepare-", dir=folder))
        try:
            return _Prepare(request, targets, folder, build).run()
        finally:
            shutil.rmtree(build, ignore_errors=True)


class _Prepare:
    """One prepare, under its connector's lock."""

    def __init__(
        self, request: PrepareRequest, targets: tuple[Target, ...], folder: Path, build: Path
    ) -> None:
        self._request = request
        self._targets = targets
        self._build = build
        self._collect = folder / "Collect"
        self._store = PreviousStore(folder)
        self._exports = Exports(request)
        self._channel: ConnectorExchange = request.exchange.channel(request.connector)

    def run(self) -> PrepareResult:
        batches = self._channel.batches()
        self._store.settle(batches)
        self._exports.settle(batches)
        if (published := published_before(self._request, batches)) is not None:
            _log.info(
                "this task instance published batch %s already; the sources are not read again",
                published.batch,
            )
            return PrepareResult(published, reused=True)
        self._check_readiness(batches)
        now = datetime.now(UTC)
        plan = plan_batch(self._request, batches, self._store.read(), now)
        if plan.effective_date > now + _AHEAD:
            _log.warning(
                "connector %s: this batch is dated %s, days ahead: every batch dated before it, and every undated one "
                "until then, will be refused",
                self._request.connector,
                plan.effective_date.isoformat(),
            )
        files = self._make_files(plan)
        if plan.is_backwards:
            return PrepareResult(equal_batch(self._request, plan, files.entries), reused=True)
        return self._publish(plan, files)

    def _check_readiness(self, batches: Batches) -> None:
        """Refuse what could not be applied anyway; a Complete is the way out of either state."""
        request = self._request
        if request.plan_only or not (request.is_incremental or request.stop_if_blocked):
            return
        state = check_not_blocked(self._channel)
        if (
            request.is_incremental
            and state.state == "needs_complete"
            and not (state.batch and batches.has_whole_after(state.batch))
        ):
            why = f"batch {state.batch} was rejected" if state.batch else "a batch was rejected"
            since = f" on {state.since:%Y-%m-%d %H:%M:%S} UTC" if state.since else ""
            raise PrepareError(
                f"connector {request.connector} needs a Complete: {why}{since}, and no Incremental can lead on from it; "
                "run a Complete first"
            )

    def _make_files(self, plan: Plan) -> CleanFiles:
        request = self._request
        invalid = InvalidValues()
        sources = self._find_sources()
        self._exports.find(
            {t: source.path if source.table is None else None for t, source in sources.items()}
        )
        with open_engine(self._build, request.memory_limit, request.threads) as connection:
            maker = FileMaker(connection, request, self._build, plan.previous)
            for table, source in sources.items():
                try:
                    maker.read(source, [t for t in self._targets if t.table == table], invalid)
                except Exception:
                    # Whatever is wrong with a file that somebody is writing may be right the next time.
                    if not source.is_unchanged():
                        raise SourceChangedError(source.path) from None
                    raise
            for source in sources.values():
                source.check_unchanged()
            if invalid.total and (invalid.in_keys or request.on_invalid_value == "fail"):
                self._collect.mkdir(exist_ok=True)
                for path in self._build.glob("*.invalid.csv"):
                    path.replace(self._collect / path.name)
                raise invalid.error(self._collect)
            if invalid.total:
                _log.warning(
                    "connector %s: %d values did not convert and were emptied",
                    request.connector,
                    invalid.total,
                )
            return maker.finish(self._targets)

    def _find_sources(self) -> dict[str, SourceFile]:
        """Return the source of each table: a file, or a table given instead, which is written as one."""
        request = self._request
        given = named_tables(request.tables, self._targets)
        command = request.column_name if request.reads_changes else None
        sources: dict[str, SourceFile] = {}
        for table in dict.fromkeys(t.table for t in self._targets):
            if table in given:
                readers = [t for t in self._targets if t.table == table]
                folder = self._build / "tables"
                sources[table] = write_table(table, given[table], readers, command, folder)
            else:
                sources[table] = SourceFile.find(request.sources, table)
        return sources

    def _publish(self, plan: Plan, files: CleanFiles) -> PrepareResult:
        request = self._request
        manifest = make_manifest(request, plan, files.entries)
        keeps_previous = not request.plan_only and bool(files.sorted)
        if keeps_previous:
            self._store.stage(manifest.batch, manifest.fingerprint, files.sorted)
        self._land()
        self._exports.before_publishing(manifest.batch)
        self._channel.publish(manifest, {f.name: self._collect / f.name for f in manifest.files})
        if keeps_previous:
            self._store.promote(manifest.batch)
        self._exports.published()
        _log.info("published batch %s of connector %s", manifest.batch, request.connector)
        return PrepareResult(manifest, reused=False)

    def _land(self) -> None:
        """Move everything into ``Collect``, each file as a whole; what an earlier prepare left there goes."""
        self._collect.mkdir(exist_ok=True)
        made = {p.name for p in self._build.iterdir() if p.name.endswith(SUFFIXES)}
        for path in self._collect.iterdir():
            if path.name.endswith(SUFFIXES) and path.name not in made:
                path.unlink()
        for name in sorted(made):
            (self._build / name).replace(self._collect / name)


def _check(request: PrepareRequest) -> None:
    """Refuse settings that no source file could satisfy; warn of what is probably not meant."""
    mappings = request.mappings
    if not (mappings.entity_types or mappings.associations):
        raise PrepareError(
            f"connector {request.connector} has no EntityTypeMapping and no EntityAssociationMapping: there is nothing "
            "to prepare; add mappings whose Connector it is, or name another connector"
        )
    if mappings.connector.is_deactivated:
        _log.warning(
            "connector %s is deactivated (%s); it is prepared all the same, for it was asked for by name",
            request.connector,
            mappings.connector.location,
        )
    separator = request.separator
    if separator is not None and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n\0'):
        raise PrepareError(
            f"{separator!r} cannot be a separator; expected one ASCII character such as ',' or ';'"
        )
    if request.on_invalid_value not in {"fail", "null"}:
        raise PrepareError(f"on_invalid_value cannot be {request.on_invalid_value!r}; expected fail or null")
    is_utf8(request.encoding)
