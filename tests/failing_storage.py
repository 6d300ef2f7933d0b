"""A storage that goes away when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem


class FailingFileSystem(MemoryFileSystem):
    """A storage of which one call fails."""

    protocol = "failing"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.fails_at: int | None = None
        self.error: Exception = TimeoutError("no answer")
        self.calls = 0

    def count(self) -> None:
        self.calls += 1
        if self.fails_at is not None and self.calls > self.fails_at:
            raise self.error


def _failing(name: str) -> Callable[..., Any]:
    def call(self: FailingFileSystem, *arguments: Any, **options: Any) -> Any:
        self.count()
        return getattr(MemoryFileSystem, name)(self, *arguments, **options)

    return call


for _name in ("ls", "exists", "info", "cat_file", "_open", "pipe_file", "put_file"):
    setattr(FailingFileSystem, _name, _failing(_name))
