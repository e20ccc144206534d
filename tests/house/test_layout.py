"""
The layout holds: no package shadows the standard library, and what is generated is fresh.
"""

import re
from pathlib import PurePath

import pytest

from house import repository
from modeldeploy_operator.resource import crd

CRD = "crds/modeldeployments.serving.modeldeploy.io.yaml"
NAMED_PLACES = re.compile(
    r"(?<![\w.-])/(?:root|work)/"
    r"|pypi\.org|pythonhosted\.org|proxy\.golang\.org|sum\.golang\.org|registry\.npmjs"
    r"|deb\.debian\.org|archive\.ubuntu\.com"
)


def test_no_package_is_called_operator() -> None:
    """
    A package of that name hides the standard library's, and then nothing can be imported.
    """
    packages = {str(PurePath(n).parent) for n in repository.tracked() if n.endswith("__init__.py")}
    assert not [package for package in packages if PurePath(package).name == "operator"]


def test_tests_are_no_packages() -> None:
    """
    Test folders are no packages, so that file names may repeat; only the testkit is imported.
    """
    packages = {
        str(PurePath(n).parent)
        for n in repository.tracked()
        if n.startswith("tests/") and n.endswith("__init__.py")
    }
    assert packages <= {"tests/testkit"}


@pytest.mark.parametrize("name", [CRD, f"charts/modeldeploy/{CRD}"])
def test_the_definition_is_the_types(name: str) -> None:
    """
    The CRD and the chart's copy are what the types make; `make generate` writes them.
    """
    assert repository.text(name) == crd.text()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in repository.tracked()
        if name.startswith("requirements/") or name.endswith(("package-lock.json", "go.sum"))
    ],
)
def test_locks_hold_no_addresses(name: str) -> None:
    """
    A lock names versions and hashes; from where they come is the installer's own setting.
    """
    wrong = [
        line
        for line in repository.text(name).splitlines()
        if not line.lstrip().startswith("#")
        and re.search(r"\b[a-z+]+://[a-z]|--(?:extra-)?index-url|--find-links|--trusted-host", line)
    ]
    assert not wrong


@pytest.mark.parametrize(
    "name", [n for n in repository.tracked() if n.startswith("requirements/") and "lock" in n]
)
def test_every_locked_version_has_a_hash(name: str) -> None:
    """
    What is installed is what was locked, byte for byte.
    """
    blocks = re.split(r"\n(?=[a-z0-9])", repository.text(name))
    locked = [block for block in blocks if re.match(r"[a-z0-9][^\n]*==", block)]
    assert locked
    assert not [block.split(" ")[0] for block in locked if "--hash=sha256:" not in block]


def test_no_file_names_a_machine_or_a_registry() -> None:
    """
    What is committed works anywhere: it names no home folder and no package registry's host.
    """
    found = [
        f"{name}: {match.group()}"
        for name in repository.tracked()
        if name != "tests/house/test_layout.py"
        for match in NAMED_PLACES.finditer(repository.text(name))
    ]
    assert not found


def test_the_makefile_is_short_and_says_what_it_does() -> None:
    """
    At most 15 targets, each with a sentence that `make help` prints.
    """
    makefile = repository.text("Makefile")
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = phony.split()
    assert len(targets) <= 15
    for target in targets:
        assert re.search(rf"^{target}:.*## [A-Z].*\.$", makefile, re.MULTILINE), target
