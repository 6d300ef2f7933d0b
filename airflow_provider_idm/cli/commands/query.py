"""``idm query``: an entity type's resources or an association's links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_idm.cli import conf as configurations
from airflow_provider_idm.cli import values
from airflow_provider_idm.cli.options import (
    Conf,
    DatabaseSchema,
    Json,
    OptionalAsOf,
    RepositoryUrl,
    Traceback,
    open_repository,
)

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.model import EntityAssociationMapping, EntityTypeMapping

EntityTypeId = Annotated[
    str | None,
    typer.Option(
        "--entity-type", parser=values.text, metavar="ID", help="The resources of this entity type."
    ),
]
AssociationId = Annotated[
    str | None,
    typer.Option("--association", parser=values.text, metavar="ID", help="The links of this association."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        parser=values.path,
        metavar="FILE",
        help="Write to FILE (.csv, .json or .parquet) instead of CSV on standard output.",
    ),
]


def query(
    conf: Conf,
    *,
    entity_type: EntityTypeId = None,
    association: AssociationId = None,
    as_of: OptionalAsOf = None,
    output: Output = None,
    repository: RepositoryUrl = None,
    database_schema: DatabaseSchema = None,
    json: Json = False,
    traceback: Traceback = False,  # noqa: ARG001
) -> None:
    """Print an entity type's resources, or an association's links, of now or of a date, sorted by primary key."""
    if bool(entity_type) == bool(association):
        raise typer.BadParameter("expected one of them", param_hint="--entity-type / --association")
    if output is not None and output.suffix.casefold() not in {".csv", ".json", ".parquet"}:
        raise typer.BadParameter(
            f"{output}: expected a name that ends in .csv, .json or .parquet", param_hint="--output"
        )
    if output is not None and json:
        raise typer.BadParameter(
            "prints on standard output; leave out --output, or name a .json file", param_hint="--json"
        )
    configuration = configurations.read(conf)
    mapping: EntityTypeMapping | EntityAssociationMapping
    if entity_type:
        mapping = configurations.find(configuration.entity_type_mappings, "entity type mapping", entity_type)
    else:
        mapping = configurations.find(
            configuration.entity_association_mappings, "association mapping", association or ""
        )

    from airflow_provider_idm.cli import tables
    from airflow_provider_idm.configuration import connector_mappings

    mappings = connector_mappings(configuration, mapping.connector)
    with open_repository(repository, database_schema, create=False) as opened:
        if as_of is None:
            read = opened.query_entity_type if entity_type else opened.query_association
            found = read(mappings, mapping.identifier)
        else:
            read_as_of = opened.resources_as_of if entity_type else opened.links_as_of
            found = read_as_of(mappings, mapping.identifier, as_of)
    if output is not None:
        tables.write_file(found, output)
    elif json:
        tables.print_json(found, {"entity_type" if entity_type else "association": mapping.identifier})
    else:
        tables.print_csv(found)
