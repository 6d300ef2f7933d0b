"""Active Directory: ranges, changes since a cookie, and what becomes of them in the repository."""

from __future__ import annotations

import base64
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import check_configuration, connector_mappings
from airflow_provider_idm.configuration.enums import SourceType, SynchronizationMode
from airflow_provider_idm.errors import ExportError, ExportUnavailableError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.export import (
    ExportJob,
    ExportRequest,
    export_connection,
    read_settings,
)
from airflow_provider_idm.synchronization.export.exporter import Exported
from airflow_provider_idm.synchronization.export.ldap.active_directory import export_active_directory
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, synchronize
from tests.export.ldap import company
from tests.export.ldap.conftest import Office
from tests.export.ldap.fake import PASSWORD, ROOT, FakeActiveDirectory, Object

PACKAGE = "Usercube.AD@0000001"
STAFF, OTHERS, GROUPS = f"OU=staff,{ROOT}", f"OU=others,{ROOT}", f"OU=groups,{ROOT}"
FILTER = "(|(objectClass=user)(objectClass=group)(objectClass=organizationalUnit))"

MAPPINGS = """
  <EntityType Identifier="Entry" DisplayName_L1="Entry">
    <Property Identifier="guid" DisplayName_L1="GUID" Type="Guid" TargetColumnIndex="4" IsKey="true" />
    <Property Identifier="dn" DisplayName_L1="DN" Type="String" TargetColumnIndex="0" />
    <Property Identifier="title" DisplayName_L1="Title" Type="String" TargetColumnIndex="5" />
    <Property Identifier="unit" DisplayName_L1="Unit" Type="ForeignKey" TargetColumnIndex="128" />
    <Property Identifier="children" DisplayName_L1="Children" Type="ForeignKey" />
    <Property Identifier="boss" DisplayName_L1="Boss" Type="ForeignKey" TargetColumnIndex="129" />
    <Property Identifier="reports" DisplayName_L1="Reports" Type="ForeignKey" />
    <Property Identifier="members" DisplayName_L1="Members" Type="ForeignKey" />
    <Property Identifier="memberOf" DisplayName_L1="Member of" Type="ForeignKey" />
  </EntityType>
  <EntityAssociation Identifier="Unit" DisplayName_L1="Unit" Property1="Entry:unit" Property2="Entry:children"
                     IsProperty2Collection="true" />
  <EntityAssociation Identifier="Boss" DisplayName_L1="Boss" Property1="Entry:boss" Property2="Entry:reports"
                     IsProperty2Collection="true" />
  <EntityAssociation Identifier="Member" DisplayName_L1="Member" Property1="Entry:members"
                     Property2="Entry:memberOf" IsProperty1Collection="true" IsProperty2Collection="true" />
  <EntityTypeMapping Identifier="Entry" Connector="Company" ConnectionTable="Directory_entries">
    <Property Identifier="guid" ConnectionColumn="objectGUID" IsPrimaryKey="true" Format="Guid" />
    <Property Identifier="dn" ConnectionColumn="dn" IsUniqueKey="true" />
    <Property Identifier="title" ConnectionColumn="title" />
  </EntityTypeMapping>
  <EntityAssociationMapping Identifier="Unit" Connector="Company" ConnectionTable="Directory_entries"
    Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="parentdn" EntityPropertyMapping2="Entry:dn" />
  <EntityAssociationMapping Identifier="Boss" Connector="Company" ConnectionTable="Directory_entries"
    Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="manager" EntityPropertyMapping2="Entry:dn" />
  <EntityAssociationMapping Identifier="Member" Connector="Company" ConnectionTable="Directory_members"
    Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="member" EntityPropertyMapping2="Entry:dn" />
"""


@pytest.fixture
def ad() -> Iterator[FakeActiveDirectory]:
    """Give a directory of two units with people, and two groups."""
    with FakeActiveDirectory() as fake:
        for unit in (STAFF, OTHERS, GROUPS):
            fake.add(unit, objectClass=["organizationalUnit"])
        for number in range(8):
            boss = [user(0)] if number else []
            fake.add(user(number), objectClass=["user"], title=[f"title {number}"], manager=boss)
        fake.add(f"CN=big,{GROUPS}", objectClass=["group"], member=[user(n) for n in range(8)])
        fake.add(f"CN=small,{GROUPS}", objectClass=["group"], member=[user(3)])
        fake.add(f"CN=printer,{OTHERS}", objectClass=["printQueue"])
        yield fake


def user(number: int, unit: str = STAFF) -> str:
    return f"CN=user{number},{unit}"


@pytest.fixture
def settings(ad: FakeActiveDirectory) -> dict[str, Any]:
    return {
        "Server": ad.url,
        "BaseDN": "DC=corp, DC=test".replace(", ", ","),
        "Login": "reader@corp.test",
        "Password": PASSWORD,
        "RequestTimeout": 5,
        "Filter": FILTER,
        "PageSize": 4,
    }


Export = Callable[..., Exported]


@pytest.fixture
def export(office: Office, settings: dict[str, Any], tmp_path: Path) -> Export:
    """Export straight into a folder, with a cookie or without."""
    office.configure(company.configuration(PACKAGE, MAPPINGS))
    office.output.mkdir()

    def run(cookie: str | None = None, *, incremental: bool = False, **changes: Any) -> Exported:
        configuration = check_configuration(office.conf)
        return export_active_directory(
            ExportJob(
                connection=configuration.connections["Directory"],
                settings=read_settings("Directory", office.conf, settings | changes),
                output=office.output,
                incremental=incremental,
                configuration=configuration,
                cookie=cookie,
            )
        )

    return run


def rows(office: Office, table: str) -> list[tuple[str, ...]]:
    return sorted(map(tuple, office.read(f"Directory_{table}")[1:]))


# ------------------------------------------------------------------------------------------------------------ everything


def test_all_members_of_a_group_are_read_in_ranges(
    export: Export, office: Office, ad: FakeActiveDirectory
) -> None:
    exported = export()

    assert not exported.incremental
    assert rows(office, "members") == sorted(
        [(f"CN=big,{GROUPS}", user(n)) for n in range(8)] + [(f"CN=small,{GROUPS}", user(3))]
    )
    assert ["member;range=5-*"] in [request["asked"] for request in ad.requests]
    entries = rows(office, "entries")
    assert len(entries) == 3 + 8 + 2
    guid = base64.b64encode(ad.find(user(3)).guid).decode()
    assert (guid, user(3), "title 3", user(0), STAFF) in entries


def test_an_entry_that_goes_while_its_ranges_are_read(
    export: Export, ad: FakeActiveDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = FakeActiveDirectory._given

    def give_and_delete(self: FakeActiveDirectory, one: Any, asked: list[str]) -> dict[str, list[bytes]]:
        answer = given(self, one, asked)
        if "member" in asked and one.dn.startswith("CN=big"):
            one.deleted = True
        return answer

    monkeypatch.setattr(FakeActiveDirectory, "_given", give_and_delete)

    with pytest.raises(
        ExportUnavailableError, match=r"the values of member from number 5 on: their entry has gone"
    ):
        export()


def test_no_references_to_other_naming_contexts_are_asked_for(
    export: Export, ad: FakeActiveDirectory
) -> None:
    export()

    searches = [r["controls"] for r in ad.requests if "1.2.840.113556.1.4.319" in r["controls"]]
    assert searches
    assert all("1.2.840.113556.1.4.1339" in controls for controls in searches)


def test_without_the_right_to_replicate_there_is_no_cookie(
    export: Export, ad: FakeActiveDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    ad.may_replicate = False

    exported = export()

    assert exported.cookie is None
    assert len(exported.files) == 2
    assert "needs the right Replicating Directory Changes" in caplog.text


# -------------------------------------------------------------------------------------------------------------- changes


def test_what_changed_since_the_cookie(export: Export, office: Office, ad: FakeActiveDirectory) -> None:
    cookie = export().cookie
    gone = base64.b64encode(ad.find(user(5)).guid).decode()
    ad.modify(user(1), "title", "chief")
    ad.modify(user(2), "title")
    ad.delete(user(5))
    ad.add(user(9), objectClass=["user"])
    ad.link(f"CN=small,{GROUPS}", "member", user(4))
    ad.unlink(f"CN=small,{GROUPS}", "member", user(3))
    ad.modify(f"CN=printer,{OTHERS}", "title", "new toner")

    exported = export(cookie, incremental=True)

    assert exported.incremental
    assert office.read("Directory_entries")[0] == [
        "command",
        "objectGUID",
        "dn",
        "title",
        "manager",
        "parentdn",
    ]
    entries = {(r[0], r[2], r[3]) for r in rows(office, "entries") if r[0] == "insert"}
    assert entries == {
        ("insert", user(1), "chief"),
        ("insert", user(2), ""),
        ("insert", user(9), ""),
        ("insert", f"CN=small,{GROUPS}", ""),
    }
    printer = base64.b64encode(ad.find(f"CN=printer,{OTHERS}").guid).decode()
    assert {r for r in rows(office, "entries") if r[0] == "delete"} == {
        ("delete", gone, "", "", "", ""),
        ("delete", printer, "", "", "", ""),
    }
    assert rows(office, "members") == [
        ("delete", f"CN=small,{GROUPS}", user(3)),
        ("insert", f"CN=small,{GROUPS}", user(4)),
    ]


def test_nothing_changed(export: Export, office: Office) -> None:
    cookie = export().cookie

    exported = export(cookie, incremental=True)

    assert [file.rows for file in exported.files] == [0, 0]
    assert exported.cookie == cookie


def test_a_moved_unit_takes_all_below_it_along(
    export: Export, office: Office, ad: FakeActiveDirectory
) -> None:
    cookie = export().cookie
    moved = f"OU=team,{OTHERS}"
    ad.rename(STAFF, moved)

    export(cookie, incremental=True)

    entries = set(rows(office, "entries"))
    assert {(r[0], r[2], r[4], r[5]) for r in entries} == {
        ("insert", moved, "", OTHERS),
        ("insert", user(0, moved), "", moved),
        *(("insert", user(n, moved), user(0, moved), moved) for n in range(1, 8)),
    }
    assert set(rows(office, "members")) == {
        *(("insert", f"CN=big,{GROUPS}", user(n, moved)) for n in range(8)),
        ("insert", f"CN=small,{GROUPS}", user(3, moved)),
    }


@pytest.mark.parametrize(
    ("cookie", "message"),
    [
        (None, "nothing is known of a former export"),
        ("rubbish", "what is kept of the former export cannot be read"),
        ('{"asked": "x", "servers": ["AAAA"]}', "are not those of the former export any more"),
    ],
)
def test_no_changes_without_a_former_export(export: Export, cookie: str | None, message: str) -> None:
    with pytest.raises(ExportError, match=rf"{message}.*Export everything once \(a Complete job"):
        export(cookie, incremental=True)


def test_changes_that_the_server_refuses_to_tell(export: Export, ad: FakeActiveDirectory) -> None:
    cookie = export().cookie
    ad.may_replicate = False

    with pytest.raises(
        ExportError, match=r"may not search here.*Replicating Directory Changes.*Export everything"
    ):
        export(cookie, incremental=True)


def test_negotiate_without_the_package_for_it(
    export: Export, ad: FakeActiveDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.setitem(sys.modules, "winkerberos", None)

    with pytest.raises(ExportError, match=r"AuthType Negotiate needs the package gssapi"):
        export(AuthType="Negotiate", Login=None, Password=None)


def test_another_filter_needs_a_complete(export: Export) -> None:
    cookie = export().cookie

    with pytest.raises(ExportError, match="are not those of the former export any more"):
        export(cookie, incremental=True, Filter="(objectClass=user)")


def test_the_primary_key_must_be_what_a_deleted_object_still_has(export: Export, office: Office) -> None:
    mappings = MAPPINGS.replace(
        '"objectGUID" IsPrimaryKey="true"', '"objectGUID" IsUniqueKey="true"'
    ).replace('"dn" IsUniqueKey="true"', '"dn" IsPrimaryKey="true"')
    office.configure(company.configuration(PACKAGE, mappings))
    cookie = export().cookie

    with pytest.raises(ExportError, match=r"the primary key of Entry is read from dn.*has to be objectGUID"):
        export(cookie, incremental=True)


def test_the_other_end_of_a_link_is_not_told(export: Export, office: Office) -> None:
    cookie = export().cookie
    office.configure(company.configuration(PACKAGE, MAPPINGS.replace('Column="title"', 'Column="memberOf"')))

    with pytest.raises(ExportError, match="are not those of the former export"):
        export(cookie, incremental=True)

    cookie = export().cookie
    with pytest.raises(
        ExportError, match=r"Directory_entries reads memberOf, whose changes .* does not tell"
    ):
        export(cookie, incremental=True)


def test_two_servers_of_one_naming_context_cannot_be_followed(
    export: Export, ad: FakeActiveDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    servers = [{"Server": ad.url, "BaseDN": STAFF}, {"Server": ad.url, "BaseDN": GROUPS}]

    exported = export(Servers=servers)

    assert exported.cookie is None
    assert "another server of this connection is of the naming context" in caplog.text


# ------------------------------------------------------------------------------------------------------------ to the end


class Life:
    """Exports, prepares and synchronizes again and again."""

    def __init__(self, office: Office, settings: dict[str, Any], folder: Path) -> None:
        self.office, self.settings, self.folder = office, settings, folder
        self.office.configure(company.configuration(PACKAGE, MAPPINGS))
        self.mappings = connector_mappings(check_configuration(office.conf), "Company")
        self.exchange = Exchange.open(folder / "exchange")

    def run(self, mode: SynchronizationMode) -> tuple[set[Any], set[Any]]:
        """Return the entries and the members that the repository holds afterwards."""
        incremental = mode is SynchronizationMode.INCREMENTAL
        work = self.folder / "work"
        type_ = SourceType.ACTIVE_DIRECTORY if incremental else SourceType.NONE
        export_connection(
            ExportRequest(
                configuration=check_configuration(self.office.conf),
                connection="Directory",
                output=self.office.output,
                settings=self.settings,
                incremental=incremental,
                work=work,
            )
        )
        prepare(
            PrepareRequest(
                mappings=self.mappings,
                mode=mode,
                sources=self.office.output,
                exchange=self.exchange,
                work=work,
                type=type_,
            )
        )
        with Repository.open(f"sqlite:///{self.folder / 'repository.db'}") as repository:
            request = SynchronizeRequest(
                mappings=self.mappings,
                exchange=self.exchange,
                repository=repository,
                work=work,
                type=type_,
                force=True,
            )
            assert synchronize(request).state == "completed"
            entries = repository.query_entity_type(self.mappings, "Entry").to_pylist()
            members = repository.query_association(self.mappings, "Member").to_pylist()
        columns = ("guid", "dn", "title", "unit", "boss")
        return {tuple(row[c] for c in columns) for row in entries}, {
            (row["key1"], row["key2"]) for row in members
        }


def held(ad: FakeActiveDirectory) -> tuple[set[Any], set[Any]]:
    """Return the entries and the members that the directory holds, as the repository should."""
    classes = {b"user", b"group", b"organizationalUnit"}
    inside = [o for o in ad.objects.values() if not o.deleted and classes & {*o.values["objectClass"]}]
    keys = {o.dn: uuid.UUID(bytes_le=o.guid).hex for o in inside}

    def linked(of: Object, key: str) -> list[str]:
        names = [ad.objects[target].dn for target, (there, _) in of.links.get(key, {}).items() if there]
        return [keys[name] for name in names if name in keys]

    entries = {
        (
            keys[o.dn],
            o.dn,
            next((value.decode() for value in o.values.get("title", [])), None),
            keys.get(o.dn.partition(",")[2]),
            next(iter(linked(o, "manager")), None),
        )
        for o in inside
    }
    return entries, {(keys[o.dn], member) for o in inside for member in linked(o, "member")}


def test_increments_end_where_a_complete_would(
    office: Office, settings: dict[str, Any], ad: FakeActiveDirectory, tmp_path: Path
) -> None:
    life = Life(office, settings, tmp_path)
    assert life.run(SynchronizationMode.INITIAL) == held(ad)
    printer = f"CN=printer,{OTHERS}"

    ad.modify(user(1), "title", "chief")
    ad.modify(user(2), "title")
    ad.unlink(f"CN=big,{GROUPS}", "member", user(2))
    ad.delete(user(6))
    ad.modify(printer, "objectClass", "user")
    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)

    ad.rename(f"CN=big,{GROUPS}", f"CN=great,{GROUPS}")
    ad.add(user(10, OTHERS), objectClass=["user"], manager=[user(1)])
    ad.link(f"CN=great,{GROUPS}", "member", user(10, OTHERS))
    ad.rename(user(0), user(11))
    ad.modify(printer, "objectClass", "printQueue")
    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)

    ad.rename(STAFF, f"OU=team,{OTHERS}")
    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)


def test_a_group_that_the_filter_finds_later_brings_its_members(
    office: Office, settings: dict[str, Any], ad: FakeActiveDirectory, tmp_path: Path
) -> None:
    life = Life(office, settings, tmp_path)
    late = f"CN=late,{GROUPS}"
    ad.add(late, objectClass=["printQueue"], member=[user(1), user(2)])
    assert life.run(SynchronizationMode.INITIAL) == held(ad)

    ad.modify(late, "objectClass", "group")

    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)


def test_a_group_that_the_filter_loses_and_finds_again_has_the_members_of_now(
    office: Office, settings: dict[str, Any], ad: FakeActiveDirectory, tmp_path: Path
) -> None:
    life = Life(office, settings, tmp_path)
    lost = f"CN=lost,{GROUPS}"
    ad.add(lost, objectClass=["group"], member=[user(1), user(2), user(3)])
    assert life.run(SynchronizationMode.INITIAL) == held(ad)

    ad.unlink(lost, "member", user(1))
    ad.modify(lost, "objectClass", "printQueue")
    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)
    ad.unlink(lost, "member", user(2))
    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)
    ad.modify(lost, "objectClass", "group")

    assert life.run(SynchronizationMode.INCREMENTAL) == held(ad)
