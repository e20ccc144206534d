"""
The server's flags: TensorFlow Serving's, all of them, and what contradicts what.
"""

import dataclasses
from typing import Any

import pytest

from modeldeploy_runtime import settings
from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.settings import Settings, pages

BASE = "--model_base_path=/m"
STOCK: dict[str, Any] = {
    "port": 8500,
    "grpc_socket_path": "",
    "rest_api_port": 8501,
    "rest_api_num_threads": 0,
    "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": False,
    "enable_batching": False,
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": False,
    "allow_version_labels_for_unavailable_models": False,
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "model_name": "default",
    "model_base_path": "",
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60000000,
    "file_system_poll_wait_seconds": 1,
    "flush_filesystem_caches": True,
    "tensorflow_session_parallelism": 0,
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "tensorflow_session_config_file": "",
    "use_alts_credentials": False,
    "ssl_config_file": "",
    "platform_config_file": "",
    "per_process_gpu_memory_fraction": 0.0,
    "saved_model_tags": "serve",
    "grpc_channel_arguments": "",
    "grpc_max_threads": 0,
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0,
    "version": False,
    "monitoring_config_file": "",
    "remove_unused_fields_from_bundle_metagraph": True,
    "prefer_tflite_model": False,
    "num_tflite_pools": 0,
    "num_tflite_interpreters_per_pool": 1,
    "enable_signature_method_name_check": False,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
    "enable_profiler": True,
    "thread_pool_factory_config_file": "",
    "mixed_precision": "",
    "skip_initialize_tpu": False,
    "enable_grpc_healthcheck_service": False,
    "enable_serialization_as_tensor_content": False,
}
FOREIGN = {
    "use_alts_credentials", "platform_config_file", "thread_pool_factory_config_file",
    "flush_filesystem_caches", "enable_profiler", "remove_unused_fields_from_bundle_metagraph",
    "per_process_gpu_memory_fraction",
    "xla_gpu_compilation_enabled", "skip_initialize_tpu", "prefer_tflite_model",
    "num_tflite_pools", "num_tflite_interpreters_per_pool",
}  # fmt: skip


def _sentences(*arguments: str) -> list[str]:
    return list(settings.notices(arguments))


def test_every_flag_of_tensorflow_serving_has_its_default() -> None:
    """
    Each is there with its default; 0 threads stand for a number that depends on the machine.

    Health is the exception: it is offered unless somebody says no.
    """
    declared = {field.name: field.default for field in dataclasses.fields(Settings)}
    declared["enable_grpc_healthcheck_service"] = not declared["enable_grpc_healthcheck_service"]
    assert {name: declared[name] for name in STOCK} == STOCK


@pytest.mark.parametrize("name", STOCK)
def test_every_flag_of_tensorflow_serving_is_read(name: str) -> None:
    """
    Each takes a value of its type, and says so at the start where it has no effect.
    """
    kind = type(STOCK[name])
    text = {bool: "true", int: "1", float: "0.5", str: "bfloat16"}[kind]
    given = [f"--{name}={text}"]
    if name == "enable_per_model_batching_parameters":
        given.append("--enable_batching")
    assert [line.split(" ")[0] for line in _sentences(*given)] == (
        [f"--{name}"] if name in FOREIGN else []
    )
    assert f"  --{name}" in pages.help_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Either --model_base_path or --model_config_file must be set."),
        (
            [BASE, "--port=0", "--rest_api_port=0"],
            "Either --port, --grpc_socket_path or --rest_api_port must be set.",
        ),
        ([BASE, "--port=8501"], "--port and --rest_api_port must differ."),
        ([BASE, "--ssl_port=9000"], "--ssl_port needs --ssl_config_file."),
        (
            [BASE, "--rest_api_ssl_port=9000", "--ssl_config_file=/c"],
            "--rest_api_ssl_port needs --rest_api_ssl_config_file.",
        ),
        (
            [BASE, "--batching_parameters_file=/b"],
            "--batching_parameters_file needs --enable_batching.",
        ),
        (
            [
                BASE,
                "--tensorflow_session_parallelism=1",
                "--tensorflow_intra_op_parallelism=1",
                "--tensorflow_inter_op_parallelism=1",
            ],
            (
                "--tensorflow_session_parallelism sets both --tensorflow_intra_op_parallelism and "
                "--tensorflow_inter_op_parallelism and must not be given with either."
            ),
        ),
        ([BASE, "--mixed_precision=half"], '--mixed_precision must be bfloat16, not "half".'),
        ([BASE, "--log_format=xml"], '--log_format must be plain or json, not "xml".'),
    ],
)
def test_contradictions(arguments: list[str], sentence: str) -> None:
    """
    What cannot stand together is an error in one sentence.
    """
    with pytest.raises(FlagError) as caught:
        settings.parse(arguments, {})
    assert str(caught.value) == sentence


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_what_does_not_serve_needs_no_model(arguments: list[str]) -> None:
    """
    Help and version need nothing else.
    """
    settings.parse(arguments, {})


def test_notices() -> None:
    """
    A flag without effect is named once, with the reason, and one with effect is not.
    """
    assert _sentences("--use_alts_credentials", "--use_alts_credentials=false", BASE) == [
        (
            "--use_alts_credentials has no effect here: ALTS exists inside Google's cloud only; "
            "use --ssl_config_file."
        )
    ]
    assert _sentences("--model_config_file=/c", BASE) == [
        "--model_base_path has no effect beside --model_config_file."
    ]
    assert _sentences("--enable_per_model_batching_parameters", BASE) == [
        "--enable_per_model_batching_parameters has no effect without --enable_batching."
    ]


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        ({"MODEL_NAME": "a"}, [], ("a", "/models/a")),
        ({"MODEL_NAME": "a", "MODEL_BASE_PATH": "/b"}, [], ("a", "/b/a")),
        ({"MODEL_BASE_PATH": "/b"}, [], ("model", "/b/model")),
        ({"MODEL_NAME": "a"}, ["--model_name=c"], ("c", "/models/a")),
        ({"MODEL_NAME": "a"}, ["--model_base_path=/c/d"], ("a", "/c/d")),
        ({"MODEL_NAME": "a"}, ["--model_name=c", "--model_base_path=/c"], ("c", "/c")),
        ({}, ["--model_base_path=/c"], ("default", "/c")),
    ],
)
def test_environment(
    environment: dict[str, str], arguments: list[str], expected: tuple[str, str]
) -> None:
    """
    The stock image's variables stand in for the flags that are not given.
    """
    parsed = settings.parse(arguments, environment)
    assert (parsed.model_name, parsed.model_base_path) == expected
