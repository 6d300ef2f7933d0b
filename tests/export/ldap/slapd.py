"""A real OpenLDAP server on a free port, with its configuration and database in a folder."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SUFFIX = "dc=example,dc=com"
ADMIN = f"cn=admin,{SUFFIX}"
READER = f"cn=reader,{SUFFIX}"
"""An account without the administrator's freedom from limits."""
PASSWORD = "s3cret-Pa$$word"
MODULES = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap")
SCHEMAS = ("/etc/ldap/schema", "/etc/openldap/schema")

Entry = tuple[str, Mapping[str, Sequence[str | bytes]]]

CONFIGURATION = """
{includes}
pidfile {folder}/pid
{modules}
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
sizelimit size=500 size.prtotal={total}
{extra}
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw "{password}"
directory {folder}/data
maxsize 1073741824
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""


def executable() -> str | None:
    """Return where slapd is, None if it is not installed."""
    return shutil.which("slapd") or next(
        (path for path in ("/usr/sbin/slapd", "/usr/lib/openldap/slapd") if Path(path).is_file()), None
    )


class Slapd:
    """An OpenLDAP server.

    :param total: entries that a search may give in all its pages, ``unlimited`` or a number.
    """

    def __init__(self, folder: Path, entries: Iterable[Entry], *, total: str = "unlimited") -> None:
        self.folder = folder
        self.port, self.ssl_port = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        make_certificates(folder)
        self._write_configuration(total)
        ldif = folder / "entries.ldif"
        ldif.write_bytes(b"\n".join(map(_ldif, [*_base(), *entries])))
        self._run("-T", "add", "-q", "-f", self._configuration, "-l", str(ldif))

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ssl_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.ssl_port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        urls = f"{self.url} {self.ssl_url}"
        # -d keeps it in the foreground, a child of this process
        self._process = subprocess.Popen(
            [str(executable()), "-h", urls, "-f", self._configuration, "-d", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(200):
            if self._process.poll() is not None:
                raise RuntimeError(f"slapd ended: {self._process.communicate()[1].decode()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.ssl_port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("slapd does not answer")

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate(timeout=20)
            self._process = None

    @property
    def _configuration(self) -> str:
        return str(self.folder / "slapd.conf")

    def _write_configuration(self, total: str) -> None:
        schemas = next(Path(path) for path in SCHEMAS if Path(path).is_dir())
        modules = next((path for path in MODULES if Path(path, "back_mdb.so").exists()), None)
        text = CONFIGURATION.format(
            includes="\n".join(
                f"include {schemas / name}.schema" for name in ("core", "cosine", "inetorgperson")
            ),
            modules=f"modulepath {modules}\nmoduleload back_mdb" if modules else "",
            folder=self.folder,
            suffix=SUFFIX,
            admin=ADMIN,
            reader=READER,
            password=PASSWORD,
            total=total,
            extra="",
        )
        (self.folder / "slapd.conf").write_text(text)

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([str(executable()), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"slapd {arguments}: {done.stderr}")


def _base() -> list[Entry]:
    return [
        (SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": ["example"], "o": ["Example"]}),
        (
            READER,
            {
                "objectClass": ["organizationalRole", "simpleSecurityObject"],
                "cn": ["reader"],
                "userPassword": [PASSWORD],
            },
        ),
    ]


def _ldif(entry: Entry) -> bytes:
    dn, attributes = entry
    lines = [f"dn:: {base64.b64encode(dn.encode()).decode()}"]
    for name, values in attributes.items():
        for value in values:
            raw = value if isinstance(value, bytes) else value.encode()
            lines.append(f"{name}:: {base64.b64encode(raw).decode()}")
    return "\n".join([*lines, ""]).encode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_certificates(folder: Path) -> None:
    """Write ``ca.pem``, and ``server.pem`` with ``server.key`` for 127.0.0.1, signed by it."""
    now = dt.datetime.now(dt.UTC)
    authority = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])

    def builder(name: x509.Name, of: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
        )

    ca = builder(issuer, authority).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "directory")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = builder(name, key).add_extension(address, False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.sign(authority, hashes.SHA256()).public_bytes(pem))
    (folder / "server.pem").write_bytes(server.sign(authority, hashes.SHA256()).public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
