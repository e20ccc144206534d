"""
Flags about threads and TensorFlow's sessions: what they change, seen from outside the server.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from testkit.model_servers import ModelServer, running

WARM_UP = Path("2", "assets.extra", "tf_serving_warmup_requests")
REPLACED = ("one", "two", "three")
# 257 needs nine bits, and bfloat16 has eight.
ROW = [257.0] + [1.0] * 63
PRODUCTS = {"inputs": [ROW] * 64}


def _threads(server: ModelServer) -> Counter[str]:
    """
    Count a server's threads by the names that the kernel knows.
    """
    tasks = Path("/proc", str(server.process.pid), "task").iterdir()
    return Counter((task / "comm").read_text().strip() for task in tasks)


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Models whose second versions wait in a pipe, in place of a file, for their warm-up requests.
    """
    folder = tmp_path_factory.mktemp("threads")
    for name in (*REPLACED, "other"):
        for version in ("1", "2"):
            shutil.copytree(models / "half_plus_two" / "2", folder / name / version)
    shutil.copytree(models / "products", folder / "products")
    for name in REPLACED:
        (folder / name / WARM_UP).parent.mkdir()
        os.mkfifo(folder / name / WARM_UP)
    for place in folder.glob("*/*"):
        (place / "_SUCCESS").touch()
    return folder


@pytest.fixture(scope="module")
def wide(folder: Path) -> Iterator[ModelServer]:
    """
    A server with two threads for loads, and as many in its sessions as none has by itself.
    """
    flags = (
        "--model_name=products",
        f"--model_base_path={folder}/products",
        "--num_load_threads=2",
        "--tensorflow_intra_op_parallelism=100",
        "--tensorflow_inter_op_parallelism=5",
        "--mixed_precision=bfloat16",
    )
    with running(folder, *flags) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Iterator[ModelServer]:
    """
    A server that compiles its graphs.
    """
    flags = (
        "--model_name=products",
        f"--model_base_path={folder}/products",
        "--tensorflow_session_parallelism=7",
        "--xla_cpu_compilation_enabled",
    )
    with running(folder, *flags) as server:
        server.wait_ready()
        yield server


def test_threads_of_sessions(wide: ModelServer, compiled: ModelServer) -> None:
    """
    Operations run side by side, and are worked on, by as many threads as each flag or both say.
    """
    assert _threads(wide)["tf_Compute"] == 5
    assert _threads(compiled)["tf_Compute"] == 7
    # Those that work on an operation bear the program's name, as others of the server do.
    more = _threads(wide).total() - _threads(compiled).total()
    assert 50 < more < 150


def test_compiled_graphs(wide: ModelServer, compiled: ModelServer) -> None:
    """
    XLA computes in threads of its own and gives the same answer; without the flag it is not there.
    """
    answer = compiled.predict("products", PRODUCTS)
    assert (answer.status, answer.json["outputs"]) == (200, [ROW] * 64)
    assert _threads(compiled)["tf_XLAEigen"] > 0
    assert wide.predict("products", PRODUCTS).status == 200
    assert _threads(wide)["tf_XLAEigen"] == 0


def test_mixed_precision(wide: ModelServer) -> None:
    """
    Products are computed in bfloat16, which rounds to eight bits, on CPUs where TensorFlow can.
    """
    known = Path("/proc/cpuinfo").read_text()
    rounds = "avx512f" in known or "avx_ne_convert" in known
    outputs = wide.predict("products", PRODUCTS).json["outputs"]
    assert outputs[0] == [256.0 if rounds else 257.0, *ROW[1:]]


Reload = Callable[..., Any]


@pytest.fixture
def reload(wide: ModelServer, folder: Path) -> Iterator[Reload]:
    """
    Serve these versions of these models beside that of the other tests.
    """
    with grpc.insecure_channel(wide.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)

        def call(**versions: int) -> Any:
            entries = "".join(
                f'config {{ name: "{name}" base_path: "{folder}/{name}" '
                'model_platform: "tensorflow" model_version_policy { specific { versions: '
                f"{version} }} }} }}"
                for name, version in {"products": 1, **versions}.items()
            )
            request = model_management_pb2.ReloadConfigRequest()
            text_format.Parse(f"model_config_list {{ {entries} }}", request.config)
            return stub.HandleReloadConfigRequest.future(request, timeout=120)

        yield call
        call().result()


def _hold(folder: Path, held: dict[str, int]) -> None:
    """
    Open the pipes of those loads that have come to their warm-up; they wait until it is closed.
    """
    for name in REPLACED:
        try:
            found = os.open(folder / name / WARM_UP, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            # Nobody reads yet.
            continue
        if name in held:
            os.close(found)
        else:
            held[name] = found


def test_threads_for_loads(wide: ModelServer, folder: Path, reload: Reload) -> None:
    """
    Two of three versions that replace others are loaded at once, and a new model beside them.
    """
    before = dict.fromkeys(REPLACED, 1)
    reload(**before).result()
    held: dict[str, int] = {}
    with ExitStack() as pipes:

        def looked(count: int) -> bool:
            known = set(held)
            _hold(folder, held)
            for name in held.keys() - known:
                pipes.callback(os.close, held[name])
            return len(held) == count

        loads = reload(**dict.fromkeys(REPLACED, 2), other=1)
        wide.wait(lambda: looked(2), "two loads")
        # A whole load is time enough for the third one to begin, if it could.
        wide.wait_state("other", 1, "AVAILABLE")
        assert looked(2)
        pipes.close()
        wide.wait(lambda: looked(3), "the third load")
    loads.result()
    for name in REPLACED:
        wide.wait_state(name, 2, "AVAILABLE")
