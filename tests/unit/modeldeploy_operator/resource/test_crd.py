"""
The CRD's schema, as the types make it.
"""

import runpy
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from modeldeploy_operator.resource import crd
from modeldeploy_operator.resource.parts import Part


class Inner(Part):
    """
    A part within a part.
    """

    flags: list[str] = Field(default_factory=list, description="Flags.")


class Outer(Part):
    """
    A part with everything that the schema's maker must turn into Kubernetes' own form.
    """

    inner: Inner = Field(description="The inner part, in its own words.")
    maybe: Inner | None = Field(None, description="Left out or an inner part.")
    labels: dict[str, Annotated[str, Field(max_length=5)]] = Field(
        default_factory=dict, description="Labels."
    )
    const_of_one: str = Field("x", json_schema_extra={"const": "x"})


def test_references_nulls_and_titles_are_resolved() -> None:
    """
    The schema names no definitions, allows no null, and keeps each field's own description.
    """
    assert crd.schema_of(Outer) == {
        "description": Outer.__doc__.strip() if Outer.__doc__ else "",
        "type": "object",
        "required": ["inner"],
        "properties": {
            "inner": {
                "type": "object",
                "description": "The inner part, in its own words.",
                "properties": {"flags": _flags()},
            },
            "maybe": {
                "type": "object",
                "description": "Left out or an inner part.",
                "properties": {"flags": _flags()},
            },
            "labels": {
                "type": "object",
                "description": "Labels.",
                "additionalProperties": {"type": "string", "maxLength": 5},
            },
            "constOfOne": {"type": "string", "default": "x", "enum": ["x"]},
        },
    }


def _flags() -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "description": "Flags."}


def test_the_text_says_that_it_is_generated() -> None:
    """
    The file begins with how it is made, and holds the definition as YAML.
    """
    assert crd.text().startswith("# Generated from the operator's types by `make generate`")
    assert yaml.safe_load(crd.text()) == crd.build_crd()


def test_a_fresh_object_is_never_taken_for_a_done_one() -> None:
    """
    The status has a default whose generation no object has, so that waiting tools wait.
    """
    schema = crd.build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_the_module_writes_the_files_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `python -m modeldeploy_operator.resource.crd FILE…` writes each file.
    """
    files = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    monkeypatch.setattr(sys, "argv", ["crd", *map(str, files)])
    runpy.run_path(crd.__file__, run_name="__main__")
    assert [file.read_text(encoding="utf-8") for file in files] == [crd.text()] * 2
