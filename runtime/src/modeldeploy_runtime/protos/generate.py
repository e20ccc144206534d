"""
Makes ``messages.pb`` from the ``.proto`` files: ``python -m modeldeploy_runtime.protos.generate``.

It needs what only a developer has: ``grpcio-tools`` for the compiler, and TensorFlow, whose own
descriptors are taken as they are installed instead of being written down a second time.
"""

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

HERE = Path(__file__).parent
TARGET = HERE / "messages.pb"

FOREIGN = (
    "google.protobuf.any_pb2",
    "google.protobuf.wrappers_pb2",
    "tensorflow.core.example.example_pb2",
    "tensorflow.core.framework.tensor_pb2",
    "tensorflow.core.protobuf.config_pb2",
    "tensorflow.core.protobuf.error_codes_pb2",
    "tensorflow.core.protobuf.meta_graph_pb2",
    "tensorflow.core.protobuf.named_tensor_pb2",
)


def _closure(files: Iterable[Any], seen: dict[str, Any]) -> None:
    """Collect files after the files that they import, so that a pool can take them in order."""
    for file in files:
        if file.name not in seen:
            _closure(file.dependencies, seen)
            seen.setdefault(file.name, file)


def foreign_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """Gather the descriptors that come with protobuf and TensorFlow."""
    seen: dict[str, Any] = {}
    _closure([importlib.import_module(name).DESCRIPTOR for name in FOREIGN], seen)
    result = descriptor_pb2.FileDescriptorSet()
    for file in seen.values():
        file.CopyToProto(result.file.add())
    return result


def compile_set() -> bytes:
    """Compile our files against the foreign ones into one self-contained set."""
    sources = sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        foreign, compiled = Path(folder, "foreign.pb"), Path(folder, "compiled.pb")
        foreign.write_bytes(foreign_descriptors().SerializeToString(deterministic=True))
        options = [
            f"--proto_path={HERE}",
            f"--descriptor_set_in={foreign}",
            "--include_imports",
            f"--descriptor_set_out={compiled}",
        ]
        # In a process of its own: inside this one it would meet TensorFlow's copy of protobuf.
        compiler = [sys.executable, "-m", "grpc_tools.protoc"]
        subprocess.run([*compiler, *options, *sources], check=True)
        return compiled.read_bytes()


def main() -> None:
    """Write the descriptor set beside the sources."""
    TARGET.write_bytes(compile_set())


if __name__ == "__main__":
    main()
