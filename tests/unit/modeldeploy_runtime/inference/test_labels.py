"""
What a label means while its version comes and goes.
"""

from modeldeploy_runtime.inference.labels import Labels


def _resolve(labels: Labels, *available: int) -> int | None:
    return labels.resolve("m", "stable", lambda version: version in available)


def test_first() -> None:
    """
    The first configuration's labels mean their versions from the beginning, and others nothing.
    """
    labels = Labels({"m": {"stable": 1}})
    assert _resolve(labels) == 1
    assert labels.resolve("m", "other", lambda _: True) is None
    assert labels.resolve("other", "stable", lambda _: True) is None


def test_move() -> None:
    """
    A label moves when its new version is available, and never back.
    """
    labels = Labels({"m": {"stable": 1}})
    labels.replace({"m": {"stable": 2}})
    assert _resolve(labels, 1) == 1
    assert labels.of("m", lambda version: version == 1) == {"stable": 1}
    assert _resolve(labels, 1, 2) == 2
    assert _resolve(labels, 1) == 2


def test_move_from_what_is_gone() -> None:
    """
    A label whose old version is gone means the new one, though it is not there yet.
    """
    labels = Labels({"m": {"stable": 1}})
    labels.replace({"m": {"stable": 2}})
    assert _resolve(labels) == 2


def test_moved_again_on_the_way() -> None:
    """
    A label that is moved before its version came stays with the last version that answered.
    """
    labels = Labels({"m": {"stable": 1}})
    labels.replace({"m": {"stable": 2}})
    labels.replace({"m": {"stable": 3}})
    assert _resolve(labels, 1) == 1
    labels.replace({"m": {"stable": 1}})
    assert _resolve(labels, 1, 2, 3) == 1


def test_removal() -> None:
    """
    A label that the configuration leaves out means nothing any more.
    """
    labels = Labels({"m": {"stable": 1}})
    labels.replace({"m": {}})
    assert _resolve(labels, 1) is None
