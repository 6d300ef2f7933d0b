"""Which errors of a configuration concern whom, so that one broken file does not stop everything.

The rule is simple and errs on the safe side. An error inside a job, scaffolding or task definition concerns that one;
inside a second one of the same identifier, the one that is used.
Any other error concerns every connector that its file mentions: by the connector's name, or by that of a connection,
entity type or association of its. So a file that cannot be parsed at all still stops those for which it may have held
a mapping. An error whose file mentions no connector concerns everything.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_idm.configuration.definitions_jobs import JOB
from airflow_provider_idm.configuration.model import Job, Scaffolding, TaskElement
from airflow_provider_idm.configuration.names import same, suggestion
from airflow_provider_idm.configuration.problems import configuration_error, errors_of
from airflow_provider_idm.configuration.read import check_configuration
from airflow_provider_idm.configuration.resolve import connector_mappings
from airflow_provider_idm.configuration.spans import spans
from airflow_provider_idm.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_idm.configuration.mappings import ConnectorMappings
    from airflow_provider_idm.configuration.model import (
        Configuration,
        Connection,
        EntityAssociationMapping,
        EntityTypeMapping,
        Problem,
    )
    from airflow_provider_idm.configuration.spans import Span


@dataclass(frozen=True)
class Concerns:
    """The errors of a configuration, by whom they concern.

    :param configuration: as ``check_configuration`` returns it, errors included.
    """

    configuration: Configuration

    def of_connector(self, connector: str) -> tuple[Problem, ...]:
        """Return the errors that stop a connector from being synchronized."""
        found = {*self._of_everything, *self._of_connectors.get(connector.casefold(), ())}
        return tuple(self.errors[number] for number in sorted(found))

    def of_element(
        self, element: Job | Scaffolding, connectors: Iterable[str] = (), tasks: Iterable[TaskElement] = ()
    ) -> tuple[Problem, ...]:
        """Return the errors that stop a job or scaffolding from becoming a DAG.

        :param connectors: those that its tasks work on.
        :param tasks: the tasks that it runs, defined elsewhere or not.
        """
        if not self.errors:
            return ()
        places: tuple[Job | Scaffolding | TaskElement, ...] = (element, *tasks)
        found = set(self._of_everything)
        for place in places:
            found.update(self._inside(place))
        for connector in connectors:
            found.update(self._of_connectors.get(connector.casefold(), ()))
        return tuple(self.errors[number] for number in sorted(found))

    @cached_property
    def errors(self) -> tuple[Problem, ...]:
        """Every error."""
        return errors_of(self.configuration.problems)

    def _inside(self, element: Job | Scaffolding | TaskElement) -> Iterator[int]:
        """Return the errors that lie inside an element, by number."""
        for span, numbers in self._of_places.get((element.location.file, element.location.line), ()):
            if span.is_of(element):
                yield from numbers
        if not isinstance(element, Scaffolding):
            kind = JOB.name if isinstance(element, Job) else element.element
            yield from self._of_names.get((kind, element.identifier.casefold()), ())

    @cached_property
    def _spans(self) -> list[tuple[str, Span, list[int]]]:
        """The jobs, scaffoldings and tasks of the files that have errors, by file, with the errors inside them."""
        found = []
        for file, lines in self._lines.items():
            for span in spans(Path(self.configuration.folder), file):
                first, last = (bisect_left(lines, (line, -1)) for line in (span.first, span.last + 1))
                if first < last:
                    found.append((file, span, [number for _, number in lines[first:last]]))
        return found

    @cached_property
    def _of_places(self) -> dict[tuple[str, int], list[tuple[Span, list[int]]]]:
        """The errors inside elements, by the file and line where these begin: there may be several."""
        found: dict[tuple[str, int], list[tuple[Span, list[int]]]] = {}
        for file, span, numbers in self._spans:
            found.setdefault((file, span.first), []).append((span, numbers))
        return found

    @cached_property
    def _of_names(self) -> dict[tuple[str, str], list[int]]:
        """The errors inside jobs and task definitions, by element and identifier (in lower case)."""
        found: dict[tuple[str, str], list[int]] = {}
        for _, span, numbers in self._spans:
            if span.identifier and not span.in_job:
                found.setdefault((span.element, span.identifier), []).extend(numbers)
        return found

    @cached_property
    def _lines(self) -> dict[str, list[tuple[int, int]]]:
        """The line and number of each error, sorted, by file."""
        lines: dict[str, list[tuple[int, int]]] = {}
        for number, error in enumerate(self.errors):
            lines.setdefault(error.location.file, []).append((error.location.line, number))
        return {file: sorted(found) for file, found in lines.items()}

    @cached_property
    def _outside(self) -> list[int]:
        """The errors that lie in no job, scaffolding or task, by number."""
        inside = {number for _, _, numbers in self._spans for number in numbers}
        return [number for number in range(len(self.errors)) if number not in inside]

    @cached_property
    def _of_everything(self) -> list[int]:
        """The errors, by number, of files that mention no connector."""
        return [n for n in self._outside if not self._mentioned(self.errors[n].location.file)]

    @cached_property
    def _of_connectors(self) -> dict[str, list[int]]:
        """The other errors outside of jobs, by number, by each connector that their file mentions."""
        found: dict[str, list[int]] = {}
        for number in self._outside:
            for connector in self._mentioned(self.errors[number].location.file):
                found.setdefault(connector, []).append(number)
        return found

    def _mentioned(self, file: str) -> frozenset[str]:
        if file not in self._mentions:
            text = _text(Path(self.configuration.folder) / file)
            self._mentions[file] = frozenset(
                connector for connector, name in self._names.items() if name.search(text)
            )
        return self._mentions[file]

    @cached_property
    def _mentions(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _names(self) -> dict[str, re.Pattern[str]]:
        """What a file mentions if it concerns a connector, by connector (in lower case)."""
        owned = self._owned
        return {
            connector: _any_of(
                [connector, *(o.identifier for o in owned if same(o.connector or "", connector))]
            )
            for connector in self._connectors
        }

    @cached_property
    def _connectors(self) -> frozenset[str]:
        """Every connector that is known or named, in lower case: the file that defines it may be the broken one."""
        configuration = self.configuration
        children = [child for job in configuration.jobs.values() for child in job.children]
        tasks = [
            child for child in (*configuration.tasks.values(), *children) if isinstance(child, TaskElement)
        ]
        named = [task.get("Connector") for task in tasks]
        named += [
            attributes.get("Connector") for attributes in (s.attributes for s in configuration.scaffoldings)
        ]
        named += [element.connector for element in self._owned]
        return frozenset(name.casefold() for name in (*configuration.connectors, *named) if name)

    @cached_property
    def _owned(self) -> tuple[Connection | EntityTypeMapping | EntityAssociationMapping, ...]:
        configuration = self.configuration
        return (
            *configuration.connections.values(),
            *configuration.entity_type_mappings.values(),
            *configuration.entity_association_mappings.values(),
        )


def read_connector(folder: Path, connector: str) -> tuple[Configuration, ConnectorMappings]:
    """Read a configuration for one connector: what is wrong elsewhere does not matter.

    :raises ConfigurationError: if something that concerns the connector is wrong, or there is no such connector.
    """
    configuration = check_configuration(folder)
    require_connector(configuration, connector)
    return configuration, connector_mappings(configuration, connector)


def read_connectors(folder: Path, *, deactivated: bool) -> tuple[ConnectorMappings, ...]:
    """Read a configuration for all its connectors; what is wrong with its jobs does not matter.

    :param deactivated: whether those that are deactivated are wanted too.
    :raises ConfigurationError: with everything that concerns any of them.
    """
    configuration = check_configuration(folder)
    concerns = Concerns(configuration)
    wanted = [c.identifier for c in configuration.connectors.values() if deactivated or not c.is_deactivated]
    concerned = {e for name in wanted for e in concerns.of_connector(name)}
    problems = tuple(e for e in concerns.errors if e in concerned or not wanted)
    if problems:
        raise configuration_error(problems)
    return tuple(connector_mappings(configuration, name) for name in wanted)


def require_connector(configuration: Configuration, connector: str) -> None:
    """Check that a connector can be synchronized.

    :raises ConfigurationError: if something that concerns it is wrong, or there is no such connector.
    """
    concerns = Concerns(configuration)
    known = connector in configuration.connectors
    problems = concerns.of_connector(connector) if known else concerns.errors
    if problems:
        raise configuration_error(problems)
    if not known:
        raise ConfigurationError(
            f"the configuration in {configuration.folder} has no connector {connector}"
            f"{suggestion(connector, configuration.connectors)}"
        )


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    choices = "|".join(re.escape(name) for name in sorted(set(names)))
    return re.compile(rf"(?<![\w.-])(?:{choices})(?![\w.-])", re.IGNORECASE)


def _text(path: Path) -> str:
    """Return a file as text, good enough to look for names in it, whatever is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return data.replace(b"\0", b"").decode("utf-8", errors="replace")
