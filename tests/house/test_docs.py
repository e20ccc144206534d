"""
The reference says what the code does: every field, gate, reason, code, metric, action and right.
"""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from house import reference, repository
from modeldeploy_operator.rollout import actions, gates
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.telemetry.metrics import Metrics
from modeldeploy_router.core.report import Report, metrics_text
from modeldeploy_runtime.fetching.errors import PERMANENT, Code
from modeldeploy_runtime.settings import pages
from modeldeploy_runtime.telemetry import catalogue
from modeldeploy_runtime.telemetry.metrics import Metrics as RuntimeMetrics

PAGES = Path("docs/reference")
OPERATOR = "operator/src/modeldeploy_operator"
MARKS = re.compile(r"(?<=--update-golden` -->\n).*?(?=<!-- end -->)", re.DOTALL)
CAMEL = re.compile(r"[A-Z][a-z]+(?:[A-Z][A-Za-z]*)*")
NO_REASONS = {
    "True", "False",
    "PodInitializing", "PodScheduled",
    "Reconciling",
}  # fmt: skip
"""CamelCase words in the code that are no reasons: values, and conditions."""


def _page(name: str) -> str:
    return (repository.ROOT / PAGES / name).read_text(encoding="utf-8")


def _update(name: str, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        (repository.ROOT / PAGES / name).write_text(text, encoding="utf-8")


def test_the_fields_are_those_of_the_crd(request: pytest.FixtureRequest) -> None:
    """
    spec.md lists every field with its type, its default and its meaning.
    """
    page = reference.fields_page()
    _update("spec.md", page, request)
    assert _page("spec.md") == page


def test_the_flags_are_those_of_the_program(request: pytest.FixtureRequest) -> None:
    """
    runtime-flags.md lists every flag of the server with its type, its default and its meaning.
    """
    page = pages.reference()
    _update("runtime-flags.md", page, request)
    assert _page("runtime-flags.md") == page


def test_the_diagram_is_that_of_the_table(request: pytest.FixtureRequest) -> None:
    """
    rollout.md draws the states as rollout/states.py knows them, and explains each.
    """
    page = MARKS.sub(f"{reference.diagram()}\n", _page("rollout.md"))
    _update("rollout.md", page, request)
    assert _page("rollout.md") == page
    for state in State:
        assert f"| `{state}` |" in page


def test_every_gate_has_a_heading() -> None:
    """
    gates.md explains the gates in the order in which they are asked, and what a person can do.
    """
    after = [name for name, _ in gates.AFTER_WEIGHT]
    before = [name for name, _ in gates.BEFORE_WEIGHT if name not in after]
    named = [*before, "AwaitingWeight", gates.ROOM, *after]
    sections = re.split(r"^## ", _page("gates.md"), flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections] == named
    for section in sections:
        assert "**Waits for**" in section
        assert "**What you can do:**" in section


def test_every_reason_is_documented() -> None:
    """
    Whatever the code may give as a reason is a heading of gates.md or stands in a table.
    """
    sources = [
        name
        for name in repository.modules()
        if name.startswith(f"{OPERATOR}/rollout/")
        or name.endswith(
            (
                "resource/report.py",
                "evidence/pods.py",
                "operator/reconcile.py",
                "telemetry/status.py",
            )
        )
    ]
    words = {
        node.value
        for name in sources
        for node in ast.walk(ast.parse(repository.text(name)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if CAMEL.fullmatch(node.value)
    }
    pages = "".join(_page(name) for name in ("gates.md", "status.md", "errors.md", "rollout.md"))
    known = set(re.findall(r"`(\w+)`", pages)) | set(re.findall(r"^#+ (\w+)$", pages, re.MULTILINE))
    assert words - known <= NO_REASONS


def test_every_condition_has_a_heading() -> None:
    """
    status.md explains each type of condition that is ever reported.
    """
    report = repository.text(f"{OPERATOR}/resource/report.py")
    kinds = set(re.findall(r'\.add\("(\w+)"', report))
    headings = set(re.findall(r"^### (\w+)$", _page("status.md"), re.MULTILINE))
    assert kinds == headings


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.FETCHED])
def test_every_code_of_a_fetch_is_documented(code: Code) -> None:
    """
    errors.md lists each code, whether it is permanent, and what to do.
    """
    permanence = "yes" if code in PERMANENT else "no"
    assert f"| `{code.value}` | {permanence} |" in _page("errors.md")


def _metrics() -> dict[str, set[str]]:
    operator = CollectorRegistry()
    Metrics(operator)
    router_text = metrics_text(Report(None, {}, {}, {}, ""))
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in operator.collect()
    }
    return {
        "Operator": families,
        "Router": set(re.findall(r"^# TYPE (\S+)", router_text, re.MULTILINE)),
    }


@pytest.mark.requirement("row-16")
@pytest.mark.parametrize(("program", "exposed"), _metrics().items())
def test_every_metric_is_documented(program: str, exposed: set[str]) -> None:
    """
    metrics.md lists the metrics of the operator and of a router, and no others.
    """
    section = _page("metrics.md").split(f"## {program}")[1].split("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    own = {name for name in exposed if name.startswith("modeldeploy_")}
    assert documented == own


@pytest.mark.requirement("row-16")
def test_every_metric_of_the_runtime_is_documented(request: pytest.FixtureRequest) -> None:
    """
    runtime-observability.md lists the metrics that the runtime exposes, and no others.
    """
    text = RuntimeMetrics(list).expose().decode()
    exposed = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert {metric.name for metric in catalogue.ALL} == {
        name for name in exposed if not name.startswith(("process_", "python_"))
    }
    page = MARKS.sub(f"{reference.runtime_metrics()}\n", _page("runtime-observability.md"))
    _update("runtime-observability.md", page, request)
    assert _page("runtime-observability.md") == page


def test_every_action_is_documented() -> None:
    """
    rollout.md explains each action.
    """
    section = _page("rollout.md").split("## Actions")[1]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == set(actions._VERBS)


def test_pages_hold_one_sentence_a_line() -> None:
    """
    A line of prose ends with its sentence, so that a change shows as what it is.
    """
    wrong = []
    for path in sorted((repository.ROOT / PAGES).glob("*.md")):
        prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        wrong += [
            f"{path.name}: {line}"
            for line in prose.splitlines()
            if re.match(r"[A-Z`]", line) and re.search(r"[a-z`)]\. [A-Z]", line)
        ]
    assert not wrong
