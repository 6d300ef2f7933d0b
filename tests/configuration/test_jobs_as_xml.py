"""What is written of jobs is read as the same jobs, those of scaffoldings included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import quoteattr

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_idm.configuration import Configuration, check_configuration
from airflow_provider_idm.configuration.model import Job, JobChild, Location, TaskElement
from airflow_provider_idm.configuration.problems import errors_of
from airflow_provider_idm.configuration.writing import job_xml, jobs_document, task_xml
from tests.configuration.scaffolds import COMPANY, read
from tests.configuration.texts import check, document, write

NOWHERE = Location("", 0)


def comparable(configuration: Configuration) -> tuple[list[Job], list[TaskElement]]:
    """Return jobs and definitions without their places and texts: these differ in what was written."""
    jobs = [
        replace(
            job,
            location=NOWHERE,
            xml="",
            scaffolding=None,
            children=tuple(_comparable(c) for c in job.children),
        )
        for job in configuration.jobs.values()
    ]
    tasks = [replace(task, location=NOWHERE, xml="") for task in configuration.tasks.values()]
    return jobs, tasks


def _comparable(child: JobChild) -> JobChild:
    if isinstance(child, TaskElement):
        return replace(child, location=NOWHERE, xml="")
    return replace(child, location=NOWHERE)


def test_a_job_is_written_a_line_for_each_child(tmp_path: Path) -> None:
    text = """\
<Job DisplayName_L2="Quotidien" DisplayName_L1="&lt;Daily&gt; &amp; &quot;more&quot;" Identifier="Daily" LogLevel="1"
     Agent="Local" CronTabExpression="0 30 3 * * 1-5" CronTimeZone="1" IsIncremental="1" UserStartDenied="TRUE">
  <!-- not kept -->
  <CreateDatabaseViewsTask Level="0" DisplayName_L1="a&#10;b"/>
  <Step Level="1" Identifier="Roles"/>
  <Step Level="2" Identifier="Roles"><TaskDependsOnTask ParentTask="Roles"/></Step>
  <ComputeRoleModelTaskOverride Identifier="Roles" Level="3" Dirty="1"><TaskDependsOnTask ParentTask="Roles"/>
  </ComputeRoleModelTaskOverride>
</Job>
<ComputeRoleModelTask Identifier="Roles">
  <TaskDependsOnTask ParentTask="CreateDatabaseViewsTask"/>
  <TaskEntityType EntityType="User"><Deeper xmlns:x="urn:x" x:a="1">text</Deeper></TaskEntityType>
</ComputeRoleModelTask>
"""
    configuration = check(tmp_path, a=COMPANY, j=text)
    assert configuration.problems == ()

    assert job_xml(configuration.jobs["Daily"]) == (
        '<Job Identifier="Daily" DisplayName_L1="&lt;Daily&gt; &amp; &quot;more&quot;" DisplayName_L2="Quotidien" '
        'Agent="Local" CronTabExpression="30 3 * * 1-5" CronTimeZone="ServerTime" IsIncremental="true" '
        'LogLevel="Debug" UserStartDenied="true">\n'
        '  <CreateDatabaseViewsTask Level="0" DisplayName_L1="a&#10;b"/>\n'
        '  <Step Identifier="Roles" Level="1"/>\n'
        '  <Step Identifier="Roles" Level="2">\n'
        '    <TaskDependsOnTask ParentTask="Roles"/>\n'
        "  </Step>\n"
        '  <ComputeRoleModelTaskOverride Identifier="Roles" Level="3" Dirty="1">\n'
        '    <TaskDependsOnTask ParentTask="Roles"/>\n'
        "  </ComputeRoleModelTaskOverride>\n"
        "</Job>"
    )
    assert task_xml(configuration.tasks["Roles"]) == (
        '<ComputeRoleModelTask Identifier="Roles">\n'
        '  <TaskDependsOnTask ParentTask="CreateDatabaseViewsTask"/>\n'
        '  <TaskEntityType EntityType="User"><Deeper xmlns:x="urn:x" x:a="1">text</Deeper></TaskEntityType>\n'
        "</ComputeRoleModelTask>"
    )


def test_what_only_an_operator_understands_is_written_without_the_files_namespace(tmp_path: Path) -> None:
    text = document('<FulfillTask Identifier="F"><TaskResourceType ResourceType="R"/></FulfillTask>')
    text = text.replace("<ConfigurationFile>", '<ConfigurationFile xmlns="urn:conf">')

    configuration = check(tmp_path, j=text.encode())

    expected = '<FulfillTask Identifier="F">\n  <TaskResourceType ResourceType="R"/>\n</FulfillTask>'
    assert task_xml(configuration.tasks["F"]) == expected


def test_one_job_is_written_with_the_tasks_that_it_names(tmp_path: Path) -> None:
    text = """\
<Job Identifier="J" DisplayName_L1="J">
  <Step Identifier="Plant_Synchronize_Complete_Export_Plant_Complete_Plant"/>
  <Step Identifier="CreateDatabaseViewsTask"/>
  <CreateDatabaseViewsTask Identifier="Own"/>
  <Step Identifier="Own"/>
</Job>
<Job Identifier="K" DisplayName_L1="K"><CreateDatabaseViewsTask DisplayName_L1="Views"/></Job>
<FulfillTask Identifier="Unused"/>
<CreateConnectorSynchroComplete Connector="Plant"/>
"""
    configuration = read(tmp_path, text)
    job = configuration.jobs["J"]

    written = write(tmp_path / "again", a=COMPANY, j=jobs_document(configuration, [job]).encode())

    again = check_configuration(written)
    assert again.problems == ()
    assert comparable(again)[0] == [one for one in comparable(configuration)[0] if one.identifier == "J"]
    assert list(again.tasks) == [
        "Plant_Synchronize_Complete_Export_Plant_Complete_Plant",
        "CreateDatabaseViewsTask",
    ]


# ------------------------------------------------------------------------------------- generated configurations

PACKAGES = ("CSV", "AD", "AzureAD", "ServiceNow", "SCIM", "SQL.Oracle", "Manual")
ODD = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cs", "Cc", "Cn"), include_characters="\t\n\r<>&\"'äß中"
    ),
    min_size=1,
    max_size=12,
)
NAMES = st.text("AbÄé1中_", min_size=1, max_size=4)
FLAGS = st.sampled_from(("true", "FALSE", "1", "0"))
CRONS = st.sampled_from(("0 3 * * *", "0 */15 3-5,7 1 jan-mar Mon-Sun", "0 0 0 1 1 *"))
ELEMENTS = (
    "CreateConnectorSynchroComplete",
    "CreateConnectorSynchroIncremental",
    "CreateAgentSynchroComplete",
    "CreateAgentSynchroIncremental",
    "CreateInitializationJob",
)


def element(name: str, attributes: dict[str, str], *children: str) -> str:
    """Return an element on one line."""
    # A carriage return or line feed of an attribute is read as a space unless it is written as a reference.
    special = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
    written = "".join(f" {key}={quoteattr(value, special)}" for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"


@st.composite
def display_names(draw: st.DrawFn, *, required: bool = False) -> dict[str, str]:
    """Return display names in some of the languages."""
    languages = draw(st.sets(st.integers(1, 16), max_size=3)) | ({1} if required else set())
    return {f"DisplayName_L{language}": draw(ODD) for language in sorted(languages)}


@st.composite
def systems(draw: st.DrawFn) -> tuple[list[str], list[str], list[str]]:
    """Return agents, connectors with their connections, and all of them as elements."""
    agents = [f"Agent{number}" for number in range(draw(st.integers(1, 2)))]
    connectors = [f"{draw(NAMES)}{number}" for number in range(draw(st.integers(1, 4)))]
    texts = [element("Agent", {"Identifier": agent, **draw(display_names())}) for agent in agents]
    for connector in connectors:
        use = {"IsDeactivated": draw(FLAGS), "CompleteJob": draw(st.sampled_from(("0", "NotUsed", "2", "3")))}
        use["Agent"] = draw(st.sampled_from((*agents, "")))
        texts.append(element("Connector", {"Identifier": connector, **use, **draw(display_names())}))
        for number in range(draw(st.integers(0, 3))):
            attributes = {
                "Identifier": f"C{connectors.index(connector)}-{number}",
                "Connector": connector.upper()
                if connector.upper().casefold() == connector.casefold()
                else connector,
                "Package": f"Usercube.{draw(st.sampled_from(PACKAGES))}@0000001",
                "DeactivationExportFulfill": draw(st.sampled_from(("0", "Export", "2"))),
            }
            texts.append(element("Connection", attributes | draw(display_names())))
    return agents, connectors, texts


@st.composite
def scaffoldings(draw: st.DrawFn, number: int, agents: list[str], connectors: list[str]) -> str:
    """Return a scaffolding with arguments."""
    name = draw(st.sampled_from(ELEMENTS))
    scope = {"Connector": draw(st.sampled_from(connectors))} if "Connector" in name else {}
    attributes = scope or {"Agent": draw(st.sampled_from(agents))}
    attributes["JobIdentifier"] = f"{draw(NAMES)}-{number}"
    arguments = [
        element("CronTabExpression", {"CronTab": draw(CRONS), "CronTimeZone": draw(st.sampled_from("01"))}),
        element("OpenIdIdentifier", {"Identifier": draw(NAMES)}),
        element("NotUsed", {"ConnectorIdentifier": draw(st.sampled_from(connectors))}),
        element("NoSynchronization", {}),
        element("NoProvisioning", {}),
        element("DoNotCreateJob", {}),
        element("AddTask", {"Task": "Free"}),
        element("AddTask", {"Task": "Free", "Before": "true"}),
        element(
            "AddTask", {"Task": "Free", "TaskToCompareWith": "Synchronize", "After": "1", "Occurence": "1"}
        ),
        element("AddTask", {"Task": "Free", "TaskToCompareWith": "ExportTask", "Before": "1"}),
        element("LinkDependTask", {"Task": "Synchronize", "DependOn": "Export"}),
        element("LinkDependTask", {"Task": "Free", "DependOn": "Export", "ChildOccurence": "2"}),
    ]
    chosen = draw(st.lists(st.sampled_from(arguments), max_size=5))
    return element(name, attributes | draw(display_names()), *chosen)


@st.composite
def jobs(draw: st.DrawFn, number: int) -> str:
    """Return a job that is written out, with tasks, steps and overrides, by levels or in reading order."""
    job = f"{draw(NAMES)} {number}"
    attributes = {"Identifier": job, **draw(display_names(required=True))}
    attributes |= {name: draw(FLAGS) for name in ("IsIncremental", "IsConnectorJob", "UserStartDenied")}
    attributes["LogLevel"] = draw(st.sampled_from(("0", "debug", "6", "5")))
    if draw(st.booleans()):
        attributes |= {"CronTabExpression": draw(CRONS), "CronTimeZone": draw(st.sampled_from(("UTC", "1")))}
    levelled = draw(st.booleans())
    children: list[str] = []
    written: list[str] = []
    for place in range(draw(st.integers(0, 6))):
        level = {"Level": str(place)} if levelled else {}
        parents = [
            element("TaskDependsOnTask", {"ParentTask": parent})
            for parent in draw(
                st.lists(st.sampled_from(written), max_size=2, unique=True) if written else st.just([])
            )
        ]
        match draw(st.sampled_from(("task", "unnamed", "step", "override"))):
            case "task":
                written.append(f"{job}/{place}")
                own = {"Identifier": written[-1], "ContinueOnError": draw(FLAGS), "Odd": draw(ODD)}
                foreign = element("TaskEntityType", {"EntityType": draw(ODD)}) if draw(st.booleans()) else ""
                children.append(
                    element("FulfillTask", own | level | draw(display_names()), *parents, foreign)
                )
            case "unnamed":
                children.append(element("DeployConfigurationTask", level | draw(display_names()), *parents))
            case "step":
                children.append(element("Step", {"Identifier": "Free"} | level, *parents))
            case _:
                changed = {"Identifier": "free", "Odd": draw(ODD)} | level
                children.append(element("InvokeSqlCommandTaskOverride", changed))
    return element("Job", attributes, *children)


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, str]:
    """Return connectors and what refers to them, and jobs and scaffoldings, as two files."""
    agents, connectors, texts = draw(systems())
    free = element(
        "InvokeSqlCommandTask", {"Identifier": "Free", "SQLCommand": draw(ODD), **draw(display_names())}
    )
    others = [draw(scaffoldings(number, agents, connectors)) for number in range(draw(st.integers(0, 3)))]
    others += [draw(jobs(number)) for number in range(draw(st.integers(0, 3)))]
    return "\n".join(texts), "\n".join(draw(st.permutations([free, *others])))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configurations())
def test_jobs_that_are_written_are_read_as_the_same_jobs(files: tuple[str, str]) -> None:
    systems_text, jobs_text = files
    with TemporaryDirectory() as folder:
        before = check(Path(folder, "before"), systems=systems_text, jobs=jobs_text)
        once_more = check_configuration(Path(folder, "before"))

        text = jobs_document(before)
        after = check_configuration(write(Path(folder, "after"), systems=systems_text, jobs=text.encode()))

    assert (before.jobs, before.tasks) == (once_more.jobs, once_more.tasks)
    assert comparable(after) == comparable(before)
    assert errors_of(before.problems) or not errors_of(after.problems)
    assert [jobs_document(after), after.scaffoldings] == [text, ()]
