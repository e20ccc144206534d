"""
The classes of messages.
"""

import gc
import weakref
from typing import Any

from modeldeploy_runtime.protos import messages


def test_classes_stay() -> None:
    """
    The class of an inner message outlives the last message of its kind.
    """
    config = messages.ModelServerConfig()
    config.model_config_list.config.add().version_labels["stable"] = 1
    inner: Any = [type(config.model_config_list), type(config.model_config_list.config[0])]
    kept = [weakref.ref(found) for found in inner]
    del config, inner
    gc.collect()
    assert all(found() for found in kept)
