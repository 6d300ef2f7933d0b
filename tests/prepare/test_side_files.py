"""Every file that a prepare writes, byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_idm.configuration.enums import SourceType
from airflow_provider_idm.synchronization.prepare import InvalidValuesError
from tests.prepare.desk import COMPLETE, INCREMENTAL, INITIAL

if TYPE_CHECKING:
    from tests.prepare.desk import Desk

PERSONS = '''\
name;id;note;level;organization
"Ünal; Zoë";p2;"said ""hi""";007;sales
Bob;p10;#1;;sales
"two
lines";p1;;1;
Nobody;;kept;3;it

Bob again;p10;"a,b";4;it
Ángel;Á;;-5;it
'''
ORGANIZATIONS = "code,label\nsales,Sales\nit,\n"


@pytest.mark.parametrize("mode", [INITIAL, COMPLETE])
def test_whole_files(full_desk: Desk, mode: object) -> None:
    full_desk.write("persons", PERSONS)
    full_desk.write("organizations", ORGANIZATIONS)
    result = full_desk.prepare(mode)  # type: ignore[arg-type]
    assert {p.name: p.read_bytes().decode() for p in full_desk.collect.iterdir()} == {
        "Person.sorted.csv": 'Id,Name,Level\np1,"two\nlines",1\np10,Bob,\np2,Ünal; Zoë,7\nÁ,Ángel,-5\n',
        "Person.nullpk.csv": "name,id,note,level,organization,line\nNobody,,kept,3,it,6\n",
        "Person.duplicates.csv": 'name,id,note,level,organization,line\nBob again,p10,"a,b",4,it,8\n',
        "Organization.sorted.csv": "Code,Label\nit,\nsales,Sales\n",
        "Organization.nullpk.csv": "code,label,line\n",
        "Organization.duplicates.csv": "code,label,line\n",
        "Person_Organization.sorted.csv": "key1,key2\np10,it\np10,sales\np2,sales\nÁ,it\n",
        "Person_Organization.nullpk.csv": (
            'name,id,note,level,organization,line\n"two\nlines",p1,,1,,4\nNobody,,kept,3,it,6\n'
        ),
        "Person_Organization.duplicates.csv": "name,id,note,level,organization,line\n",
    }
    counts = {"inserts": 0, "updates": 0, "deletes": 0, "merges": 0, "invalid": 0}
    assert result.as_dict() == {
        "batch": result.manifest.batch,
        "connector": result.manifest.connector,
        "mode": mode.name.capitalize(),  # type: ignore[attr-defined]
        "type": "None",
        "effective_date": result.manifest.effective_date.isoformat(),
        "created_at": result.manifest.created_at.isoformat(),
        "based_on": None,
        "plan_only": False,
        "reused": False,
        "files": {
            "Person": {"rows": 4, "duplicates": 1, "nullpk": 1} | counts,
            "Organization": {"rows": 2, "duplicates": 0, "nullpk": 0} | counts,
            "Person_Organization": {"rows": 4, "duplicates": 0, "nullpk": 2} | counts,
        },
    }
    json.dumps(result.as_dict())


def test_an_identical_pair_is_a_duplicate_link(full_desk: Desk) -> None:
    full_desk.write("persons", "id,name,level,organization\np1,A,1,it\np1,B,2,it\n")
    full_desk.write("organizations", ORGANIZATIONS)
    full_desk.prepare()
    assert full_desk.collected("Person_Organization.sorted.csv") == "key1,key2\np1,it\n"
    assert (
        full_desk.collected("Person_Organization.duplicates.csv")
        == "id,name,level,organization,line\np1,B,2,it,3\n"
    )


def test_the_delta_of_full_extracts(full_desk: Desk) -> None:
    full_desk.write("organizations", ORGANIZATIONS)
    full_desk.write("persons", "id,name,level,organization\na,A,1,it\nb,B,,sales\nc,C,3,it\nd,,,\n")
    base = full_desk.prepare()
    full_desk.write("persons", 'id,name,level,organization\nd,"D, d",,\ne,E,5,it\na,A,1,sales\nb,B,2,sales\n')
    result = full_desk.prepare(INCREMENTAL)
    assert full_desk.collected("Person.sorted.delta") == (
        'command,Id,Name,Level\nupdate,b,B,2\ndelete,c,,\nupdate,d,"D, d",\ninsert,e,E,5\n'
    )
    assert full_desk.collected("Organization.sorted.delta") == "command,Code,Label\n"
    assert full_desk.collected("Person_Organization.sorted.delta") == (
        "command,key1,key2\ndelete,a,it\ninsert,a,sales\ndelete,c,it\ninsert,e,it\n"
    )
    assert full_desk.collected("Person.sorted.csv") == 'Id,Name,Level\na,A,1\nb,B,2\nd,"D, d",\ne,E,5\n'
    assert result.manifest.based_on == base.manifest.batch
    assert [(f.name, f.rows, dict(f.commands)) for f in result.manifest.files] == [
        ("Person.sorted.delta", 4, {"delete": 1, "insert": 1, "update": 2}),
        ("Organization.sorted.delta", 0, {}),
        ("Person_Organization.sorted.delta", 4, {"delete": 2, "insert": 2}),
    ]
    assert full_desk.prepare(INCREMENTAL).has_changes is False


def test_the_delta_of_a_list_of_changes(full_desk: Desk) -> None:
    full_desk.write("organizations", ORGANIZATIONS)
    full_desk.write("persons", "id,name,level,organization\n")
    full_desk.prepare()
    full_desk.write("organizations", "Command,code,label\n")
    full_desk.write(
        "persons",
        "COMMAND,id,name,level,organization\n"
        "Add,a,A,1,it\n"
        "modify,b,B,2,\n"
        "REMOVE,c,C,not a number,it\n"
        "merge,d,,4,\n"
        "Insert,,nobody,,it\n"
        "UPDATE,a,AA,,sales\n",
    )
    full_desk.prepare(INCREMENTAL, type=SourceType.CHANGES)
    assert full_desk.collected("Person.sorted.delta") == (
        "command,Id,Name,Level\ninsert,a,AA,\nupdate,b,B,2\ndelete,c,,\nmerge,d,,4\n"
    )
    assert (
        full_desk.collected("Person.nullpk.csv")
        == "COMMAND,id,name,level,organization,line\nInsert,,nobody,,it,6\n"
    )
    assert full_desk.collected("Person.duplicates.csv") == "COMMAND,id,name,level,organization,line\n"
    assert full_desk.collected("Person_Organization.sorted.delta") == (
        "command,key1,key2,owner\nupdate,a,sales,a\nupdate,b,,b\ndelete,c,,c\n"
    )


def test_an_update_of_a_directory_is_a_merge(full_desk: Desk) -> None:
    full_desk.write("organizations", ORGANIZATIONS)
    full_desk.write("persons", "id,name,level,organization\n")
    full_desk.prepare()
    full_desk.write("organizations", "command,code,label\n")
    full_desk.write("persons", "command,id,name,level,organization\nupdate,a,,7,\nupdate,b,,,it\nadd,c,C,,\n")
    full_desk.prepare(INCREMENTAL, type=SourceType.ACTIVE_DIRECTORY)
    assert (
        full_desk.collected("Person.sorted.delta")
        == "command,Id,Name,Level\nmerge,a,,7\nmerge,b,,\ninsert,c,C,\n"
    )
    assert full_desk.collected("Person_Organization.sorted.delta") == (
        "command,key1,key2,owner\nmerge,b,it,b\ninsert,c,,c\n"
    )


def test_invalid_values_end_the_prepare(desk: Desk) -> None:
    desk.write(
        "persons",
        'id;name;level;note\na;A;1;x\nb;"B\nb";many;y, z\n\nc;C;99999999999;\n' + f"d;{'D' * 443};4;\n",
    )
    with pytest.raises(InvalidValuesError) as caught:
        desk.prepare()
    source = desk.sources / "persons.csv"
    expected = "Int32: a whole number from -2147483648 to 2147483647"
    assert str(caught.value).splitlines() == [
        "3 values do not convert:",
        f"{source}, line 3, column level: 'many'; expected {expected}",
        f"{source}, line 6, column level: '99999999999'; expected {expected}",
        f"{source}, line 7, column name: '{'D' * 100}'…; expected a text without NUL characters, at most 442 characters",
        (
            f"All of them are listed in {desk.collect / 'Person.invalid.csv'}. Nothing was published; correct the source "  # noqa: E501
            "or its mapping."
        ),
    ]
    assert desk.collected("Person.invalid.csv") == (
        "id,name,level,note,column,value,expected,line\n"
        f'b,"B\nb",many,"y, z",level,many,{expected},3\n'
        f"c,C,99999999999,,level,99999999999,{expected},6\n"
        f'd,{"D" * 443},4,,name,{"D" * 443},"a text without NUL characters, at most 442 characters",7\n'
    )
    assert [p.name for p in desk.collect.iterdir()] == ["Person.invalid.csv"]
    assert desk.state() == {}


def test_twenty_invalid_values_are_named_and_the_rest_counted(desk: Desk) -> None:
    desk.write("persons", "id,name,level\n" + "".join(f"{n},,x{n}\n" for n in range(30)))
    with pytest.raises(
        InvalidValuesError, match=r"(?s)^30 values.*'x19'; [^\n]*\n… and 10 more\nAll"
    ) as caught:
        desk.prepare()
    assert caught.value.count == 30
    assert len(desk.collected("Person.invalid.csv").splitlines()) == 31


def test_invalid_values_can_be_emptied(desk: Desk) -> None:
    desk.write("persons", "id,name,level\na,A,x\na,B,2\n,C,y\n")
    result = desk.prepare(on_invalid_value="null")
    assert desk.collected("Person.sorted.csv") == "Id,Name,Level\na,A,\n"
    assert desk.collected("Person.nullpk.csv") == "id,name,level,line\n,C,y,4\n"
    assert desk.collected("Person.duplicates.csv") == "id,name,level,line\na,B,2,3\n"
    assert len(desk.collected("Person.invalid.csv").splitlines()) == 3
    assert result.manifest.files[0].invalid == 2
    desk.write("persons", "id,name,level\na,A,1\n")
    desk.prepare()
    assert not (desk.collect / "Person.invalid.csv").exists()


def test_an_invalid_key_is_never_emptied(desk: Desk) -> None:
    desk.write("persons", f"id,name,level\n{'k' * 443},A,1\n")
    with pytest.raises(InvalidValuesError, match="line 2, column id"):
        desk.prepare(on_invalid_value="null")
    assert desk.batches == []


def test_what_an_earlier_prepare_left_goes(full_desk: Desk) -> None:
    full_desk.write("persons", "id,name,level,organization\na,A,1,it\n")
    full_desk.write("organizations", ORGANIZATIONS)
    full_desk.prepare()
    full_desk.prepare(INCREMENTAL)
    (full_desk.collect / "mine.txt").write_text("kept")
    full_desk.prepare()
    assert not list(full_desk.collect.glob("*.delta"))
    assert (full_desk.collect / "mine.txt").exists()
