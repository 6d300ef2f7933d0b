"""Settings and mappings of a directory's connection: what is understood, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_idm.configuration import check_configuration
from airflow_provider_idm.errors import ExportError
from airflow_provider_idm.synchronization.export import exporter_for, read_settings
from airflow_provider_idm.synchronization.export.ldap.active_directory import export_active_directory
from airflow_provider_idm.synchronization.export.ldap.exporter import export_ldap
from airflow_provider_idm.synchronization.export.ldap.ldap_settings import (
    Authentication,
    LdapSettings,
    Scope,
    read_ldap_settings,
)
from airflow_provider_idm.synchronization.export.ldap.tables import Table, tables_of
from airflow_provider_idm.synchronization.export.ldap.values import Kind, parent_dn, rdn_values, to_text
from tests.export.ldap import company

SERVER = {"Server": "dc.example.com", "BaseDN": "DC=example,DC=com"}
LOGIN = {"Login": "reader", "Password": "s3cret", "EnableSSL": True}


def read(folder: Path, **settings: Any) -> LdapSettings:
    return read_ldap_settings(read_settings("Directory", folder, settings))


@pytest.mark.parametrize(
    ("package", "exporter"),
    [
        ("Usercube.LDAP@0000001", export_ldap),
        ("Usercube.LDAP.Apache@0000001", export_ldap),
        ("Usercube.OpenLDAP@0000001", export_ldap),
        ("Usercube.AD@0000001", export_active_directory),
        ("Usercube.ADX@0000001", None),
    ],
)
def test_packages(package: str, exporter: object) -> None:
    assert exporter_for(package) is exporter


# ------------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"Server": "dc.example.com"}, "ldap://dc.example.com"),
        ({"Server": "dc.example.com", "EnableSSL": "true"}, "ldaps://dc.example.com"),
        ({"Server": "ldap://dc.example.com:1389/", "SSL": True}, "ldaps://dc.example.com:1389"),
        ({"Server": "LDAPS://dc.example.com"}, "ldaps://dc.example.com"),
        ({"Server": "2001:db8::7"}, "ldap://[2001:db8::7]"),
        ({"Host": "dc.example.com"}, "ldap://dc.example.com"),
    ],
)
def test_addresses(tmp_path: Path, settings: dict[str, Any], url: str) -> None:
    assert read(tmp_path, **settings).servers[0].address == url


def test_defaults(tmp_path: Path) -> None:
    settings = read(tmp_path, **SERVER)

    (server,) = settings.servers
    assert (server.authentication, server.verify, server.ssl, server.start_tls) == (
        Authentication.ANONYMOUS,
        True,
        False,
        False,
    )
    assert (settings.filter, settings.scope, settings.page_size) == ("(objectClass=*)", Scope.SUBTREE, 1000)
    assert not settings.ignore_referrals


def test_a_login_means_basic(tmp_path: Path) -> None:
    (server,) = read(tmp_path, **SERVER, **LOGIN).servers

    assert server.authentication is Authentication.BASIC
    assert "s3cret" not in repr(server)


def test_servers_take_from_the_connection_what_they_have_not(tmp_path: Path) -> None:
    servers = [{"Server": "a", "BaseDN": "DC=a"}, {"Server": "b", "BaseDN": "DC=b", "Login": "other"}]

    settings = read(tmp_path, **LOGIN, Servers=json.dumps(servers))

    assert [(s.address, s.base, s.login, s.ssl) for s in settings.servers] == [
        ("ldaps://a", "DC=a", "reader", True),
        ("ldaps://b", "DC=b", "other", True),
    ]


def test_the_airflow_connection_wins_over_the_file(tmp_path: Path) -> None:
    section = {
        "Server": "file.example.com",
        "BaseDN": "DC=file",
        "Servers": [{"BaseDN": "DC=own"}, {"Server": "own"}],
    }
    (tmp_path / "appsettings.agent.json").write_text(json.dumps({"Connections": {"Directory": section}}))

    settings = read(tmp_path, Host="airflow.example.com", Schema="DC=airflow")

    assert [(s.address, s.base) for s in settings.servers] == [
        ("ldap://airflow.example.com", "DC=own"),
        ("ldap://own", "DC=airflow"),
    ]


def test_settings_of_the_packages_of_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = read(
        tmp_path,
        Server="directory.example.com",
        DistinguishedName="DC=example,DC=com",
        Login="reader",
        Password="s3cret",
        SSL="true",
        Filter="objectclass=person",
        Scope="SubTree",
        TimeFormat=90,
        WaitingTimeInSeconds=30,
        AsAdLds=False,
        NoSigning=False,
        Controls=["PagedResult", "DomainScope"],
        RetryDelay=10,
    )

    assert settings.servers[0].base == "DC=example,DC=com"
    assert settings.servers[0].domain_scope
    assert (settings.filter, settings.request_timeout) == ("(objectclass=person)", 90)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Server": None}, "the setting Server is missing"),
        ({"AuthType": "Basic"}, "the setting Login is missing"),
        ({"Login": "reader"}, "the setting Password is missing"),
        ({"Login": "reader", "Password": ""}, "the setting Password is missing"),
        ({"Login": "reader", "Password": 4711}, "setting Password .*: expected a text"),
        ({"AuthType": "Kerberos"}, "expected Basic, Negotiate or Anonymous, found 'Kerberos'"),
        ({**LOGIN, "AuthType": "Negotiate"}, "takes no password; for Login and Password, set Basic"),
        ({"EnableSSL": True, "StartTLS": True}, "by EnableSSL or by StartTLS, not by both"),
        ({"Controls": ["Sorted"]}, "unknown control 'sorted'"),
        ({"Servers": {"Server": "a"}}, "expected a list of objects such as"),
        ({"Servers": "a"}, "a text that is no JSON"),
        ({"Scope": "Everything"}, "expected Base, OneLevel or Subtree, found 'Everything'"),
        ({"Tables": [{"BaseDN": "DC=a"}]}, "the setting Table is missing"),
        ({"PageSize": -1}, "expected a whole number"),
    ],
)
def test_wrong_settings(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    settings = {name: value for name, value in (SERVER | changes).items() if value is not None}

    with pytest.raises(ExportError, match=message) as caught:
        read(tmp_path, **settings)

    assert "4711" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_unknown_setting_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, Servers=[{"Server": "a", "BaseDM": "DC=a"}])

    assert "unknown setting BaseDM of number 1 of Servers in" in caplog.text
    assert "did you mean BaseDN?" in caplog.text


# ------------------------------------------------------------------------------------------------------------- mappings


def tables(folder: Path, mappings: str, transformations: str = "") -> dict[str, Table]:
    conf = folder / "Conf"
    conf.mkdir()
    xml = company.configuration(mappings=mappings, transformations=transformations)
    (conf / "company.xml").write_text(xml, encoding="utf-8")
    configuration = check_configuration(conf)
    return {t.dataset: t for t in tables_of(configuration, configuration.connections["Directory"])}


def test_what_the_mappings_ask_for(tmp_path: Path) -> None:
    found = tables(tmp_path, company.MAPPINGS)

    assert found["entries"].attributes == {
        "entryUUID",
        "cn",
        "mail",
        "objectClass",
        "jpegPhoto",
        "createTimestamp",
        "hasSubordinates",
        "manager",
    }
    assert found["entries"].links == set()
    assert (found["members"].attributes, found["members"].links) == ({"member"}, {"member"})
    assert found["entries"].columns["mail"].separator == ";"
    assert found["entries"].columns["objectClass"].separator == "\n"
    assert found["entries"].columns["manager"].is_dn


@pytest.mark.parametrize(
    ("columns", "links"),
    [
        (("dn", "Entry:dn", "member", "Entry:dn"), {"member"}),
        (("member", "Entry:dn", "dn", "Entry:dn"), {"member"}),
        (("entryUUID", "Entry:uuid", "uniqueMember", "Entry:dn"), {"uniqueMember"}),
        (("owner", "Entry:dn", "seeAlso", "Entry:dn"), {"seeAlso"}),
    ],
)
def test_which_column_is_the_link(tmp_path: Path, columns: tuple[str, ...], links: set[str]) -> None:
    first, key1, second, key2 = columns
    mappings = company.MAPPINGS.replace(
        'Column1="dn" EntityPropertyMapping1="Entry:dn" Column2="member" EntityPropertyMapping2="Entry:dn"',
        f'Column1="{first}" EntityPropertyMapping1="{key1}" Column2="{second}" EntityPropertyMapping2="{key2}"',
    )

    assert tables(tmp_path, mappings)["members"].links == links


def test_two_keys_are_no_link(tmp_path: Path) -> None:
    mappings = company.MAPPINGS.replace('Column2="member"', 'Column2="parentdn"')

    with pytest.raises(
        ExportError, match=r"association Member \(company\.xml:\d+\) reads two keys of the entry"
    ):
        tables(tmp_path, mappings)


def test_transformations_read_attributes_and_make_columns(tmp_path: Path) -> None:
    transformations = """
      <Transformation Type="ConcatColumns" Table="Directory_entries" Column="cn" InputColumn="givenName"
                      InputColumn2="sn" ConcatSeparator=" " />
      <Transformation Type="WhereValue" Table="Directory_entries" Column="employeeType" WhereValue="Internal" />
      <Transformation Type="ConcatColumns" Table="Directory_entries" Column="mail" InputColumn="mail"
                      InputColumn2="cn" />
      <Transformation Type="WhereValue" Table="Other_entries" Column="far" WhereValue="x" />
    """
    found = tables(tmp_path, company.MAPPINGS, transformations)["entries"].attributes

    assert {"givenName", "sn", "employeeType", "mail"} < found
    assert not {"cn", "far"} & found


def test_a_table_in_two_spellings_is_one(tmp_path: Path) -> None:
    mappings = company.MAPPINGS.replace("Directory_entries.csv", "Directory_Entries")

    assert sorted(tables(tmp_path, mappings)["entries"].names) == ["Directory_Entries", "Directory_entries"]


def test_a_connection_that_nothing_reads(tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"no mapping of connector Company reads a table of it.*Directory_entries"
    ):
        tables(tmp_path, company.MAPPINGS.replace("Directory_", "Other_"))


# --------------------------------------------------------------------------------------------------------------- values

GUID = bytes(range(16))


@pytest.mark.parametrize(
    ("raw", "kind", "attribute", "text"),
    [
        ("Zoë".encode(), Kind.TEXT, "cn", "Zoë"),
        (b"\xff\xfe", Kind.TEXT, "cn", "//4="),
        (b"text", Kind.TEXT, "jpegphoto", "dGV4dA=="),
        (b"text", Kind.BYTES, "description", "dGV4dA=="),
        (GUID, Kind.GUID, "objectguid", "AAECAwQFBgcICQoLDA0ODw=="),
        (
            b"6bddc2d9-7a63-5ba6-8c27-a948c933af99",
            Kind.GUID,
            "entryuuid",
            "6bddc2d9-7a63-5ba6-8c27-a948c933af99",
        ),
        (b"S-1-5-32-544", Kind.SID, "sambasid", "S-1-5-32-544"),
        (b"\x01\x01\0\0\0\0\0\x05\x20\0\0\0", Kind.SID, "objectsid", "AQEAAAAAAAUgAAAA"),
    ],
)
def test_values(raw: bytes, kind: Kind, attribute: str, text: str) -> None:
    assert to_text(raw, kind, attribute) == text


@pytest.mark.parametrize(
    ("dn", "parent"),
    [
        ("cn=a,dc=b", "dc=b"),
        (r"cn=a\,b, dc=c", "dc=c"),
        (r"cn=a\\,dc=c", "dc=c"),
        (r"cn=a\2C,dc=c,dc=d", "dc=c,dc=d"),
        ("dc=a", ""),
        ("", ""),
    ],
)
def test_the_name_above(dn: str, parent: str) -> None:
    assert parent_dn(dn) == parent


def test_the_values_in_a_name() -> None:
    dn = r"cn=a\2Bb+UID=c\C3\A9\,,dc=d"

    assert (rdn_values(dn, "cn"), rdn_values(dn, "uid"), rdn_values(dn, "dc")) == (["a+b"], ["cé,"], [])
