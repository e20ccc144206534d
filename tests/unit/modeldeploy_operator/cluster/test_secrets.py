"""
What is read of a Secret, and what is said where it cannot be.
"""

import base64

import pytest

from modeldeploy_operator.cluster import secrets
from modeldeploy_operator.cluster.port import ClusterError, RefusedError
from modeldeploy_operator.evidence.external.asking import AskError
from testkit.fake_kube import FakeKube

PATH = "/api/v1/namespaces/vision/secrets/quality"


def _kube(**data: bytes) -> FakeKube:
    kube = FakeKube()
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    kube.put(PATH, {"metadata": {"name": "quality"}, "data": encoded})
    return kube


async def test_only_credentials_are_taken() -> None:
    """
    Whatever else the Secret holds is not looked at.
    """
    read = secrets.reader(_kube(token=b"abc", other=b"\xff"))
    assert await read("vision", "quality") == {"token": "abc"}


async def test_why_there_are_none() -> None:
    """
    It is not there, it may not be read, it could not be read, or it is no text.
    """
    kube = _kube(token=b"\xff")
    read = secrets.reader(kube)
    with pytest.raises(AskError, match="holds something that is no text"):
        await read("vision", "quality")
    with pytest.raises(AskError, match="There is no Secret other in the namespace vision"):
        await read("vision", "other")
    kube.refuse("GET", PATH, RefusedError("forbidden"))
    with pytest.raises(AskError, match=r"may not read the Secret quality .*checks\.secrets"):
        await read("vision", "quality")
    kube.refuse("GET", PATH, ClusterError("away"))
    with pytest.raises(AskError, match="The Secret quality could not be read: away"):
        await read("vision", "quality")
