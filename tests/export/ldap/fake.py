"""A server that speaks LDAP as an Active Directory does where others do not: DirSync, ranges, names by GUID.

It keeps what DirSync needs: for each object and attribute the number of its last change; and links by object and not by
name, so that a renamed object has its new name wherever it is referred to, and nobody is told of that.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

from ldap3.protocol.controls import build_control
from ldap3.protocol.microsoft import DirSyncControlRequestValue, DirSyncControlResponseValue
from ldap3.protocol.rfc2696 import RealSearchControlValue
from ldap3.protocol.rfc4511 import (
    BindResponse,
    Controls,
    LDAPMessage,
    PartialAttribute,
    PartialAttributeList,
    ProtocolOp,
    SearchResultDone,
    SearchResultEntry,
    Vals,
)
from pyasn1.codec.ber import decoder, encoder

ROOT = "DC=corp,DC=test"
PASSWORD = "s3cret"
DIRSYNC = "1.2.840.113556.1.4.841"
PAGED = "1.2.840.113556.1.4.319"
_BIND, _SEARCH = 0x60, 0x63
_AND, _OR, _NOT, _EQUAL, _PRESENT = 0xA0, 0xA1, 0xA2, 0xA3, 0x87
LINKS = ("member", "manager")


@dataclass
class Object:
    """An object; links are kept by GUID: target → (is there, number of the change)."""

    guid: bytes
    dn: str
    values: dict[str, list[bytes]]
    changed: dict[str, int] = field(default_factory=dict)
    links: dict[str, dict[bytes, tuple[bool, int]]] = field(default_factory=dict)
    deleted: bool = False


class FakeActiveDirectory:
    """A small Active Directory on a free port, to be used in a ``with``.

    :param most_values: values of an attribute that it gives at once.
    :param part: changed objects that it gives at once.
    """

    def __init__(self, *, most_values: int = 5, part: int = 3) -> None:
        self.most_values = most_values
        self.part = part
        self.objects: dict[bytes, Object] = {}
        self.may_replicate = True
        self.requests: list[dict[str, Any]] = []
        self._usn = 100
        self._lock = threading.Lock()
        fake = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                fake.serve(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"ldap://127.0.0.1:{self._server.server_address[1]}"
        self.add(ROOT, objectClass=["domain"])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # ----------------------------------------------------------------------------------------------- what it holds

    def add(self, dn: str, **values: Sequence[str]) -> Object:
        guid = uuid.uuid5(uuid.NAMESPACE_X500, f"{dn}{self._usn}").bytes_le
        made = Object(guid, dn, {})
        self.objects[guid] = made
        name = dn.partition(",")[0].partition("=")[2]
        for key, given in ({"name": [name], "objectClass": ["top"]} | values).items():
            if key in LINKS:
                for target in given:
                    self.link(dn, key, target)
            else:
                self._set(made, key, given)
        return made

    def modify(self, dn: str, key: str, *values: str) -> None:
        self._set(self.find(dn), key, values)

    def link(self, dn: str, key: str, target: str, *, there: bool = True) -> None:
        self._usn += 1
        self.find(dn).links.setdefault(key, {})[self.find(target).guid] = (there, self._usn)

    def unlink(self, dn: str, key: str, target: str) -> None:
        self.link(dn, key, target, there=False)

    def rename(self, dn: str, new: str) -> None:
        renamed = self.find(dn)
        for other in self.objects.values():
            if other.dn.endswith(f",{dn}"):
                other.dn = other.dn.removesuffix(dn) + new
        renamed.dn = new
        self._set(renamed, "name", [new.partition(",")[0].partition("=")[2]])

    def delete(self, dn: str) -> None:
        gone = self.find(dn)
        gone.deleted = True
        gone.dn = f"{dn.partition(',')[0]}\\0ADEL:{uuid.UUID(bytes_le=gone.guid)},CN=Deleted Objects,{ROOT}"
        gone.links.clear()
        for other in self.objects.values():
            for targets in other.links.values():
                targets.pop(gone.guid, None)
        self._set(gone, "isDeleted", ["TRUE"])

    def find(self, dn: str) -> Object:
        return next(o for o in self.objects.values() if o.dn.casefold() == dn.casefold())

    def _set(self, of: Object, key: str, values: Sequence[str]) -> None:
        self._usn += 1
        of.values[key] = [value.encode() for value in values]
        of.changed[key] = self._usn

    # ------------------------------------------------------------------------------------------------ how it talks

    def serve(self, connection: socket.socket) -> None:
        file = connection.makefile("rb")
        while message := _read_message(file):
            number, operation, *rest = _parts(_parts(message)[0].content)
            if operation.tag == _BIND:
                _, _, password = _parts(operation.content)
                connection.sendall(self._bound(number.number, password.content.decode() == PASSWORD))
            elif operation.tag == _SEARCH:
                controls = {}
                for control in _parts(rest[0].content) if rest else ():
                    oid, *given = _parts(control.content)
                    controls[oid.content.decode()] = given[-1].content if given else b""
                with self._lock:
                    answers = list(self._search(_parts(operation.content), controls))
                for answer, own in answers:
                    connection.sendall(_message(number.number, answer, own))
            else:
                return

    def _bound(self, number: int, welcome: bool) -> bytes:
        answer = BindResponse()
        answer["resultCode"] = 0 if welcome else 49
        answer["matchedDN"] = answer["diagnosticMessage"] = ""
        return _message(number, ("bindResponse", answer), None)

    def _search(
        self, request: list[Part], controls: dict[str, bytes]
    ) -> Iterator[tuple[tuple[str, Any], Any]]:
        base, scope, _, _, _, _, chosen, selection = request
        asked = [part.content.decode() for part in _parts(selection.content)]
        yield from self._answer(base.content.decode(), scope.number, chosen, asked, controls)

    def _answer(
        self, base: str, scope: int, chosen: Part, asked: list[str], controls: dict[str, bytes]
    ) -> Iterator[tuple[tuple[str, Any], Any]]:
        self.requests.append({"base": base, "asked": asked, "controls": controls})
        if base == "":
            yield _entry("", {"namingContexts": [ROOT.encode(), f"CN=Configuration,{ROOT}".encode()]}), None
            yield _done(0), None
            return
        if DIRSYNC in controls:
            assert (base, scope) == (ROOT, 2)
            yield from self._changes(chosen, asked, controls[DIRSYNC])
            return
        found = list(self._found(base, scope))
        if not found:
            yield _done(32), None
            return
        found = [o for o in found if self._matches(o, chosen)]
        size, start = len(found) or 1, 0
        if PAGED in controls:
            paged, _ = decoder.decode(controls[PAGED], asn1Spec=RealSearchControlValue())
            size, start = int(paged["size"]), int(bytes(paged["cookie"]) or b"0")
        for one in found[start : start + size]:
            yield _entry(one.dn, self._given(one, asked)), None
        left = start + size < len(found)
        value = RealSearchControlValue()
        value["size"], value["cookie"] = 0, str(start + size).encode() if left else b""
        yield _done(0), build_control(PAGED, False, value) if PAGED in controls else None

    def _found(self, base: str, scope: int) -> Iterator[Object]:
        if base.startswith("<GUID="):
            one = self.objects.get(bytes.fromhex(base[6:-1]))
            if one is not None and not one.deleted:
                yield one
            return
        root = base.casefold()
        if all(o.deleted or o.dn.casefold() != root for o in self.objects.values()):
            return
        for one in list(self.objects.values()):
            dn = one.dn.casefold()
            above = dn.partition(",")[2]
            if not one.deleted and (
                dn == root if scope == 0 else above == root if scope == 1 else f",{dn}".endswith(f",{root}")
            ):
                yield one

    def _given(self, one: Object, asked: list[str]) -> dict[str, list[bytes]]:
        given: dict[str, list[bytes]] = {}
        for name in asked:
            key, _, part = name.partition(";range=")
            values = self._values(one, key)
            if part or len(values) > self.most_values:
                start = int(part.partition("-")[0]) if part else 0
                end = start + self.most_values
                last = "*" if end >= len(values) else str(end - 1)
                given[f"{key};range={start}-{last}"] = values[start:end]
                given.setdefault(key, [])
            elif values:
                given[name] = values
        return given

    def _values(self, one: Object, key: str) -> list[bytes]:
        if key == "objectGUID":
            return [one.guid]
        if key in LINKS:
            return [
                self.objects[target].dn.encode()
                for target, (there, _) in one.links.get(key, {}).items()
                if there
            ]
        return one.values.get(key, [])

    def _matches(self, one: Object, chosen: Part) -> bool:
        if chosen.tag in {_AND, _OR}:
            some = [self._matches(one, part) for part in _parts(chosen.content)]
            return all(some) if chosen.tag == _AND else any(some)
        if chosen.tag == _NOT:
            return not self._matches(one, _parts(chosen.content)[0])
        if chosen.tag == _PRESENT:
            return bool(self._values(one, chosen.content.decode()))
        assert chosen.tag == _EQUAL
        key, value = (part.content.decode() for part in _parts(chosen.content))
        return value.casefold() in (v.decode().casefold() for v in self._values(one, key))

    def _changes(
        self, chosen: Part, asked: list[str], control: bytes
    ) -> Iterator[tuple[tuple[str, Any], Any]]:
        value, _ = decoder.decode(control, asn1Spec=DirSyncControlRequestValue())
        if not self.may_replicate:
            yield _done(50), None
            return
        assert int(value["Flags"]) == -(2**31)
        since = int(bytes(value["Cookie"]).removeprefix(b"usn=") or b"0")
        ordered = sorted((o for o in self.objects.values() if self._last(o) > since), key=self._last)
        part = ordered[: self.part]
        for one in part:
            given = self._changed(one, asked, since)
            if self._matches(one, chosen) and given:
                yield _entry(one.dn, given | {"objectGUID": [one.guid]}), None
        answer = DirSyncControlResponseValue()
        answer["MoreResults"] = int(len(ordered) > len(part))
        answer["unused"] = 0
        answer["CookieServer"] = f"usn={self._last(part[-1]) if part else max(since, self._usn)}".encode()
        yield _done(0), build_control(DIRSYNC, False, answer)

    @staticmethod
    def _last(one: Object) -> int:
        links = [usn for targets in one.links.values() for _, usn in targets.values()]
        return max([*one.changed.values(), *links])

    def _changed(self, one: Object, asked: list[str], since: int) -> dict[str, list[bytes]]:
        given = {
            key: values for key, values in one.values.items() if key in asked and one.changed[key] > since
        }
        for key in [key for key in LINKS if key in asked]:
            for there, ending in ((True, "1-1"), (False, "0-0")):
                targets = [
                    self.objects[target].dn.encode()
                    for target, (is_there, usn) in one.links.get(key, {}).items()
                    if is_there is there and usn > since
                ]
                if targets:
                    given[f"{key};range={ending}"] = targets
        return given


@dataclass
class Part:
    """A piece of BER: its tag and what it holds."""

    tag: int
    content: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.content, signed=True)


def _read_message(file: BinaryIO) -> bytes:
    """Read one whole message; nothing at the end."""
    head = file.read(2)
    if len(head) < 2:
        return b""
    more = file.read(head[1] & 127) if head[1] & 128 else b""
    return head + more + file.read(int.from_bytes(more) if more else head[1])


def _parts(data: bytes) -> list[Part]:
    found, at = [], 0
    while at < len(data):
        size, begin = data[at + 1], at + 2
        if size & 128:
            begin += size & 127
            size = int.from_bytes(data[at + 2 : begin])
        found.append(Part(data[at], data[begin : begin + size]))
        at = begin + size
    return found


def _entry(dn: str, values: dict[str, list[bytes]]) -> tuple[str, Any]:
    answer = SearchResultEntry()
    answer["object"] = dn
    attributes = PartialAttributeList()
    for number, (name, given) in enumerate(values.items()):
        attribute = PartialAttribute()
        attribute["type"] = name
        attribute["vals"] = Vals()
        for place, value in enumerate(given):
            attribute["vals"][place] = value
        if not given:
            attribute["vals"].clear()
        attributes[number] = attribute
    if not values:
        attributes.clear()
    answer["attributes"] = attributes
    return "searchResEntry", answer


def _done(code: int) -> tuple[str, Any]:
    answer = SearchResultDone()
    answer["resultCode"] = code
    answer["matchedDN"] = answer["diagnosticMessage"] = ""
    return "searchResDone", answer


def _message(number: int, answer: tuple[str, Any], control: Any) -> bytes:
    message = LDAPMessage()
    message["messageID"] = number
    message["protocolOp"] = ProtocolOp().setComponentByName(*answer)
    if control is not None:
        message["controls"] = Controls().setComponentByPosition(0, control)
    encoded: bytes = encoder.encode(message)
    return encoded
