"""
The steps that every inference takes, and that none of them keeps its version for ever.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modeldeploy_runtime.inference.calls import Calls, Pending, Prediction
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.lifecycle.manager import Manager
from modeldeploy_runtime.loaders.port import Signature
from modeldeploy_runtime.servables.errors import DeadlineError, InvalidArgumentError
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State
from modeldeploy_runtime.telemetry.calls import Call
from modeldeploy_runtime.telemetry.metrics import Metrics
from modeldeploy_runtime.telemetry.observer import Observer
from modeldeploy_runtime.transports.rest.app import RestApp, RestOptions
from testkit.loading import Model, Models, states, until, want


class _Signature:
    """
    A signature of a model that takes a thread, and that cannot be called.
    """

    name = "serving_default"
    is_cheap = False
    queue = None
    inputs = ("x",)


@pytest.fixture
def models() -> Models:
    """
    Loaders of models.
    """
    return Models()


@pytest.fixture
def manager(models: Models) -> Manager:
    """
    A manager with one version of one model.
    """
    manager = models.manager()
    want(manager, models, "m", 1)
    until(lambda: states(manager) == {1: State.AVAILABLE})
    return manager


@pytest.fixture
def directory(manager: Manager) -> Directory:
    """
    The directory of that model.
    """
    return Directory(manager, {"m": {}})


def _begin(directory: Directory) -> Pending[Any]:
    def read(_: Signature) -> Any:
        raise InvalidArgumentError("It cannot be read.")

    signature: Any = _Signature()
    wanted = Prediction("", read, find=lambda *_: signature)
    return Calls(directory).predict(Selector("m"), wanted, Call("REST", "predict"))


@pytest.mark.parametrize("way", ["abandoned", "too late", "failed"])
def test_the_version_is_let_go(
    models: Models, manager: Manager, directory: Directory, way: str
) -> None:
    """
    A version is held while an inference is pending, and no longer, whatever becomes of it.
    """
    pending = _begin(directory)
    want(manager, models, "m")
    until(lambda: states(manager) == {1: State.UNLOADING})
    if way == "abandoned":
        pending.abandon()
    elif way == "too late":
        with pytest.raises(DeadlineError):
            pending.finish(0.0)
    else:
        with pytest.raises(InvalidArgumentError):
            pending.finish(None)
    until(lambda: states(manager) == {1: State.END})


async def test_without_a_place(models: Models, manager: Manager, directory: Directory) -> None:
    """
    A prediction that is refused because all places are taken lets its version go.
    """
    with manager.acquire(Selector("m")) as handle:
        model = handle.model
        assert isinstance(model, Model)
        model.signatures["serving_default"] = _Signature()
    readiness = Readiness(directory, lambda _: "")
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"instances": [1.0]}', "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "method": "POST",
        "raw_path": b"/v1/models/m:predict",
        "query_string": b"",
        "headers": [],
    }
    with ThreadPoolExecutor(1) as pool:
        options = RestOptions(places=0)
        app = RestApp(
            directory, Calls(directory), readiness, Observer(Metrics(tuple)), pool, options
        )
        await app(scope, receive, send)
    assert sent[0]["status"] == 429
    assert b"All 0 places for predictions are taken" in sent[1]["body"]
    want(manager, models, "m")
    until(lambda: states(manager) == {1: State.END})
