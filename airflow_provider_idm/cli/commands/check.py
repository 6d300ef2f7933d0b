"""``idm check``: everything that is wrong with a configuration."""

from __future__ import annotations

import typer

from airflow_provider_idm.cli import output
from airflow_provider_idm.cli.options import Conf, Json, Traceback


def check(conf: Conf, *, json: Json = False, traceback: Traceback = False) -> None:  # noqa: ARG001
    """Read the configuration and print every error and warning as file:line: message; exit 2 if there is an error."""
    from airflow_provider_idm.configuration import check_configuration
    from airflow_provider_idm.configuration.enums import Severity

    problems = check_configuration(conf).problems
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if json:
        places = {
            severity: [
                {"file": p.location.file, "line": p.location.line, "message": p.message}
                for p in problems
                if p.severity is severity
            ]
            for severity in Severity
        }
        output.as_json({"errors": places[Severity.ERROR], "warnings": places[Severity.WARNING]})
    else:
        for problem in problems:
            typer.echo(problem)
        output.message(
            f"{conf}: {_number(len(errors), 'error')}, {_number(len(problems) - len(errors), 'warning')}"
        )
    if errors:
        raise typer.Exit(2)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
