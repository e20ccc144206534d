"""
Configuration files.
"""

import pytest

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.sources import config_file
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific


def test_everything() -> None:
    """
    Names, paths, policies and labels are read; commas and colons may stand or not.
    """
    text = """
    model_config_list: {
      config { name: "a", base_path: "/m/a", model_platform: "tensorflow" },
      config {
        name: "b" base_path: "file:///m/b" model_platform: "tensorflow"
        model_version_policy { specific { versions: 1 versions: 7 } }
        version_labels { key: "stable" value: 7 }
      }
      config {
        name: "c" base_path: "/m/c" model_platform: "tensorflow"
        model_version_policy { latest { num_versions: 3 } }
      }
      config {
        name: "d" base_path: "/m/d" model_platform: "tensorflow"
        model_version_policy { all {} }
      }
    }
    """
    assert config_file.parse(text, "models.config") == [
        ServedModel("a", "/m/a", Latest(1)),
        ServedModel("b", "file:///m/b", Specific(frozenset({1, 7})), {"stable": 7}),
        ServedModel("c", "/m/c", Latest(3)),
        ServedModel("d", "/m/d", All()),
    ]


def test_empty() -> None:
    """
    An empty file is a configuration of no models.
    """
    assert config_file.parse("", "models.config") == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ('base_path: "/a" model_platform: "tensorflow"', "has no name"),
        (
            'name: "a" base_path: "a" model_platform: "tensorflow"',
            "Expected model a to have an absolute path or URI; got base_path()=a",
        ),
        ('name: "a" logging_config {}', 'no field named "logging_config"'),
    ],
)
def test_wrong(fields: str, sentence: str) -> None:
    """
    A wrong configuration is refused in a sentence.
    """
    with pytest.raises(InvalidArgumentError) as caught:
        config_file.parse(f"model_config_list {{ config {{ {fields} }} }}", "models.config")
    assert sentence in str(caught.value)
