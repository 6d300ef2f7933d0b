"""Named parameters in SQL, ``:cookie``, as the driver at hand wants them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN: Final = re.compile(
    r"'(?:[^']|'')*'"  # what stands in texts, names and comments is no parameter
    r'|"(?:[^"]|"")*"'
    r"|--[^\n]*|/\*.*?\*/"
    r"|\$(?P<quote>\w*)\$.*?\$(?P=quote)\$"
    r"|::"
    r"|(?<![\w:]):(?P<name>[A-Za-z_]\w*)"
    r"|%",
    re.DOTALL,
)
_WORD: Final = re.compile(r"\w+")
_WRITING: Final = frozenset({"insert", "update", "delete", "merge", "into"})


def bind(statement: str, parameters: Mapping[str, object], paramstyle: str) -> tuple[str, Any]:
    """Return a statement and its parameters in a driver's style (PEP 249); None if it uses none of them.

    :param parameters: value by name; another name after a colon stays as it is.
    """
    used: list[str] = []
    doubles = paramstyle in {"format", "pyformat"}

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None or name not in parameters:
            return match[0].replace("%", "%%") if doubles else match[0]
        used.append(name)
        return {
            "qmark": "?",
            "format": "%s",
            "pyformat": f"%({name})s",
            "numeric": f":{len(used)}",
        }.get(paramstyle, f":{name}")

    bound = _TOKEN.sub(replace, statement)
    if not used:
        return statement, None
    if paramstyle in {"named", "pyformat"}:
        return bound, {name: parameters[name] for name in used}
    return bound, tuple(parameters[name] for name in used)


def uses(statement: str, name: str) -> bool:
    """Tell whether a statement has a parameter."""
    return any(match["name"] == name for match in _TOKEN.finditer(statement))


def says_something(statement: str) -> bool:
    """Tell whether a statement is more than comments."""
    bare = _TOKEN.sub(lambda match: "" if match[0].startswith(("--", "/*")) else match[0], statement)
    return bool(bare.strip("; \t\r\n"))


def only_reads(statement: str) -> bool:
    """Tell whether a statement is a single query, of which a database may keep the result and give it out in parts."""
    bare = _TOKEN.sub(lambda match: match[0] if match[0] == "%" else " ", statement).strip().rstrip("; \n\t")
    words = _WORD.findall(bare.casefold())
    first = words[0] if words else ""
    return first in {"select", "with", "values", "table"} and ";" not in bare and _WRITING.isdisjoint(words)
