"""
Configuration files.
"""

import pytest

from modeldeploy_runtime.servables.errors import InvalidArgumentError, PreconditionError
from modeldeploy_runtime.sources import config_file
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.request_logging import RequestLogging
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific

MODEL = 'name: "a" base_path: "/a" model_platform: "tensorflow"'


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
    An empty file says nothing; an empty list says that there are no models.
    """
    assert config_file.parse("", "models.config") == []
    assert config_file.is_empty(config_file.message("# Nothing.", ""))
    assert not config_file.is_empty(config_file.message("model_config_list {}", ""))


def test_logging() -> None:
    """
    The configuration of the request log is handed on, and checked with the rest.
    """
    text = f"""model_config_list {{ config {{ {MODEL} logging_config {{
        log_collector_config {{ type: "tfrecord" filename_prefix: "/logs/a" }}
        sampling_config {{ sampling_rate: 0.5 }}
    }} }} }}"""
    [model] = config_file.parse(text, "models.config")
    assert model.logging == RequestLogging("/logs/a", 0.5)
    with pytest.raises(InvalidArgumentError, match="sampling_rate must be between 0 and 1"):
        config_file.parse(text.replace("0.5", "5"), "models.config")


def test_the_deprecated_type() -> None:
    """
    ``model_type`` still names the platform.
    """
    text = 'model_config_list { config { name: "a" base_path: "/a" model_type: TENSORFLOW } }'
    assert config_file.parse(text, "models.config") == [ServedModel("a", "/a")]


def test_custom() -> None:
    """
    Only a list of models can be served.
    """
    with pytest.raises(PreconditionError) as caught:
        config_file.parse('custom_model_config { type_url: "a" }', "models.config")
    assert "Cannot transition to requested config." in str(caught.value)


def test_all_faults_are_listed() -> None:
    """
    A configuration is read to its end, whatever is wrong with it.
    """
    text = f"""model_config_list {{
        config {{ name: "b" }} config {{ {MODEL} }} config {{ {MODEL} }} config {{}}
    }}"""
    listed, faults = config_file.read(config_file.message(text, ""))
    assert ([model.name for model in listed], len(faults)) == (["a"], 3)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ('base_path: "/a" model_platform: "tensorflow"', "has no name"),
        (
            'name: "a" base_path: "a" model_platform: "tensorflow"',
            "Expected model a to have an absolute path or URI; got base_path()=a",
        ),
        (
            'name: "a" base_path: "/a"',
            (
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                "ModelServerConfig::model_platform, model name is a"
            ),
        ),
        (
            'name: "a" base_path: "/a" model_type: TENSORFLOW model_platform: "tensorflow"',
            (
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                "ModelServerConfig::model_platform, model name is a"
            ),
        ),
        (
            'name: "a" base_path: "/a" model_type: OTHER',
            "Model a requests unsupported platform other",
        ),
        (
            'name: "a" base_path: "/a" model_platform: "tf"',
            "Model a requests unsupported platform tf",
        ),
        (f'{MODEL} version_labels {{ key: "" value: 1 }}', "Model a has a label without a name."),
        (
            (
                f'{MODEL} version_labels {{ key: "1" value: 2 }} '
                "model_version_policy { specific { versions: 1 } }"
            ),
            'Model a has the label "1", which is one of its versions.',
        ),
        (f"{MODEL} }} config {{ {MODEL}", "Illegal to list model a multiple times in config list"),
        (
            f"{MODEL}\n  nonsense: 1",
            (
                "Error parsing text-format tensorflow.serving.ModelServerConfig: line 2, column 3: "
                'Message type "tensorflow.serving.ModelConfig" has no field named "nonsense"'
            ),
        ),
    ],
)
def test_wrong(fields: str, sentence: str) -> None:
    """
    A wrong configuration is refused in a sentence.
    """
    with pytest.raises(InvalidArgumentError) as caught:
        config_file.parse(f"model_config_list {{ config {{ {fields} }} }}", "models.config")
    assert sentence in str(caught.value)


def test_writing() -> None:
    """
    What is written from models is read as the same models.
    """
    models = [
        ServedModel("a", "/a", Latest(2), {"stable": 1}, logging=RequestLogging("/log", 0.5)),
        ServedModel("b", "/b", All()),
        ServedModel("c", "/c", Specific(frozenset({1, 7}))),
    ]
    assert config_file.models(config_file.to_message(models)) == models
    assert not config_file.is_empty(config_file.to_message([]))
