"""
``--validate-config``: all faults at once, and nothing started.
"""

from pathlib import Path

from testkit.model_servers import run_command


def test_all_faults(tmp_path: Path) -> None:
    """
    Every fault of the flags and of each file is listed, and the program ends with 1.
    """
    config, session = tmp_path / "models.config", tmp_path / "session.config"
    config.write_text(
        'model_config_list { config { name: "a" base_path: "a" model_platform: "tensorflow" } '
        'config { name: "b" base_path: "/b" model_platform: "b" } '
        'config { name: "c" base_path: "/nowhere/c" model_platform: "tensorflow" } }'
    )
    session.write_text("nonsense: 1")
    result = run_command(
        "--validate-config",
        "--part=1",
        "--rest_api_port=many",
        "--batching_parameters_file=/b",
        "--use_alts_credentials",
        f"--model_config_file={config}",
        f"--tensorflow_session_config_file={session}",
        f"--monitoring_config_file={tmp_path}/none",
        f"--ssl_config_file={tmp_path}/none",
    )
    assert result.returncode == 1
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    for sentence in (
        "--part is not a flag of this server. Is --port meant?",
        '--rest_api_port must be a whole number, not "many".',
        "--batching_parameters_file needs --enable_batching.",
        "Expected model a to have an absolute path or URI; got base_path()=a",
        "Model b requests unsupported platform b",
        "Error parsing text-format tensorflow.ConfigProto",
        "--monitoring_config_file cannot be read",
        "--ssl_config_file",
    ):
        assert [line for line in errors if sentence in line], (sentence, errors)
    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert "warning: The base path of model c is no folder now: /nowhere/c" in warnings
    assert [line for line in warnings if "--use_alts_credentials has no effect here" in line]
    assert result.stdout.splitlines()[-1] == f"{len(errors)} errors, {len(warnings)} warnings"
    assert result.stderr == ""


def test_no_faults(models: Path) -> None:
    """
    A right command line ends with 0, whether a flag or the image's environment names the model.
    """
    flags = ["--validate-config", "--model_name=a", f"--model_base_path={models}/half_plus_two"]
    result = run_command(*flags)
    assert (result.returncode, result.stdout) == (0, "0 errors, 0 warnings\n")
    image = {"MODEL_NAME": "half_plus_two", "MODEL_BASE_PATH": str(models)}
    result = run_command("--validate-config", **image)
    assert (result.returncode, result.stdout) == (0, "0 errors, 0 warnings\n")


def test_batching_files(models: Path, tmp_path: Path) -> None:
    """
    The file for all models and those in the folders of versions are checked.
    """
    file = tmp_path / "parameters.txt"
    file.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4")
    base = ["--validate-config", "--model_name=m", f"--model_base_path={models}/crowd/wrong"]
    both = ["--enable_batching", "--enable_per_model_batching_parameters"]
    result = run_command(*base, *both, f"--batching_parameters_file={file}")
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    sentence = "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; "
    own = f"{models}/crowd/wrong/1/batching_params.pbtxt"
    assert errors == [
        f"error: --batching_parameters_file: {sentence}expected 8",
        f"error: Model m cannot be batched as {own} says: {sentence}expected 8",
    ]
    result = run_command(*base, both[1])
    assert result.stdout.splitlines()[0] == (
        "warning: --enable_per_model_batching_parameters has no effect without --enable_batching."
    )
