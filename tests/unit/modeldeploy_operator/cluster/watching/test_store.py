"""
The memory of one kind: what is newer wins, whatever the order in which it is told.
"""

from typing import Any

import pytest

from modeldeploy_operator.cluster.port import Resource
from modeldeploy_operator.cluster.watching import store as store_module
from modeldeploy_operator.cluster.watching.store import Store

LABEL = "serving.modeldeploy.io/deployment"
MNIST = ("vision", "mnist")


def _item(version: int, name: str = "mnist", owner: str = "mnist", uid: str = "u1") -> Any:
    return {
        "metadata": {
            "name": name,
            "namespace": "vision",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {LABEL: owner} if owner else {},
            "managedFields": [{"manager": "somebody", "fieldsV1": {"f:spec": {}}}],
        }
    }


@pytest.fixture
def store() -> Store:
    """
    Begin with nothing.
    """
    return Store(Resource("v1", "Service", "services"))


def _versions(store: Store) -> list[str]:
    return [item["metadata"]["resourceVersion"] for item in store.select(*MNIST)]


def test_an_object_says_what_it_is(store: Store) -> None:
    """
    Items of a list do not name their kind; what is remembered does, and is smaller.
    """
    assert store.put(_item(5)) == {MNIST}
    [found] = store.select(*MNIST)
    assert (found["apiVersion"], found["kind"]) == ("v1", "Service")
    assert found["metadata"]["managedFields"] == [{"manager": "somebody"}]
    assert store.select("vision", "other") == []


def test_what_is_older_is_no_news(store: Store) -> None:
    """
    A watch that tells late does not undo what was written since.
    """
    store.put(_item(7))
    assert store.put(_item(6)) == set()
    assert store.put(_item(7)) == set()
    assert _versions(store) == ["7"]
    assert store.put(_item(10)) == {MNIST}
    assert _versions(store) == ["10"]


def test_an_object_may_change_hands(store: Store) -> None:
    """
    Both the owner that loses an object and the one that gets it are told.
    """
    store.put(_item(5))
    assert store.put(_item(6, owner="other")) == {MNIST, ("vision", "other")}
    assert store.select(*MNIST) == []
    assert store.put(_item(7, owner="")) == {("vision", "other")}
    assert len(store) == 0


def test_a_list_replaces_what_is_older(store: Store) -> None:
    """
    What a list leaves out is gone, unless it was written after the list was made.
    """
    store.put(_item(5, "old"))
    store.put(_item(9, "new"))
    assert store.replace([_item(6, "other", uid="u2")], "8") == {MNIST}
    assert [item["metadata"]["name"] for item in store.select(*MNIST)] == ["new", "other"]


def test_what_was_deleted_does_not_come_back(store: Store) -> None:
    """
    Late events, an older list and late answers say nothing about an object that is gone.

    An answer may come later than the event of a deletion that followed it.
    """
    store.put(_item(5))
    assert store.remove(*MNIST, "u1") == {MNIST}
    assert store.put(_item(6)) == set()
    assert store.replace([_item(6)], "6") == set()
    assert store.replace([], "9") == set()
    assert store.put(_item(7)) == set()
    assert store.select(*MNIST) == []
    assert store.put(_item(8, uid="u2")) == {MNIST}


def test_the_end_of_an_earlier_life_ends_no_later_one(store: Store) -> None:
    """
    An object that was made anew under its name is not forgotten when the old one's end is told.
    """
    store.put(_item(8, uid="u2"))
    assert store.remove(*MNIST, "u1") == set()
    assert _versions(store) == ["8"]
    assert store.remove(*MNIST, "u2") == {MNIST}
    assert store.remove(*MNIST, "u2") == set()


def test_only_so_many_ends_are_remembered(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Memory stays bounded; the oldest is forgotten first.
    """
    monkeypatch.setattr(store_module, "REMEMBERED", 2)
    for uid in ("u1", "u2", "u3"):
        store.remove(*MNIST, uid)
    assert store.put(_item(5, uid="u3")) == set()
    assert store.put(_item(5, uid="u1")) == {MNIST}


def test_versions_that_are_no_numbers_are_compared_as_they_can_be(store: Store) -> None:
    """
    Where versions cannot be ordered, another one is news.
    """
    item = _item(5)
    item["metadata"]["resourceVersion"] = "abc"
    store.put(item)
    assert store.put(item) == set()
    assert store.put(_item(4)) == {MNIST}


def test_everything_can_be_forgotten(store: Store) -> None:
    """
    Where a kind goes away, its owners are told.
    """
    store.put(_item(5))
    assert store.clear() == {MNIST}
    assert len(store) == 0
