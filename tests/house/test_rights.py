"""
The chart's rights are those that the code uses, and each is explained.
"""

import re
from typing import Any

import yaml

from house import repository
from modeldeploy_operator.cluster.apply import RESOURCES as EVERYWHERE
from modeldeploy_operator.cluster.apply import ROUTES
from modeldeploy_operator.manifests.entrance import router
from testkit.objects import OWNER

RESOURCES = (*EVERYWHERE, *ROUTES)
HELPERS = repository.text("charts/modeldeploy/templates/_helpers.tpl")
MADE = {"get", "list", "watch", "create", "patch", "delete"}


def _rules() -> list[dict[str, Any]]:
    [block] = re.findall(r'define "modeldeploy\.rules" -\}\}\n(.*?)\{\{- end', HELPERS, re.DOTALL)
    rules: list[dict[str, Any]] = yaml.safe_load(block)
    return rules


def _rights() -> dict[tuple[str, str], set[str]]:
    """
    Spread the rules out: group and resource to verbs.
    """
    rights: dict[tuple[str, str], set[str]] = {}
    for rule in _rules():
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                rights.setdefault((group, resource), set()).update(rule["verbs"])
    return rights


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def test_what_the_operator_makes_it_may_make() -> None:
    """
    Every kind of the plan may be watched, applied and removed.
    """
    rights = _rights()
    for resource in RESOURCES:
        assert rights[(_group(resource.api_version), resource.plural)] >= MADE


def test_a_router_gets_no_right_that_the_operator_lacks() -> None:
    """
    Kubernetes lets nobody give rights that he has not.
    """
    rights = _rights()
    [role] = [m for m in router.build_access(OWNER) if m["kind"] == "Role"]
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert set(rule["verbs"]) <= rights[(group, resource)]


def test_no_right_is_left_over() -> None:
    """
    What the chart gives is what the plan, the watches, the report and the routers need.
    """
    made = {(_group(r.api_version), r.plural) for r in RESOURCES}
    group = "serving.modeldeploy.io"
    others = {
        (group, "modeldeployments"): {"get", "list", "watch"},
        (group, "modeldeployments/status"): {"update"},
        (group, "modeldeployments/finalizers"): {"update"},
        ("", "pods"): {"get", "list", "watch", "patch"},
        ("discovery.k8s.io", "endpointslices"): {"get", "list", "watch"},
        ("events.k8s.io", "events"): {"create"},
        ("", "secrets"): {"create"},
    }
    for right, verbs in _rights().items():
        assert verbs <= others.get(right, MADE), right
        assert right in made or right in others, right


def test_no_right_reaches_secrets() -> None:
    """
    The operator makes Secrets and reads none but its own key's, and no rule has a wildcard.
    """
    assert _rights()[("", "secrets")] == {"create"}
    told = [
        *(name for key in _rights() for name in key),
        *(v for vs in _rights().values() for v in vs),
    ]
    assert "*" not in told


def test_every_right_is_explained() -> None:
    """
    docs/reference/rights.md has a row for each rule, with the same words, and says why.
    """
    page = (repository.ROOT / "docs/reference/rights.md").read_text(encoding="utf-8")
    section = page.split("## What the operator may do")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|") and "---" not in line
    ][1:]
    explained = {
        (
            "" if group == "core" else group.strip("`"),
            tuple(re.findall(r"`([\w/]+)`", resources)),
            tuple(verbs.split(", ")),
        )
        for group, resources, verbs, why in rows
        if why.endswith(".")
    }
    wanted = {
        (rule["apiGroups"][0], tuple(rule["resources"]), tuple(rule["verbs"])) for rule in _rules()
    }
    assert explained == wanted
