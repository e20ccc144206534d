"""``/v1/shadow``: whom a sample of the requests is asked of again."""

import json
from typing import Any

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.shadow import target
from modeldeploy_runtime.shadow.mirror import Mirror
from modeldeploy_runtime.transports.control.app import Request

PATH = "/v1/shadow"


class Shadowing:
    """``GET`` tells the target, ``PUT`` sets it, and ``DELETE`` takes it away."""

    methods: tuple[str, ...] = ("GET", "PUT", "DELETE")

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def answer(self, request: Request) -> dict[str, Any]:
        """
        Answer with the target as it is now, and with the last answer that was not the same.

        Raises:
            InvalidArgumentError: The body is no target.
        """
        if request.method == "DELETE":
            self._mirror.aim(None)
        if request.method == "PUT":
            try:
                value = json.loads(request.body)
            except ValueError as error:
                raise InvalidArgumentError(f"The body is no JSON: {error}") from error
            self._mirror.aim(target.read(value))
        aimed = self._mirror.target
        return {
            "target": aimed.as_json() if aimed else None,
            "last_mismatch": self._mirror.last_mismatch,
        }
