"""Encrypted connections to directory servers."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING

import ldap3

from airflow_provider_idm.errors import ExportError

if TYPE_CHECKING:
    from airflow_provider_idm.synchronization.export.ldap.ldap_settings import Server

logger = logging.getLogger(__name__)


class DirectoryTls(ldap3.Tls):
    """TLS with the checks of Python's own default: certificate, name and a protocol that is no longer weak.

    ``host`` is the name that the certificate has to be for, ``failure`` why no connection could be encrypted.

    :raises ExportError: if the trusted certificates cannot be read.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED if server.verify else ssl.CERT_NONE)
        self.host = ""
        self.failure: Exception | None = None
        try:
            self._context = ssl.create_default_context(cafile=server.ca)
        except (OSError, ssl.SSLError) as error:
            raise ExportError(
                f"server {server.address}: the file {server.ca} of CACertificates cannot be read as certificates in PEM "
                f"form: {error}"
            ) from error
        if not server.verify:
            logger.warning(
                "server %s: its certificate is not checked (VerifyCertificate is false)", server.address
            )
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        """Encrypt a connection, and remember why if it cannot be: the library does not tell."""
        try:
            connection.socket = self._context.wrap_socket(
                connection.socket, server_hostname=self.host, do_handshake_on_connect=do_handshake
            )
        except (OSError, ValueError) as error:
            self.failure = error
            raise
