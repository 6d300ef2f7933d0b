"""A connector with persons, organizations, and a person's organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration.enums import PropertyType
from tests.builders import make_association, make_entity_type, make_mappings, make_property
from tests.prepare.desk import Desk

if TYPE_CHECKING:
    from pathlib import Path

PERSON = make_entity_type(
    "Person",
    make_property("Id", "id", is_primary_key=True),
    make_property("Name", "name"),
    make_property("Level", "level", PropertyType.INT32),
    table="persons",
)
ORGANIZATION = make_entity_type(
    "Organization",
    make_property("Code", "code", is_primary_key=True),
    make_property("Label", "label"),
    table="organizations",
)
MEMBERS = make_association(
    "Person_Organization",
    (PERSON, "Id"),
    (ORGANIZATION, "Code"),
    table="persons",
    columns=("id", "organization"),
    owner=1,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Persons alone."""
    return Desk(tmp_path, make_mappings(PERSON))


@pytest.fixture
def full_desk(tmp_path: Path) -> Desk:
    """Persons, organizations, and the organization that a person's row names."""
    return Desk(tmp_path, make_mappings(PERSON, ORGANIZATION, MEMBERS))
