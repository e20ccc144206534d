"""
Every ModelDeployment that the documentation and the examples show is one that the operator takes.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeldeploy_operator.resource.spec import ModelDeploymentSpec

ROOT = Path(__file__).parent.parent.parent.parent
FENCE = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _documents(name: str) -> Iterator[Any]:
    text = (ROOT / name).read_text(encoding="utf-8")
    for block in FENCE.findall(text) if name.endswith(".md") else [text]:
        yield from yaml.safe_load_all(block)


def _shown() -> Iterator[tuple[str, dict[str, Any]]]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "examples/*.yaml"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        for document in _documents(name):
            if isinstance(document, dict) and document.get("kind") == "ModelDeployment":
                yield name, document


SHOWN = list(_shown())


def test_there_are_examples() -> None:
    """
    At least one example is shown and checked.
    """
    assert SHOWN


@pytest.mark.parametrize(("name", "document"), SHOWN, ids=[name for name, _ in SHOWN])
def test_an_example_is_accepted(name: str, document: dict[str, Any]) -> None:
    """
    An example that is shown has no unknown field and no wrong value, and makes a rollout.
    """
    assert document["apiVersion"] == "serving.modeldeploy.io/v1alpha1"
    spec = ModelDeploymentSpec.model_validate(document["spec"])
    assert spec.rollout.schedule().steps
