"""
Fixtures of the runtime's contract tests: models written once, and one server that all share.
"""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from testkit import saved_models
from testkit.model_servers import ModelServer, running

CONFIG = """
model_config_list: {{
  config {{
    name: "half_plus_two", base_path: "{folder}/half_plus_two", model_platform: "tensorflow",
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "gone" value: 7 }}
  }},
  {others}
}}
"""
LOADABLE = ("half_plus_two", "sums", "kinds", "shapes", "slow", "heads")
OTHERS = (*LOADABLE[1:], "broken", "incomplete")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder with all models.
    """
    folder = tmp_path_factory.mktemp("models")
    saved_models.make_all(folder)
    return folder


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with all models, two of which cannot be served; no test may end it.
    """
    folder = tmp_path_factory.mktemp("server")
    others = "\n".join(
        f'config {{ name: "{name}" base_path: "{models}/{name}" model_platform: "tensorflow" }}'
        for name in OTHERS
    )
    config = folder / "models.config"
    config.write_text(CONFIG.format(folder=models, others=others))
    with running(folder, f"--model_config_file={config}") as running_server:
        for name in LOADABLE:
            running_server.wait_state(name, 1, "AVAILABLE")
        running_server.wait_state("half_plus_two", 2, "AVAILABLE")
        running_server.wait_state("broken", 1, "END")
        yield running_server


@pytest.fixture(scope="session")
def channel(server: ModelServer) -> Iterator[grpc.Channel]:
    """
    A channel of the stock client.
    """
    with grpc.insecure_channel(server.target) as opened:
        yield opened


@pytest.fixture(scope="session")
def predictions(
    channel: grpc.Channel,
) -> prediction_service_pb2_grpc.PredictionServiceStub:
    """
    The stock stub of PredictionService.
    """
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def model_service(channel: grpc.Channel) -> model_service_pb2_grpc.ModelServiceStub:
    """
    The stock stub of ModelService.
    """
    return model_service_pb2_grpc.ModelServiceStub(channel)
