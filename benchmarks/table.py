"""Results as a table: for a terminal, and for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import MEMORY
from benchmarks.job import OURS, PLAN, STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.goals import Line

HEAD = (
    "step", "who", "seconds", "min–max", "ratio", "min–max", "goal", "met", "process s", "CPU s", "server CPU s",
    "peak MiB", "server MiB",
)  # fmt: skip
TITLES = {"files": "Prepare", "postgresql": "PostgreSQL", "sqlite": "SQLite"}
LEFT = 2
"""Columns that hold text."""


def tables(lines: Sequence[Line], *, markdown: bool = False) -> str:
    """Return one table per section."""
    parts = []
    for section in dict.fromkeys(line.section for line in lines):
        rows = [cells(line) for line in lines if line.section == section]
        title = TITLES.get(section, section)
        parts.append(f"### {title}\n\n{as_markdown(rows)}" if markdown else f"{title}\n{as_text(rows)}")
    return "\n\n".join(parts)


def memory(lines: Sequence[Line]) -> str:
    """Say how much memory our process took at most, and whether that is within the goal."""
    most = max((line for line in lines if line.contender == OURS), key=lambda line: line.peak_bytes)
    met = "yes" if most.peak_bytes <= MEMORY else "no"
    return (
        f"Memory of our process: at most {most.peak_bytes / 2**20:,.0f} MiB ({STEPS[most.step]}); "
        f"goal ≤ {MEMORY / 2**20:,.0f}: {met}"
    )


def cells(line: Line) -> tuple[str, ...]:
    seconds = line.seconds
    met = {None: "", True: "yes", False: "no"}[line.met]
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    if ratio and line.contender == OURS and line.step == PLAN:
        ratio += " of the Complete"
    too_big = line.contender == OURS and line.peak_bytes > MEMORY
    return (
        STEPS.get(line.step, line.step),
        line.contender,
        f"{line.median:.2f}",
        f"{min(seconds):.2f}–{max(seconds):.2f}",
        ratio,
        "" if line.ratios is None else f"{line.ratios[0]:.2f}–{line.ratios[1]:.2f}",
        "" if line.goal is None else f"≤ {line.goal:g}",
        met,
        f"{line.process_seconds:.2f}",
        f"{line.cpu_seconds:.2f}",
        f"{line.server_cpu_seconds:.2f}" if line.server_cpu_seconds else "",
        f"{line.peak_bytes / 2**20:,.0f}" + (" (above the goal)" if too_big else ""),
        f"{line.server_bytes / 2**20:,.0f}" if line.server_bytes else "",
    )


def as_text(rows: Sequence[Sequence[str]], head: Sequence[str] = HEAD) -> str:
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n < LEFT else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    )


def as_markdown(rows: Sequence[Sequence[str]], head: Sequence[str] = HEAD) -> str:
    rule = ["---" if n < LEFT else "---:" for n in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])
