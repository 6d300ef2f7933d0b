"""A batch's files on their way: checked side by side while whoever wants them does other things."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_idm.synchronization.exchange.manifest import BatchFile


class FetchedFiles(Mapping[str, "Path"]):
    """The path of each file by its target; who asks for one waits until it is there and has been checked."""

    def __init__(self, futures: Mapping[str, Future[Path]]) -> None:
        self._futures = futures

    def __getitem__(self, target: str) -> Path:
        """Return a file's path.

        :raises ExchangeError: if it is missing or is not what was published.
        """
        return self._futures[target].result()

    def __iter__(self) -> Iterator[str]:
        """Go through the targets."""
        return iter(self._futures)

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self._futures)


@contextmanager
def fetch_ahead(
    files: Iterable[BatchFile], fetch: Callable[[BatchFile], Path], at_once: int
) -> Iterator[FetchedFiles]:
    """Begin to fetch files; those that nobody has waited for at the end are not begun any more.

    :param at_once: how many are fetched at the same time.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="fetch") as pool:
        try:
            yield FetchedFiles({file.target: pool.submit(fetch, file) for file in files})
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
