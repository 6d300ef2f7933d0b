"""What a directory server answers when it does not do as asked, in words and with what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.errors import ExportError, ExportUnavailableError, IdmError

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_SUCH_OBJECT: Final = 32
"""The result code for a base that is not there."""
_LONGEST: Final = 300
"""Characters of the server's own explanation that a message repeats."""
_TRANSIENT: Final = {
    3: "the server's time limit was reached. Try again when it is less busy, or raise TimeLimit or the server's limit",
    51: "the server is busy. Try again later",
    52: "the server is not available. Try again later",
    80: "the server failed. Try again later, and look at its log if it fails again",
}
_TERMINAL: Final = {
    1: "the server refused the operation; Active Directory answers so if nobody is logged in. Set AuthType, Login and "
    "Password",
    4: "the server's size limit was reached, so entries would be missing. Let it give this account pages (PageSize at "
    "most what it allows), or raise its limit for this account",
    8: "the server wants the connection to be encrypted or signed. Set EnableSSL or StartTLS",
    10: "what is searched is on another server. Set that one as Server",
    11: "the server's administrative limit was reached, so entries would be missing. Raise it for this account, or "
    "divide the search into several servers' or tables' BaseDN",
    12: "the server does not know a control that the search needs. Is it an Active Directory, as the package says?",
    13: "the server wants the connection to be encrypted. Set EnableSSL or StartTLS",
    NO_SUCH_OBJECT: "there is no such base, or this account may not see it. Look at BaseDN and at the account's rights",
    34: "the base is no distinguished name. Expected a BaseDN such as DC=example,DC=com",
    48: "the server does not let this account log in in this way. Look at AuthType and Login",
    49: "the server refuses the login or the password. Look at Login and Password",
    50: "this account may not search here. Give it the right to read below the base",
    53: "the server is unwilling to do this. Look at its explanation, and at its limits for pages",
}


class DirectoryRefusedError(ExportError):
    """A directory server refused what was asked of it.

    :param code: the result code of LDAP.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def refused(what: str, result: Mapping[str, Any]) -> IdmError:
    """Return the error of an operation's result.

    :param what: what was tried, where: begins the message.
    :param result: as the library gives it: ``result`` (code), ``description``, ``dn``, ``message``, ``referrals``.
    """
    code = result["result"]
    words = _TRANSIENT.get(code) or _TERMINAL.get(code) or "the server refused the operation"
    message = f"{what}: {words} (result {code} {result['description']}{_details(result)})"
    return ExportUnavailableError(message) if code in _TRANSIENT else DirectoryRefusedError(message, code)


def _details(result: Mapping[str, Any]) -> str:
    details = ""
    if explanation := str(result.get("message") or "").strip("\0\r\n "):
        details += f", {explanation[:_LONGEST]}"
    if referrals := result.get("referrals"):
        details += f", see {', '.join(map(str, referrals))[:_LONGEST]}"
    if result["result"] == NO_SUCH_OBJECT and result.get("dn"):
        details += f"; the nearest entry that there is: {result['dn']}"
    return details
