"""A connection's settings: ``appsettings.agent.json`` beside the configuration, and what the caller gives."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_idm.configuration.names import suggestion
from airflow_provider_idm.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

APPSETTINGS = "appsettings.agent.json"
"""Looked for in the configuration folder, then in the folder that holds it."""

_SECRET: Final = re.compile("password|secret|token|connectionstring|key")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one connection; names ignore case and underscores.

    :param connection: its identifier, for messages.
    :param folder: the configuration folder, which relative paths start from.
    :param values: by normalised name: the name as written, the value, and where it stands.
    """

    connection: str
    folder: Path
    values: Mapping[str, tuple[str, Any, str]]

    def text(self, name: str) -> str | None:
        """Return a text, or None if it is not set or empty.

        :raises ExportError: if it is something else.
        """
        value = self.value(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self.error(name, f"expected a text, found {_shown(name, value)}")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean (``true``/``false``/``1``/``0``, also as text), false if it is not set.

        :raises ExportError: if it is something else.
        """
        value = self.value(name)
        text = json.dumps(value) if not isinstance(value, str) else value.strip().casefold()
        if text in {"null", "", "false", "0"}:
            return False
        if text in {"true", "1"}:
            return True
        raise self.error(name, f"expected true or false, found {_shown(name, value)}")

    def count(self, name: str) -> int:
        """Return a whole number that is not negative, 0 if it is not set.

        :raises ExportError: if it is something else.
        """
        value = self.value(name)
        if value is None or value == "":
            return 0
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise self.error(name, f"expected a whole number, 0 or more, found {_shown(name, value)}")
        return number

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; one text is a list of one, an empty text no text.

        :raises ExportError: if it is something else.
        """
        value = self.value(name)
        items = [value] if isinstance(value, str) else value or []
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(name, f"expected a list of texts, found {_shown(name, value)}")
        return tuple(item for item in items if item)

    def path(self, name: str) -> str | None:
        """Return a path, a relative one made absolute from the configuration folder; None if it is not set.

        Only the text is put together, so that the last part may be a pattern.
        """
        text = self.text(name)
        if text is None:
            return None
        return text if Path(text).is_absolute() else f"{self.folder.as_posix().rstrip('/')}/{text}"

    def scalar(self, name: str) -> str | int | float | None:
        """Return a text or a number, or None if it is not set or empty.

        :raises ExportError: if it is something else.
        """
        value = self.value(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        return self.text(name)

    def members(self, name: str) -> dict[str, str | Settings] | None:
        """Return an object whose members are texts or have settings of their own, by name; None if it is not set.

        :raises ExportError: if it is something else.
        """
        value = self.value(name)
        if value is None:
            return None
        members: dict[str, str | Settings] = {}
        for key, member in value.items() if isinstance(value, dict) else [("", None)]:
            if isinstance(member, dict):
                place = f"{self.place(name)}, {key}"
                inner = {_normal(n): (n, v, place) for n, v in member.items()}
                members[key] = Settings(self.connection, self.folder, inner)
            elif isinstance(member, str):
                members[key] = member
            else:
                raise self.error(
                    name, f"expected an object of texts and objects, found {_shown(name, value)}"
                )
        return members

    def is_set(self, *names: str) -> bool:
        """Tell whether one of some settings is there and not empty."""
        return any(self.value(name) not in (None, "", [], {}) for name in names)

    def warn_of_unknown(self, known: Iterable[str]) -> None:
        """Log a warning for each setting that nothing reads, with the nearest name that is.

        :param known: every setting that the exporter reads.
        """
        names = {_normal(name): name for name in known}
        for key, (written, _, source) in self.values.items():
            if key not in names:
                logger.warning(
                    "connection %s: the unknown setting %s of %s is ignored%s",
                    self.connection,
                    written,
                    source,
                    suggestion(written, names.values()),
                )

    def place(self, name: str) -> str:
        """Return the setting and where it stands, for messages."""
        written, _, source = self.values[_normal(name)]
        return f"setting {written} of {source}"

    def error(self, name: str, message: str) -> ExportError:
        """Return the error that a setting's value is not what it should be."""
        return ExportError(f"connection {self.connection}: {self.place(name)}: {message}")

    def missing(self, name: str) -> ExportError:
        """Return the error that a required setting is not there, with where to set it."""
        found = ", ".join(sorted(written for written, _, _ in self.values.values())) or "none"
        return ExportError(
            f"connection {self.connection}: the setting {name} is missing (found: {found}). Set it under "
            f'"Connections" / "{self.connection}" in {self.folder / APPSETTINGS}, or in the extra of the '
            f"Airflow connection {self.connection}"
        )

    def value(self, name: str) -> Any:
        """Return a setting as it is written in JSON; None if it is not set."""
        return self.values.get(_normal(name), (name, None, ""))[1]


def read_settings(
    connection: str, configuration_folder: str | Path, given: Mapping[str, Any] | None = None
) -> Settings:
    """Read a connection's settings.

    :param given: settings from elsewhere; each wins over the one of the same name in the file.
    :raises ExportError: if the file is there but cannot be read.
    """
    folder = Path(configuration_folder).absolute()
    values: dict[str, tuple[str, Any, str]] = {}
    file = next(
        (path / APPSETTINGS for path in (folder, folder.parent) if (path / APPSETTINGS).is_file()), None
    )
    if file is not None:
        for name, value in _section(file, connection).items():
            values[_normal(name)] = (name, value, str(file))
    for name, value in (given or {}).items():
        values[_normal(name)] = (name, value, f"the given settings (Airflow connection {connection})")
    return Settings(connection, folder, values)


def read_options(settings: Settings, name: str) -> list[Settings]:
    """Return a setting that is a list of objects, each as settings of its own; none if it is not set.

    :raises ExportError: if it is something else.
    """
    value = settings.value(name)
    if value is None or value == "":
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise settings.error(name, f"expected a list of objects, found {_shown(name, value)}")
    place = settings.place(name)
    return [
        Settings(
            settings.connection,
            settings.folder,
            {_normal(key): (key, given, f"{place}, element {number}") for key, given in item.items()},
        )
        for number, item in enumerate(value, 1)
    ]


def _section(file: Path, connection: str) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ExportError(f"{file}:{error.lineno}: not valid JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{file} cannot be read: {error}") from error
    section: Any = content
    for key in ("Connections", connection):
        if not isinstance(section, dict):
            raise ExportError(f"{file}: expected a JSON object around {key!r}")
        section = next((value for name, value in section.items() if name.casefold() == key.casefold()), {})
    if not isinstance(section, dict):
        raise ExportError(f'{file}: expected a JSON object in "Connections" / "{connection}"')
    return section


def _shown(name: str, value: Any) -> str:
    """Return what messages say of a value: never a secret, nor what an object or a list holds, which may be one."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and any(isinstance(item, str | dict | list) for item in value):
        return "a list"
    return "something else" if _SECRET.search(_normal(name)) else json.dumps(value)


def _normal(name: str) -> str:
    return name.replace("_", "").casefold()
