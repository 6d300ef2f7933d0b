"""Makes a configuration of many jobs: connectors with their metadata and mappings, and jobs of twelve tasks.

The jobs are of the kinds that are seen in the field: three connectors of one agent with levels and dependencies, exports
being tolerated (what scaffoldings stand for), four connectors side by side, a plain list without levels, and steps
that run tasks defined elsewhere. Everything has display names in two languages, most jobs have a cron expression. The
same arguments give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

TASKS = 12
AGENTS = ("Hamburg", "Lyon", "Québec")
PROPERTIES = ("Login", "Email", "FirstName", "LastName", "Department", "Title", "Phone", "Since", "IsActive")
PACKAGES = ("Usercube.CSV@0000001", "Usercube.Excel@0000001", "Usercube.SQL@0000001", "Usercube.AD@0000001")


def write_configuration(folder: Path, connectors: int, jobs: int) -> None:
    """Write one file per connector, one of agents, and one of jobs for every eight connectors.

    :param connectors: at least four.
    """
    folder.mkdir(parents=True)
    _write(folder / "Agents.xml", [_element("Agent", Identifier=agent, **_names(agent)) for agent in AGENTS])
    for number in range(connectors):
        _write(folder / "Connectors" / f"{_connector(number)}.xml", _connector_file(number))
    files = max(1, connectors // 8)
    for number in range(files):
        lines = [line for job in range(number, jobs, files) for line in _job(job, connectors)]
        _write(folder / "Jobs" / f"Jobs{number + 1}.xml", lines)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            '<ConfigurationFile xmlns="urn:schemas-example-com:configuration">',
            *(f"  {line}" for line in lines),
            "</ConfigurationFile>",
            "",
        ]
    )
    path.write_text(text, encoding="utf-8")


def _element(element: str, *children: str, **attributes: object) -> str:
    given = {name: value for name, value in attributes.items() if value is not None}
    shown = "".join(f" {name}={quoteattr(str(value))}" for name, value in given.items())
    if not children:
        return f"<{element}{shown} />"
    inner = "\n".join(f"  {line}" for child in children for line in child.splitlines())
    return f"<{element}{shown}>\n{inner}\n</{element}>"


def _names(english: str, french: str | None = None) -> dict[str, str]:
    return {"DisplayName_L1": english, "DisplayName_L2": french or f"{english} (français)"}


# ------------------------------------------------------------------------------------------------------- connectors


def _connector(number: int) -> str:
    return f"System{number + 1:02}"


def _connections(number: int) -> list[str]:
    """Every other connector has two connections."""
    return [f"{_connector(number)}-Accounts", f"{_connector(number)}-Groups"][: 1 + number % 2]


def _connector_file(number: int) -> list[str]:
    name = _connector(number)
    package = PACKAGES[number % len(PACKAGES)]
    agent = AGENTS[number % len(AGENTS)]
    lines = [
        _element(
            "Connector",
            Identifier=name,
            Agent=agent,
            MaximumDeletedLines=200,
            **_names(f"System {number + 1}", f"Système {number + 1}"),
        )
    ]
    lines += [
        _element("Connection", Identifier=c, Connector=name, Package=package, **_names(c))
        for c in _connections(number)
    ]
    for kind in ("Account", "Group"):
        lines += _entity_type(f"{name}_{kind}", name, f"{name}-{kind}s")
    members, groups = f"{name}_Account:Groups", f"{name}_Group:Members"
    lines += [
        _element(
            "EntityAssociation",
            Identifier=f"{name}_Members",
            Property1=members,
            Property2=groups,
            IsProperty1Collection="true",
            IsProperty2Collection="true",
            **_names("Members", "Membres"),
        ),
        _element(
            "EntityAssociationMapping",
            Identifier=f"{name}_Members",
            Connector=name,
            ConnectionTable=f"{name}-Members",
            Column1="account",
            Column2="group",
            EntityPropertyMapping1=f"{name}_Account:Login",
            EntityPropertyMapping2=f"{name}_Group:Login",
        ),
        _definition("ExportTask", f"{name}_Export", Connection=_connections(number)[0]),
        _definition("PrepareSynchronizationTask", f"{name}_Prepare", Connector=name, SynchronizationMode="1"),
        _definition("SynchronizeTask", f"{name}_Synchronize", Connector=name),
    ]
    return lines


def _entity_type(name: str, connector: str, table: str) -> list[str]:
    link = "Groups" if name.endswith("Account") else "Members"
    kinds = {"Since": "DateTime", "IsActive": "Bool"}
    properties = [
        _element("Property", Identifier=p, Type=kinds.get(p, "String"), TargetColumnIndex=4 + n, **_names(p))
        for n, p in enumerate(PROPERTIES)
    ]
    properties.append(_element("Property", Identifier=link, Type="ForeignKey", **_names(link)))
    mapped = [
        _element(
            "Property",
            Identifier=p,
            ConnectionColumn=p.lower(),
            Format={"Since": "Date", "IsActive": "Bool"}.get(p),
            IsPrimaryKey="true" if p == "Login" else None,
        )
        for p in PROPERTIES
    ]
    return [
        _element("EntityType", *properties, Identifier=name, **_names(name)),
        _element("EntityTypeMapping", *mapped, Identifier=name, Connector=connector, ConnectionTable=table),
    ]


def _definition(element: str, identifier: str, **attributes: object) -> str:
    return _element(element, Identifier=identifier, **_names(identifier.replace("_", " ")), **attributes)


# ------------------------------------------------------------------------------------------------------------- jobs


def _job(number: int, connectors: int) -> list[str]:
    name = f"Job{number + 1:03}"
    make = (_with_levels, _side_by_side, _with_levels, _one_by_one, _steps)[number % 5]
    steps = (0, 7, 14, 21, *range(connectors))
    chosen = list(dict.fromkeys((number + step) % connectors for step in steps))[:4]
    tasks = make(name, chosen)
    if len(tasks) != TASKS:
        raise ValueError(f"{name} has {len(tasks)} tasks")
    incremental = number % 2 == 1
    job = _element(
        "Job",
        *tasks,
        Identifier=name,
        CronTabExpression=f"{number % 60} {number % 24} * * *" if number % 10 else None,
        IsIncremental="true" if incremental else None,
        LogLevel=2,
        **_names(f"Nightly synchronization {number + 1}", f"Synchronisation nocturne {number + 1}"),
    )
    return job.splitlines()


def _parents(*names: str) -> list[str]:
    return [_element("TaskDependsOnTask", ParentTask=name) for name in names]


def _task(element: str, identifier: str, *children: str, **attributes: object) -> str:
    names = _names(f"{element.removesuffix('Task')} {identifier}", f"{element} : {identifier}")
    return _element(element, *children, Identifier=identifier, **names, **attributes)


def _with_levels(job: str, chosen: list[int]) -> list[str]:
    """Five exports at level 0, three prepares, three synchronizes, and the flag: as a scaffolding's job."""
    systems = sorted(chosen, key=lambda n: -(n % 2))[:3]
    exports: list[tuple[int, str]] = [(n, c) for n in systems for c in _connections(n)][:5]
    extra = [(systems[0], _connections(systems[0])[0])] * (5 - len(exports))
    tasks, made = [], {n: list[str]() for n in systems}
    for index, (number, connection) in enumerate([*exports, *extra]):
        identifier = f"{job}_Export_{connection}_{index}"
        made[number].append(identifier)
        common = {"Connector": _connector(number), "Connection": connection}
        tasks.append(_task("ExportTask", identifier, Level=0, ContinueOnError="true", **common))
    for number in systems:
        name = _connector(number)
        prepare, synchronize = f"{job}_Prepare_{name}", f"{job}_Synchronize_{name}"
        tasks += [
            _task(
                "PrepareSynchronizationTask",
                prepare,
                *_parents(*made[number]),
                Connector=name,
                SynchronizationMode="Complete",
                Level=1,
            ),
            _task("SynchronizeTask", synchronize, *_parents(prepare), Connector=name, Level=2),
        ]
    parents = _parents(*(f"{job}_Synchronize_{_connector(n)}" for n in systems))
    tasks.append(_task("SetRecentlyModifiedFlagTask", f"{job}_SetRecentlyModifiedFlag", *parents, Level=3))
    return tasks


def _of_one(job: str, number: int, level: tuple[int | None, ...] = (None, None, None)) -> list[str]:
    name = _connector(number)
    prefix = f"{job}_{name}"
    return [
        _task("ExportTask", f"{prefix}_Export", Connection=_connections(number)[0], Level=level[0]),
        _task(
            "PrepareSynchronizationTask",
            f"{prefix}_Prepare",
            Connector=name,
            SynchronizationMode="Incremental",
            Level=level[1],
        ),
        _task("SynchronizeTask", f"{prefix}_Synchronize", Connector=name, Level=level[2]),
    ]


def _side_by_side(job: str, chosen: list[int]) -> list[str]:
    return [task for n in chosen for task in _of_one(job, n, (0, 1, 2))]


def _one_by_one(job: str, chosen: list[int]) -> list[str]:
    return [task for n in chosen for task in _of_one(job, n)]


def _steps(_: str, chosen: list[int]) -> list[str]:
    """Steps that run what the connectors' files define."""
    names = [
        f"{_connector(number)}_{kind}" for kind in ("Export", "Prepare", "Synchronize") for number in chosen
    ]
    return [_element("Step", Identifier=name, Level=index // 4) for index, name in enumerate(names)]
