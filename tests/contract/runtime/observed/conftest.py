"""
A server that is watched in every way, and what it told.
"""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from testkit.model_servers import ModelServer

METRICS = "/of/my/choice"
CONFIG = """
model_config_list {{
  config {{ name: "half" base_path: "{models}/half_plus_two" model_platform: "tensorflow" }}
  config {{ name: "heads" base_path: "{models}/heads" model_platform: "tensorflow" }}
  config {{ name: "broken" base_path: "{models}/broken" model_platform: "tensorflow" }}
}}
"""


class Collector:
    """
    A collector of traces: takes OTLP over HTTP, and keeps the spans.
    """

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, request: Any) -> None:
        """
        Keep what somebody sent.
        """
        for resource in request.resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def close(self) -> None:
        """
        End the collector.
        """
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Watched:
    """
    A running server, and everything that it tells.
    """

    def __init__(self, folder: Path, models: Path, collector: Collector) -> None:
        self.collector = collector
        self.logs = folder / "logs"
        config = folder / "models.config"
        config.write_text(CONFIG.format(models=models))
        monitoring = folder / "monitoring.config"
        monitoring.write_text(f'prometheus_config {{ enable: true, path: "{METRICS}" }}')
        flags = [
            f"--model_config_file={config}",
            f"--monitoring_config_file={monitoring}",
            "--access_log=json",
            f"--otlp_endpoint={collector.url}",
            f"--request_logging_prefix={self.logs}/",
            "--request_logging_rate=1",
            "--request_logging_file_age=500ms",
            "--synthetic_warmup",
        ]
        self.server = ModelServer(folder / "server.log", flags)

    def metrics(self) -> dict[str, Metric]:
        """
        Read the metrics as Prometheus does.
        """
        text = self.server.get(METRICS).body.decode()
        return {family.name: family for family in text_string_to_metric_families(text)}

    def lines(self) -> list[dict[str, Any]]:
        """
        Read the access log.
        """
        lines = self.server.log.splitlines()
        return [json.loads(line) for line in lines if line.startswith('{"time"')]

    def files(self) -> list[Path]:
        """
        List the files of the request logs.
        """
        return sorted(self.logs.glob("*.tfrecord"))


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """
    A collector of traces.
    """
    made = Collector()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def watched(
    models: Path, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[Watched]:
    """
    A server with two models that answer and one that cannot; its first test finds it fresh.
    """
    made = Watched(tmp_path_factory.mktemp("watched"), models, collector)
    made.server.start()
    try:
        made.server.wait_state("half", 2, "AVAILABLE")
        made.server.wait_state("heads", 1, "AVAILABLE")
        made.server.wait_state("broken", 1, "END")
        yield made
    finally:
        made.server.end()
