"""moto's SageMaker, with a way to let single operations answer as AWS does where moto never would.

moto's endpoints are in service and its trainings are completed at once. `answers` names operations,
as in the service's reference, and what they answer one time after another; the last answer stays.
`None` in it, and every other operation, goes to moto.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stores_servers import environment, make_bucket, running_moto

Answer = tuple[int, dict[str, Any]] | None
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
REGION = "us-east-1"
BUCKET = "tests"


@dataclass
class SageMaker:
    """A server that runs; `settings` is what the environment must say, `asked` what it was asked."""

    url: str
    moto_port: int
    settings: dict[str, str]
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        import boto3

        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.moto_port}",
            aws_access_key_id=self.settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.settings["AWS_SECRET_ACCESS_KEY"],
        )

    def plant_answer(self, body: str) -> None:
        """What moto's next InvokeEndpoint answers."""
        planted = {"results": [{"Body": body, "ContentType": "application/json"}]}
        self._post("/moto-api/static/sagemaker/endpoint-results", planted)

    def reset(self) -> None:
        """Forget everything; moto gives equal questions the answer that it gave before."""
        self.answers.clear()
        self.asked.clear()
        self._post("/moto-api/reset", {})
        with environment(self.settings):
            make_bucket(BUCKET)

    def _post(self, path: str, values: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.moto_port, timeout=10)
        connection.request("POST", path, json.dumps(values))
        assert connection.getresponse().status < 300
        connection.close()

    def there(self) -> tuple[int, int, int, int]:
        """How many endpoints, configurations, models and objects there are."""
        sagemaker, s3 = self.client("sagemaker"), self.client("s3")
        counts = (
            len(sagemaker.list_endpoints()["Endpoints"]),
            len(sagemaker.list_endpoint_configs()["EndpointConfigs"]),
            len(sagemaker.list_models()["Models"]),
            s3.list_objects_v2(Bucket=BUCKET)["KeyCount"],
        )
        sagemaker.close()
        s3.close()
        return counts


@contextmanager
def running_sagemaker() -> Iterator[SageMaker]:
    """moto, and before it the server that answers for single operations."""
    with running_moto() as settings:
        port = int(settings["AWS_ENDPOINT_URL_S3"].rpartition(":")[2])
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Before)
        url = f"http://127.0.0.1:{server.server_port}"
        known = SageMaker(url, port, {**settings, "AWS_ENDPOINT_URL": url})
        server.sagemaker = known  # type: ignore[attr-defined]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with environment(known.settings):
            make_bucket(BUCKET)
        try:
            yield known
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Before(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        known: SageMaker = self.server.sagemaker  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or "InvokeEndpoint"
        known.asked.append(operation)
        answers = known.answers.get(operation, [])
        answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else None
        if answer is not None:
            status, values = answer
            self._send(status, "application/x-amz-json-1.1", json.dumps(values).encode())
            return
        connection = http.client.HTTPConnection("127.0.0.1", known.moto_port, timeout=30)
        connection.request("POST", self.path, body, dict(self.headers))
        response = connection.getresponse()
        content = response.read()
        self._send(response.status, response.headers.get("Content-Type", ""), content)
        connection.close()

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


def refused(code: str, message: str) -> Answer:
    return 400, {"__type": code, "message": message}
