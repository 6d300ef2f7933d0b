"""A value that an expression needs several times, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def let(value: str, name: str, body: Callable[[str], str]) -> str:
    """Return the expression ``body(name)``, where ``name`` stands for the value of an expression.

    Written out each time, values that are made of values grow by factors: the statement of a single column of moments
    took a sixth of a second to plan. DuckDB has no expression that names a value but the functions that go through
    lists: this is a list of one. It costs little, but is nothing for a common case.
    """
    return f"list_transform([{value}], lambda {name}: {body(name)})[1]"
