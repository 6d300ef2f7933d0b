"""Against a real OpenLDAP: what is exported, and what is refused."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import check_configuration, connector_mappings
from airflow_provider_idm.configuration.enums import SynchronizationMode
from airflow_provider_idm.errors import ExportError, ExportUnavailableError, TerminalError, TransientError
from airflow_provider_idm.repository import Repository
from airflow_provider_idm.synchronization.exchange import Exchange
from airflow_provider_idm.synchronization.export.ldap.rows import TableWriter
from airflow_provider_idm.synchronization.prepare import PrepareRequest, prepare
from airflow_provider_idm.synchronization.synchronize import SynchronizeRequest, synchronize
from tests.export.ldap import company
from tests.export.ldap.conftest import Office
from tests.export.ldap.slapd import ADMIN, PASSWORD, SUFFIX, Slapd

ENTRIES = [
    "entryUUID",
    "dn",
    "cn",
    "mail",
    "objectClass",
    "jpegPhoto",
    "createTimestamp",
    "hasSubordinates",
    "manager",
    "parentdn",
]


# ----------------------------------------------------------------------------------------------------- what is written


def test_entries_and_links_are_those_of_the_directory(
    office: Office, directory: Slapd, people: list[company.Member]
) -> None:
    result = office.export(office.settings(directory))

    header, *rows = office.read("Directory_entries")
    assert header == ENTRIES
    assert sorted(rows) == sorted(person.row for person in people)
    header, *rows = office.read("Directory_members")
    assert header == ["dn", "member"]
    assert sorted(rows) == sorted([group.dn, dn] for group in people for dn in group.members)
    assert {file.path.name: file.rows for file in result.files} == {
        "Directory_entries.csv": len(people),
        "Directory_members.csv": 2000 + 20 * 5,
    }


@pytest.mark.parametrize("page_size", [7, 499, 500])
def test_pages_of_any_size_give_all(
    office: Office, directory: Slapd, people: list[company.Member], page_size: int
) -> None:
    office.export(office.settings(directory, PageSize=page_size))

    assert len(office.read("Directory_entries")) == 1 + len(people)


def test_tables_may_be_searched_elsewhere(
    office: Office, directory: Slapd, people: list[company.Member]
) -> None:
    settings = office.settings(
        directory,
        BaseDN=None,
        Tables=[
            {
                "Table": "entries",
                "BaseDN": company.PEOPLE,
                "Filter": "objectClass=person",
                "Scope": "OneLevel",
            },
            {"Table": "members", "BaseDN": f"cn=group 3,{company.GROUPS}", "Scope": "Base"},
        ],
    )

    office.export(settings)

    assert {row[9] for row in office.read("Directory_entries")[1:]} == {company.PEOPLE}
    assert len(office.read("Directory_entries")) == 1 + 2000
    (group,) = [person for person in people if person.cn == "group 3"]
    assert sorted(office.read("Directory_members")[1:]) == sorted([group.dn, dn] for dn in group.members)


def test_a_filter_with_escapes_and_other_alphabets(office: Office, directory: Slapd) -> None:
    office.export(office.settings(directory, Filter=r"(|(cn=日本*)(cn=back\5cslash)(cn=M\c3\bcller, Zoë))"))

    assert sorted(row[2] for row in office.read("Directory_entries")[1:]) == [
        "Müller, Zoë",
        "back\\slash",
        "日本 太郎",
    ]


def test_several_servers_fill_the_same_files(office: Office, directory: Slapd) -> None:
    servers = [
        {"Server": directory.url, "BaseDN": company.PEOPLE},
        {"Server": f"127.0.0.1:{directory.port}", "BaseDN": company.GROUPS, "Login": ADMIN},
    ]
    office.export(office.settings(BaseDN=None, Server=None, Servers=servers))

    parents = [row[9] for row in office.read("Directory_entries")[1:]]
    assert (parents.count(company.PEOPLE), parents.count(company.GROUPS)) == (2000, 21)


def test_the_airflow_connection_says_where_and_who(office: Office, directory: Slapd) -> None:
    given = {
        "Host": "127.0.0.1",
        "Port": directory.port,
        "Schema": SUFFIX,
        "Login": ADMIN,
        "Password": PASSWORD,
    }

    result = office.export({"Filter": "(cn=everyone)"}, given=given)

    assert {file.path.name: file.rows for file in result.files} == {
        "Directory_entries.csv": 1,
        "Directory_members.csv": 2000,
    }


def test_an_incremental_export_gives_everything(office: Office, directory: Slapd) -> None:
    result = office.export(office.settings(directory), incremental=True)

    assert result.rows == 2023 + 2100


def test_of_several_values_the_one_in_the_name_is_taken_and_it_is_said(
    office: Office, make_directory: Callable[..., Slapd], caplog: pytest.LogCaptureFixture
) -> None:
    server = make_directory([Two("cn=Zoë+sn=b,dc=example,dc=com", "x", cn="Zoë")])

    office.export(office.settings(server, Filter="(objectClass=person)"))

    assert [row[2] for row in office.read("Directory_entries")[1:]] == ["Zoë"]
    assert "cn has several values in 1 entries of Directory_entries" in caplog.text
    assert "Zoë" not in caplog.text


class Two(company.Member):
    """Somebody with two names."""

    @property
    def entry(self) -> company.Entry:
        return self.dn, {"objectClass": ["person"], "cn": ["Alias", "Zoë"], "sn": ["b"]}


def test_a_link_with_several_values_cannot_stand_in_the_entries(office: Office, directory: Slapd) -> None:
    office.configure(
        company.configuration(mappings=company.MAPPINGS.replace("Directory_members", "Directory_entries"))
    )

    with pytest.raises(ExportError, match=r"association Member reads it from Directory_entries") as caught:
        office.export(office.settings(directory))

    assert "ConnectionTable Directory_member," in str(caught.value)
    assert office.content() == {}


def test_what_the_directory_does_not_know_is_said(
    office: Office, directory: Slapd, caplog: pytest.LogCaptureFixture
) -> None:
    office.configure(company.configuration(mappings=company.MAPPINGS.replace('"mail"', '"mial"')))

    office.export(office.settings(directory))

    assert "no entry has a value of mial for Directory_entries" in caplog.text


def test_a_table_in_two_spellings_is_written_in_both(office: Office, directory: Slapd) -> None:
    mappings = company.MAPPINGS.replace("Directory_entries.csv", "Directory_Entries.csv")
    office.configure(company.configuration(mappings=mappings))

    office.export(office.settings(directory, Filter="(cn=group*)"))

    files = office.content()
    assert files["Directory_Entries.csv"] == files["Directory_entries.csv"]


def test_transformed(office: Office, directory: Slapd) -> None:
    office.configure(
        company.configuration(
            transformations="""
      <Transformation Type="WhereValue" Table="Directory_entries" Column="sn" WhereOperator="EndsWith" WhereValue="42" />
      <Transformation Type="ConcatColumns" Table="Directory_entries" Column="cn" InputColumn="sn" InputColumn2="mail"
                      ConcatSeparator=": " />"""
        )
    )

    office.export(office.settings(directory, Filter="(cn=Person 0*)"))

    header, *rows = office.read("Directory_entries")
    assert (len(rows), header[-2:]) == (10, ["sn", "cn"])
    assert all(row[-1] == f"{row[-2]}: {row[2]}" for row in rows)


def test_distinguished_names_in_lower_case(office: Office, directory: Slapd) -> None:
    office.export(office.settings(directory, Filter="(cn=Person 0500)", LowerCaseDN=True))

    (row,) = office.read("Directory_entries")[1:]
    assert row[1] == f"cn=person 0500,{company.PEOPLE}"
    assert row[2] == "Person 0500"
    assert row[8] == row[8].lower() != ""


# ------------------------------------------------------------------------------------------------------------ encrypted


@pytest.mark.parametrize("start_tls", [False, True])
def test_encrypted_with_a_trusted_certificate(
    office: Office, directory: Slapd, caplog: pytest.LogCaptureFixture, start_tls: bool
) -> None:
    how = {"StartTLS": True} if start_tls else {"Server": directory.ssl_url}
    settings = office.settings(directory, CACertificates=str(directory.folder / "ca.pem"), **how)

    assert office.export(settings).rows == 2023 + 2100
    assert "clear text" not in caplog.text


@pytest.mark.parametrize("start_tls", [False, True])
def test_a_certificate_that_nobody_knows(office: Office, directory: Slapd, start_tls: bool) -> None:
    how = (
        {"StartTLS": True}
        if start_tls
        else {"Server": "127.0.0.1", "Port": directory.ssl_port, "SSL": "true"}
    )

    with pytest.raises(ExportError, match=r"certificate is not trusted .*Set CACertificates"):
        office.export(office.settings(directory, **how))


def test_a_certificate_for_another_name(office: Office, directory: Slapd) -> None:
    settings = office.settings(
        directory,
        Server=f"ldaps://localhost:{directory.ssl_port}",
        CACertificates=str(directory.folder / "ca.pem"),
    )

    with pytest.raises(
        ExportError, match=r"certificate is not trusted .*the name that the certificate is for"
    ):
        office.export(settings)


def test_unchecked_if_one_insists(office: Office, directory: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    assert office.export(office.settings(directory, StartTLS=True, VerifyCertificate=False)).rows > 0
    assert "its certificate is not checked" in caplog.text


def test_ssl_where_there_is_none(office: Office, directory: Slapd) -> None:
    with pytest.raises((ExportError, ExportUnavailableError), match=r"127\.0\.0\.1"):
        office.export(office.settings(directory, EnableSSL=True, RequestTimeout=5))


def test_a_password_in_clear_text_is_warned_of(
    office: Office, directory: Slapd, caplog: pytest.LogCaptureFixture
) -> None:
    office.export(office.settings(directory))

    assert "the password goes to" in caplog.text
    assert PASSWORD not in caplog.text


# ------------------------------------------------------------------------------------------------- refused: nothing lost


@pytest.fixture
def exported(office: Office, directory: Slapd) -> dict[str, bytes]:
    """What a former export left."""
    office.export(office.settings(directory, Filter="(cn=group*)"))
    return office.content()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Password": "wrong"}, r"cannot log in: the server refuses the login or the password"),
        ({"Login": f"cn=nobody,{SUFFIX}"}, r"cannot log in: the server refuses the login or the password"),
        ({"Login": None, "Password": None}, r"there is no such base, or this account may not see it"),
        ({"BaseDN": f"ou=gone,{SUFFIX}"}, r"base 'ou=gone,dc=example,dc=com'.*there is no such base"),
        ({"BaseDN": "dc=elsewhere"}, r"server unwilling|no such base|on another server"),
        ({"BaseDN": "no dn"}, r"the base is no distinguished name"),
        ({"Filter": "(cn=a"}, r"filter \(cn=a: this is no LDAP filter"),
        ({"PageSize": 0}, r"the server's size limit was reached"),
        ({"PageSize": 0, "SizeLimit": 100}, r"the server's size limit was reached"),
    ],
)
def test_refused(
    office: Office,
    directory: Slapd,
    exported: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(TerminalError, match=message) as caught:
        office.export(office.settings(directory, **changes))

    assert f"server ldap://127.0.0.1:{directory.port}" in str(caught.value)
    assert PASSWORD not in str(caught.value) + caplog.text
    assert office.content() == exported


def test_pages_that_the_server_cuts_short(office: Office, make_directory: Callable[..., Slapd]) -> None:
    server = make_directory(company.company(300), total="100")

    with pytest.raises(ExportError, match="the server's size limit was reached, so entries would be missing"):
        office.export(office.settings(server, PageSize=40))
    assert office.content() == {}


def test_a_server_that_is_not_there(office: Office, exported: dict[str, bytes]) -> None:
    with pytest.raises(TransientError, match=r"ldap://127\.0\.0\.1:1: cannot connect"):
        office.export(office.settings())
    assert office.content() == exported


def test_a_server_that_dies_in_the_middle(
    office: Office,
    exported: dict[str, bytes],
    make_directory: Callable[..., Slapd],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = make_directory(company.company(300))
    add, seen = TableWriter.add, []

    def add_and_kill(self: TableWriter, *arguments: Any) -> None:
        seen.append(None)
        if len(seen) == 60:
            server.kill()
        add(self, *arguments)

    monkeypatch.setattr(TableWriter, "add", add_and_kill)

    with pytest.raises(ExportUnavailableError, match=r"the server went away before all was read"):
        office.export(office.settings(server, PageSize=50))

    assert len(seen) >= 60
    assert office.content() == exported


def test_a_part_that_is_on_another_server(
    office: Office, make_directory: Callable[..., Slapd], exported: dict[str, bytes]
) -> None:
    server = make_directory([*company.company(20), Reference("ou=far,dc=example,dc=com", "x")])

    with pytest.raises(ExportError, match=r"is on another server \(ldap://far\.example\.com/") as caught:
        office.export(office.settings(server))
    assert "IgnoreReferrals" in str(caught.value)
    assert office.content() == exported

    assert office.export(office.settings(server, IgnoreReferrals=True)).rows > 0
    with pytest.raises(
        ExportError, match=r"what is searched is on another server.*see ldap://far\.example\.com"
    ):
        office.export(office.settings(server, BaseDN="ou=far,dc=example,dc=com"))


class Reference(company.Member):
    """A part of the tree that another server has."""

    @property
    def entry(self) -> company.Entry:
        url = f"ldap://far.example.com/{self.dn}"
        return self.dn, {"objectClass": ["referral", "extensibleObject"], "ou": ["far"], "ref": [url]}


def test_without_the_library_the_extra_is_named(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    package = "airflow_provider_idm.synchronization.export.ldap"
    monkeypatch.delitem(sys.modules, f"{package}.client", raising=False)
    monkeypatch.delattr(sys.modules[package], "client", raising=False)
    monkeypatch.setitem(sys.modules, "ldap3", None)

    with pytest.raises(ExportError, match=r"install airflow-provider-idm\[ldap\]"):
        office.export(office.settings())


# ------------------------------------------------------------------------------------------------------------ to the end


def test_from_the_directory_to_the_repository(
    office: Office,
    directory: Slapd,
    people: list[company.Member],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    office.export(office.settings(directory))
    mappings = connector_mappings(check_configuration(office.conf), "Company")
    exchange = Exchange.open(tmp_path / "exchange")
    prepare(
        PrepareRequest(
            mappings=mappings,
            mode=SynchronizationMode.INITIAL,
            sources=office.output,
            exchange=exchange,
            work=tmp_path / "work",
        )
    )
    with Repository.open(f"sqlite:///{tmp_path / 'repository.db'}") as repository:
        request = SynchronizeRequest(
            mappings=mappings, exchange=exchange, repository=repository, work=tmp_path / "work"
        )
        assert synchronize(request).state == "completed"
        entries = repository.query_entity_type(mappings, "Entry").to_pylist()
        members = repository.query_association(mappings, "Member").to_pylist()

    keys = {person.dn: person.uuid.replace("-", "") for person in people}
    assert {(row["uuid"], row["cn"], row["mails"], row["unit"], row["boss"]) for row in entries} == {
        (
            keys[person.dn],
            person.cn or None,
            ";".join(person.mails) or None,
            keys.get(person.parent),
            keys.get(person.boss),
        )
        for person in people
    }
    assert {row["photo"] for row in entries} == {person.row[5] or None for person in people}
    assert {(row["created"], row["isParent"]) for row in entries} == {
        ("20240229113000", "0"),
        ("20240229113000", "1"),
    }
    assert {(row["key1"], row["key2"]) for row in members} == {
        (keys[group.dn], keys[dn]) for group in people for dn in group.members
    }
    assert not any(person.cn in caplog.text for person in people if person.cn in company.ODD_NAMES)
