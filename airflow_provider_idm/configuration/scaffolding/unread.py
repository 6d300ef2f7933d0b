"""The jobs of scaffoldings in a file that cannot be read as XML: named all the same, so that they don't vanish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from airflow_provider_idm.configuration.model import Location, Scaffolding
from airflow_provider_idm.configuration.scaffolding.kinds import KINDS, scaffolding_job_identifier

_START: Final = re.compile(rf"<(?:\w+:)?(?P<element>{'|'.join(KINDS)})\b(?P<attributes>[^<>]*)")
_ATTRIBUTE: Final = re.compile(r"(?P<name>\w+)\s*=\s*(?P<quote>[\"'])(?P<value>.*?)(?P=quote)", re.DOTALL)
_SOMEWHERE: Final = Location("", 1)


def unread_job_identifiers(text: str) -> Iterator[str]:
    """Return the identifiers of the jobs that a text's scaffoldings stand for, as far as they can be made out."""
    for match in _START.finditer(text):
        attributes = {a["name"]: unescape(a["value"]) for a in _ATTRIBUTE.finditer(match["attributes"])}
        scaffolding = Scaffolding(match["element"], _SOMEWHERE, {}, attributes, ())
        identifier = scaffolding_job_identifier(scaffolding)
        if identifier != match["element"] and not _wants_no_job(text, match):
            yield identifier


def _wants_no_job(text: str, match: re.Match[str]) -> bool:
    if match["attributes"].rstrip().endswith("/"):
        return False
    end = text.find(f"{match['element']}>", match.end())
    return "DoNotCreateJob" in text[match.end() : None if end < 0 else end]
