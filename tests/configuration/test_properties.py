"""What holds whatever the input: the column layout, and that no file makes the reader fail."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_idm.configuration import check_configuration, connector_mappings
from airflow_provider_idm.configuration.columns import (
    NAVIGATION_COLUMNS,
    SCALAR_COLUMNS,
    base32,
    column_length,
    column_name,
)
from airflow_provider_idm.configuration.definitions import ENTITY_ELEMENTS
from airflow_provider_idm.configuration.definitions_jobs import KNOWN_TASKS, SCAFFOLDINGS
from airflow_provider_idm.configuration.problems import errors_of
from airflow_provider_idm.errors import ConfigurationError
from tests.configuration.texts import RIGHT, check, document


@given(st.integers(min_value=0, max_value=2**70))
def test_base_32_is_read_back(number: int) -> None:
    assert int(base32(number), 32) == number


@given(st.integers(max_value=-1))
def test_base_32_has_no_negative_numbers(number: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        base32(number)


@given(st.integers(min_value=0, max_value=152), st.integers(min_value=0, max_value=152))
def test_every_index_has_a_column_of_its_own(first: int, second: int) -> None:
    assert (column_name(first) == column_name(second)) == (first == second)
    assert column_name(first)[0] == ("C" if first <= 127 else "I")


@given(st.integers().filter(lambda index: not 0 <= index <= 152))
def test_no_other_index_has_a_column(index: int) -> None:
    with pytest.raises(ValueError, match="has no column"):
        column_name(index)


def test_the_layouts_corners() -> None:
    assert [column_name(n) for n in (0, 3, 31, 32, 127, 128, 152)] == [
        "C0",
        "C3",
        "CV",
        "C10",
        "C3V",
        "I40",
        "I4O",
    ]
    assert (len(SCALAR_COLUMNS), len(NAVIGATION_COLUMNS)) == (128, 25)
    assert [column_length(n) for n in (0, 3, 4, 127)] == [4000, 4000, 442, 442]


def assert_only_problems(data: bytes) -> None:
    """Whatever a file holds, a configuration comes back, and every connector of it resolves or is refused."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = check(Path(folder), x=data)
    assert all(problem.location.line >= 1 for problem in configuration.problems)
    for connector in configuration.connectors:
        try:
            connector_mappings(configuration, connector)
        except ConfigurationError:
            assert errors_of(configuration.problems)


@given(st.binary(max_size=200))
def test_any_bytes_give_nothing_but_problems(data: bytes) -> None:
    assert_only_problems(data)
    assert_only_problems(b"<ConfigurationFile>" + data)


@given(st.integers(min_value=0), st.integers(min_value=0), st.binary(max_size=20))
def test_a_mutilated_configuration_gives_nothing_but_problems(start: int, length: int, data: bytes) -> None:
    text = document(RIGHT).encode()
    start %= len(text)
    assert_only_problems(text[:start] + data + text[start + length % 40 :])


TAGS = [*ENTITY_ELEMENTS, *KNOWN_TASKS, *SCAFFOLDINGS, "Job", "Step", "SynchronizeTaskOverride", "Property"]
TAGS += ["TaskDependsOnTask", "Transformation", "Column", "CronTabExpression", "NotUsed", "FulfillTask"]
ATTRIBUTES = sorted(
    {
        name
        for group in (ENTITY_ELEMENTS, KNOWN_TASKS, SCAFFOLDINGS)
        for e in group.values()
        for name in e.attributes
    }
    | {
        "Format",
        "IsPrimaryKey",
        "IsUniqueKey",
        "ConnectionColumn",
        "Type",
        "TargetColumnIndex",
        "ParentTask",
        "CronTab",
    }
)
VALUES = st.sampled_from(
    [
        "",
        " ",
        "A",
        "a",
        "B",
        "A:B",
        "a:b",
        ":",
        "0",
        "1",
        "-1",
        "128",
        "4",
        "true",
        "x",
        "Bit:A:0",
        "Bit:B:63",
        "Int64",
        "é" * 300,
    ]
) | st.text(
    st.characters(min_codepoint=32, exclude_characters='<&"', exclude_categories=["Cs"]), max_size=8
).filter(lambda text: "\ufffe" not in text and "\uffff" not in text)
ELEMENTS = st.recursive(
    st.just(""),
    lambda children: st.builds(
        lambda tag, attributes, inside: (
            f"<{tag} "
            + " ".join(f'{n}="{v}"' for n, v in attributes.items())
            + f">\n{''.join(inside)}</{tag}>"
        ),
        st.sampled_from(TAGS),
        st.dictionaries(st.sampled_from(["Identifier", "Connector", *ATTRIBUTES]), VALUES, max_size=8),
        st.lists(children, max_size=4),
    ),
    max_leaves=12,
)


@given(st.lists(ELEMENTS, max_size=8))
def test_any_elements_give_nothing_but_problems(elements: list[str]) -> None:
    assert_only_problems(document("".join(elements)).encode())


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(document(RIGHT))
    first = check_configuration(tmp_path)
    (tmp_path / "a.xml").rename(tmp_path / "z.xml")

    assert connector_mappings(check_configuration(tmp_path), "HR").fingerprint == (
        connector_mappings(first, "HR").fingerprint
    )
