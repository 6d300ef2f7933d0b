"""What a task knows, in OpenLineage's terms. Imported only where OpenLineage asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    RunFacet,
    column_lineage_dataset,
    dataset_version_dataset,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from airflow_provider_idm.assets.uri import SCHEME
from airflow_provider_idm.observability.lineage.columns import FILES, LINKS, RESOURCES, Flow, flows
from airflow_provider_idm.observability.lineage.names import Name, file_name, table_name
from airflow_provider_idm.observability.told import short_counts, shortened

if TYPE_CHECKING:
    from airflow_provider_idm.observability.lineage.facts import PrepareFacts, SynchronizeFacts
    from airflow_provider_idm.synchronization.exchange.manifest import BatchFile, Manifest
    from airflow_provider_idm.synchronization.synchronize import SynchronizeResult

Inputs = dict[str, list[tuple[Name, str, str, str]]]
"""By output column: the dataset and column that it comes from, how, and what it is."""

_COPIED: Final = "IDENTITY"
_CONVERTED: Final = "TRANSFORMATION"


@attr.define
class PrepareRunFacet(RunFacet):
    """``idm_prepare``: the batch and, by entity type and association, the rows kept and set aside."""

    connector: str
    batch: str
    mode: str
    effectiveDate: str  # noqa: N815  OpenLineage's style
    files: dict[str, dict[str, int]]


@attr.define
class SynchronizeRunFacet(RunFacet):
    """``idm_synchronize``: the batches and, by entity type and association, what was changed."""

    connector: str
    state: str
    batches: list[str]
    entityTypes: dict[str, dict[str, int]]  # noqa: N815  OpenLineage's style
    associations: dict[str, dict[str, int]]


# ------------------------------------------------------------------------------------------------------------ prepare


def of_prepare(facts: PrepareFacts, manifest: Manifest | None) -> OperatorLineage[Any, Any]:
    """Return the source files as inputs and, if there is a batch, its files as outputs."""
    ways = flows(facts.mappings)
    places = _places(facts, ways, manifest)
    inputs = _sources(ways, places, manifest)
    if manifest is None:
        return OperatorLineage(inputs=inputs)
    run = PrepareRunFacet(
        connector=manifest.connector,
        batch=manifest.batch,
        mode=manifest.mode.name.capitalize(),
        effectiveDate=manifest.effective_date.isoformat(),
        files={file.target: _counts_of(file) for file in manifest.files},
    )
    outputs = [_batch_file(facts.batches, file, manifest, ways, places) for file in manifest.files]
    return OperatorLineage(inputs=inputs, outputs=outputs, run_facets={"idm_prepare": run})


def _places(facts: PrepareFacts, ways: Iterable[Flow], manifest: Manifest | None) -> dict[str, Name | None]:
    """Return the source's name by entity type and association."""
    found: dict[str, Name | None] = {}
    for way in ways:
        file = manifest.file(way.target) if manifest else None
        place = file.source if file else facts.sources.get(way.table)
        found[way.target] = file_name(place) if place else None
    return found


def _sources(
    ways: Iterable[Flow], places: Mapping[str, Name | None], manifest: Manifest | None
) -> list[InputDataset]:
    columns: dict[Name, dict[str, None]] = defaultdict(dict)
    rows: dict[Name, int | None] = {}
    for way in ways:
        if (place := places.get(way.target)) is not None:
            columns[place][way.source] = None
            file = manifest.file(way.target) if manifest else None
            rows[place] = file.source_rows if file else None
    return [
        InputDataset(
            *place,
            facets={"schema": _schema((name, None, None) for name in names)},
            inputFacets=_rows_read(rows[place]),
        )
        for place, names in columns.items()
    ]


def _batch_file(
    folder: Name,
    file: BatchFile,
    manifest: Manifest,
    ways: Iterable[Flow],
    places: Mapping[str, Name | None],
) -> OutputDataset:
    own = {way.column: way for way in ways if way.target == file.target}
    place = places.get(file.target)
    inputs: Inputs = {}
    if place is not None:
        for name, way in own.items():
            inputs[name] = [(place, way.source, _COPIED if way.is_copied else _CONVERTED, way.text)]
    facets: dict[str, DatasetFacet] = {
        "schema": _schema_of(file, own),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(manifest.batch),
        "columnLineage": _column_lineage(inputs),
    }
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=file.rows, size=file.size, fileCount=1
    )
    return OutputDataset(
        *folder.below(file.target), facets=facets, outputFacets={"outputStatistics": written}
    )


def _counts_of(file: BatchFile) -> dict[str, int]:
    aside = {"duplicates": file.duplicates, "nullpk": file.nullpk, "invalid": file.invalid}
    return {"rows": file.rows, **aside, **file.commands}


# -------------------------------------------------------------------------------------------------------- synchronize


def of_synchronize(facts: SynchronizeFacts, result: SynchronizeResult | None) -> OperatorLineage[Any, Any]:
    """Return the files of the batches as inputs and, if they were applied, the tables as outputs."""
    ways = flows(facts.mappings)
    inputs = _batch_files(facts, ways)
    if result is None:
        return OperatorLineage(inputs=inputs)
    counts = short_counts(result.counts())
    run = SynchronizeRunFacet(
        connector=result.connector,
        state=result.state,
        batches=shortened({"batches": result.applied})["batches"],
        entityTypes=counts["entity_types"],
        associations=counts["associations"],
    )
    return OperatorLineage(
        inputs=inputs, outputs=_tables(facts, ways, result), run_facets={"idm_synchronize": run}
    )


def _batch_files(facts: SynchronizeFacts, ways: Iterable[Flow]) -> list[InputDataset]:
    newest: dict[str, tuple[BatchFile, Manifest]] = {}
    rows: dict[str, int] = defaultdict(int)
    for manifest in facts.manifests:
        for file in manifest.files:
            newest[file.target] = (file, manifest)
            rows[file.target] += file.rows
    return [
        InputDataset(
            *facts.batches.below(target),
            facets={
                "schema": _schema_of(file, {way.column: way for way in ways if way.target == target}),
                "version": dataset_version_dataset.DatasetVersionDatasetFacet(manifest.batch),
            },
            inputFacets=_rows_read(rows[target], file.size),
        )
        for target, (file, manifest) in newest.items()
    ]


def _tables(facts: SynchronizeFacts, ways: Iterable[Flow], result: SynchronizeResult) -> list[Dataset]:
    """Return the tables that the connector's mappings fill, and the connector as its asset is called."""
    sources = {
        file.target: file_name(file.source)
        for manifest in facts.manifests
        for file in manifest.files
        if file.source
    }
    inputs: dict[str, Inputs] = defaultdict(lambda: defaultdict(list))
    for way in ways:
        for table, column in way.stored:
            kind = _COPIED if table != LINKS and not column.startswith("I") else _CONVERTED
            found = inputs[table][column]
            found.append((facts.batches.below(way.target), way.column, kind, way.text))
            if (source := sources.get(way.target)) is not None:
                converted = kind if way.is_copied else _CONVERTED
                found.append((source, way.source, converted, way.text))
    rows = _rows_written(facts, result)
    tables: list[Dataset] = [
        OutputDataset(
            *table_name(facts.repository, facts.schema, table),
            facets={
                "schema": _schema((name, None, _texts(found)) for name, found in columns.items()),
                "columnLineage": _column_lineage(columns),
            },
            outputFacets=_written(rows.get(table)),
        )
        for table, columns in inputs.items()
    ]
    asset = OutputDataset(
        f"{SCHEME}://{facts.idm_conn_id}",
        result.connector,
        outputFacets=_written(rows[RESOURCES] + rows[LINKS]),
    )
    return [*tables, asset]


def _rows_written(facts: SynchronizeFacts, result: SynchronizeResult) -> dict[str, int]:
    """Return the rows inserted or updated by table; those of files are counted with their resources."""
    resources = sum(counts.inserted + counts.updated for counts in result.entity_types.values())
    with_table = {a.identifier for a in facts.mappings.associations if a.has_link_table}
    links = sum(counts.inserted for name, counts in result.associations.items() if name in with_table)
    return {RESOURCES: resources, LINKS: links}


# ------------------------------------------------------------------------------------------------------------- facets


def _schema(columns: Iterable[tuple[str, str | None, str | None]]) -> DatasetFacet:
    """Return the columns of a dataset: name, type and description."""
    return schema_dataset.SchemaDatasetFacet(
        fields=[
            schema_dataset.SchemaDatasetFacetFields(name=name, type=kind, description=text)
            for name, kind, text in columns
        ]
    )


def _schema_of(file: BatchFile, ways: Mapping[str, Flow]) -> DatasetFacet:
    return _schema(
        (name, ways[name].kind if name in ways else "STRING", ways[name].text if name in ways else None)
        for name in file.columns
    )


def _column_lineage(columns: Inputs) -> DatasetFacet:
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            column: column_lineage_dataset.Fields(
                inputFields=[
                    column_lineage_dataset.InputField(
                        *place,
                        field=field,
                        transformations=[
                            column_lineage_dataset.Transformation("DIRECT", subtype=kind, description=text)
                        ],
                    )
                    for place, field, kind, text in found
                ]
            )
            for column, found in columns.items()
        }
    )


def _texts(found: Iterable[tuple[Name, str, str, str]]) -> str:
    return ", ".join(dict.fromkeys(text for *_, text in found))


def _rows_read(rows: int | None, size: int | None = None) -> dict[str, Any]:
    if rows is None:
        return {}
    facet = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=rows, size=size)
    return {"inputStatistics": facet}


def _written(rows: int | None) -> dict[str, Any]:
    if rows is None:
        return {}
    facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return {"outputStatistics": facet}


__all__ = ["FILES", "PrepareRunFacet", "SynchronizeRunFacet", "of_prepare", "of_synchronize"]
