"""One check tells everything: no error waits behind another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configuration.texts import RIGHT, problems


def test_a_wrong_attribute_does_not_hide_what_does_not_depend_on_it(tmp_path: Path) -> None:
    keys = "".join(
        f'  <Property Identifier="K{n}" ConnectionColumn="k{n}" IsUniqueKey="true" />\n' for n in range(4)
    )
    text = f"""\
<Connector Identifier="HR" />
<EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR_Persons">
  <Property Identifier="Code" ConnectionColumn="code" Format="Foo" />
{keys}</EntityTypeMapping>
"""
    assert [p.partition(" one of ")[0] for p in problems(tmp_path, c=text) if "no EntityType" not in p] == [
        "c.xml:3: EntityTypeMapping Person: no property is the primary key: exactly one must be",
        'c.xml:4: Property Code: Format="Foo": expected',
        "c.xml:8: EntityTypeMapping Person: K3 is one unique key too many: there may be 3",
    ]


@pytest.mark.parametrize("wrong", ['Identifier="Code" IsPrimaryKey="maybe"', 'IsPrimaryKey="true"'])
def test_what_may_be_the_primary_key_is_not_missed(tmp_path: Path, wrong: str) -> None:
    text = f"""\
<Connector Identifier="HR" />
<EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR_Persons">
  <Property ConnectionColumn="code" {wrong} />
</EntityTypeMapping>
"""
    assert not [p for p in problems(tmp_path, c=text) if "no property is the primary key" in p]


def test_an_element_that_is_there_twice_is_checked_each_time(tmp_path: Path) -> None:
    """The errors of the second and third come with the first run of the check."""
    text = """\
<Agent Identifier="Local" />
<Connector Identifier="HR" Agent="Local" />
<Connector Identifier="hr" Agent="Nope" />
<Connector Identifier="HR" Agent="Locl" />
<EntityType Identifier="Person">
  <Property Identifier="Code" TargetColumnIndex="4" />
</EntityType>
<EntityType Identifier="Person">
  <Property Identifier="Code" TargetColumnIndex="4" />
  <Property Identifier="Name" TargetColumnIndex="4" />
</EntityType>
<EntityTypeMapping Identifier="Person" Connector="HR" ConnectionTable="HR_Persons">
  <Property Identifier="Code" ConnectionColumn="code" IsPrimaryKey="true" />
</EntityTypeMapping>
"""
    assert problems(tmp_path, c=text) == [
        "c.xml:4: Connector hr was already defined at c.xml:3",
        "c.xml:4: Connector hr: there is no Agent Nope",
        "c.xml:5: Connector HR was already defined at c.xml:3",
        "c.xml:5: Connector HR: there is no Agent Locl; did you mean Local?",
        "c.xml:9: EntityType Person was already defined at c.xml:6",
        "c.xml:11: Property Person:Name: TargetColumnIndex 4 is already that of Code (c.xml:10)",
    ]


def test_a_configuration_copied_whole_has_doubles_and_nothing_else(tmp_path: Path) -> None:
    found = problems(tmp_path, a=RIGHT, b=RIGHT)

    assert len(found) == 11
    assert all(
        problem.startswith("b.xml:") and "was already defined at a.xml:" in problem for problem in found
    )
