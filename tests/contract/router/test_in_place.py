"""
InPlace on the whole data path: a real server, what follows its list, and the router, under load.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_runtime.protos import messages
from testkit import saved_models
from testkit.load import PATH, PREDICT, GrpcClient, RestClient
from testkit.model_servers import ModelServer, free_port, running
from testkit.routers import NAME, NET, Bench, routing, until

POD = f"{NET}.4.1"
OLD, NEW = "1", "2"
CONFIG = """model_config_list {{ config {{
  name: "{name}" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ all {{}} }}
}} }}
"""


@dataclass(slots=True)
class Pod:
    """
    A pod that holds what its list says; `versions` counts who answered, over both protocols.
    """

    server: ModelServer
    list_file: Path
    versions: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def hold(self, *versions: str) -> None:
        """
        Change the list, as a mounted ConfigMap is changed.
        """
        draft = self.list_file.with_suffix(".draft")
        draft.write_text(json.dumps({"versions": [{"version": v} for v in versions]}))
        draft.rename(self.list_file)

    def is_gone(self, version: str) -> bool:
        """
        Tell whether a version is unloaded.
        """
        answer = self.server.get(f"/v1/models/{NAME}/versions/{version}")
        return answer.status == 404 or '"END"' in answer.body.decode()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Two versions of a model, which answer differently.
    """
    folder = tmp_path_factory.mktemp("models")
    script = (
        "import sys; from pathlib import Path; from testkit.saved_models import half_plus;"
        "[half_plus(Path(sys.argv[1]) / v, float(v)) for v in '12']"
    )
    where = Path(saved_models.__file__).parents[1]
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, cwd=where)
    return folder


@contextlib.contextmanager
def a_pod(models: Path, folder: Path) -> Iterator[Pod]:
    """
    Run a server, and what follows its list.
    """
    served, list_file, config = folder / "served", folder / "list.json", folder / "models.config"
    config.write_text(CONFIG.format(name=NAME, folder=served))
    where = [f"--uri=file://{models}", f"--to={served}", f"--wanted={list_file}"]
    follow = [sys.executable, "-m", "modeldeploy_runtime", "follow", *where]
    flags = [f"--model_config_file={config}", "--file_system_poll_wait_seconds=1"]
    with running(folder, *flags, "--max_num_load_retries=0") as server:
        pod = Pod(server, list_file)
        pod.hold(OLD)
        with (folder / "follow.log").open("w") as log:
            follower = subprocess.Popen([*follow, f"--port={free_port()}"], stdout=log, stderr=log)
        try:
            server.wait_ready()
            yield pod
        finally:
            follower.terminate()
            follower.wait(20)


@contextlib.asynccontextmanager
async def at_its_address(pod: Pod) -> AsyncIterator[None]:
    """
    Lead the ports that every pod has to those of this one.
    """

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def forward(port: int) -> Any:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer))

        return connected

    rest = await asyncio.start_server(await forward(pod.server.rest_port), POD, 8501)
    grpc = await asyncio.start_server(await forward(pod.server.port), POD, 8500)
    async with rest, grpc:
        yield


@contextlib.asynccontextmanager
async def load(pod: Pod, rest: RestClient, rpc: GrpcClient) -> AsyncIterator[None]:
    """
    Let two clients ask again and again, and name no version.
    """
    asked = messages.PredictRequest()
    asked.model_spec.name = NAME
    asked.inputs["x"].dtype = 1
    asked.inputs["x"].tensor_shape.dim.add().size = 1
    asked.inputs["x"].float_val.append(2.0)

    async def over_rest() -> None:
        while True:
            status, _, body = await rest.send("POST", PATH, b'{"instances": [2.0]}')
            if status == 200:
                pod.versions[str(round(json.loads(body)["predictions"][0] - 1))] += 1
            else:
                pod.failures.append(f"{status} {body.decode()}")

    async def over_grpc() -> None:
        while True:
            try:
                body = await rpc.call(PREDICT, asked.SerializeToString())
                answer = messages.PredictResponse.FromString(body)
                pod.versions[str(answer.model_spec.version.value)] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed request
                pod.failures.append(str(error))

    tasks = [asyncio.create_task(over_rest()), asyncio.create_task(over_grpc())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def shared(generation: int, stable: str, canary: str = "", weight: int = 0) -> dict[str, Any]:
    """
    Build a routing whose slots `a` (version 1) and `b` (version 2) are the same pod.
    """
    document = routing(generation)
    for pool in document["slots"].values():
        pool.update(service=f"{NAME}-aaaaaaaaaa", shared=True)
    roles = {"stable": stable, **({"canary": canary} if canary else {})}
    return document | {"roles": roles, "weight": weight}


async def test_versions_come_take_over_and_go_without_a_failed_request(
    router: Bench, rest: RestClient, rpc: GrpcClient, models: Path, tmp_path: Path
) -> None:
    """
    One is tried, taken back and unloaded; tried again, promoted, and the old one is unloaded.
    """
    with a_pod(models, tmp_path) as pod:

        async def sees(slot: str) -> None:
            await asyncio.to_thread(
                until, lambda: router.status()["slots"][slot]["up"] == 1, f"{slot} is up", 60
            )

        async def moves(*change: Any) -> Counter[str]:
            """
            Publish a routing, and count a hundred answers from when it is in force.
            """
            router.route(shared(*change))
            await asyncio.to_thread(router.confirmed, change[0])
            pod.versions.clear()
            await asyncio.to_thread(until, lambda: pod.versions.total() > 100, "answers", 60)
            return pod.versions.copy()

        router.pool("a", POD)
        router.route(shared(1, "a"))
        async with at_its_address(pod):
            await asyncio.to_thread(router.start)
            await sees("a")
            async with load(pod, rest, rpc):
                for generation, promoted in ((2, False), (5, True)):
                    pod.hold(OLD, NEW)
                    # A router may still take the first try's version for up: the pod is asked, too.
                    await asyncio.to_thread(pod.server.wait_state, NAME, int(NEW), "AVAILABLE")
                    await sees("b")
                    counts = await moves(generation, "a", "b", 5000)
                    assert min(counts[OLD], counts[NEW]) > 20
                    if promoted:
                        assert set(await moves(generation + 1, "a", "b", 10_000)) == {NEW}
                        assert set(await moves(generation + 2, "b")) == {NEW}
                    else:
                        assert set(await moves(generation + 1, "a")) == {OLD}
                    left, gone = (NEW, OLD) if promoted else (OLD, NEW)
                    pod.hold(left)
                    await asyncio.to_thread(until, partial(pod.is_gone, gone), "the unload", 60)
                pod.versions.clear()
                await asyncio.to_thread(until, lambda: pod.versions.total() > 100, "answers", 60)
            assert set(pod.versions) == {NEW}
        assert pod.failures == []
