"""An S3-compatible storage that can be out of order, and that can stop at a moment of one's choice."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterable
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

BUCKET = "idm"
USER, SECRET = "storage-user", "storage-secret"


class ObjectStorage:
    """A moto server with one bucket, in threads of this process."""

    def __init__(self) -> None:
        self.is_out_of_order = False
        self._application = DomainDispatcherApplication(create_backend_app)
        self._held: re.Pattern[str] | None = None
        self._reached, self._released = threading.Event(), threading.Event()
        self._server = make_server(
            "127.0.0.1", 0, self._serve, threaded=True, request_handler=MotoRequestHandler
        )
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def connection(self) -> str:
        """The Airflow connection of the storage, as its environment variable has it."""
        extra = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }
        return json.dumps({"conn_type": "aws", "login": USER, "password": SECRET, "extra": extra})

    def start(self) -> None:
        self._thread.start()
        self.client().create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join(20)

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=USER,
            aws_secret_access_key=SECRET,
        )

    def names(self, prefix: str) -> list[str]:
        """Return the names of the objects below a prefix."""
        found = self.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", ())]

    def hold(self, path: str) -> None:
        """Have the first writing of a path that matches wait, and come to nothing."""
        self._reached.clear()
        self._released.clear()
        self._held = re.compile(path)

    def wait_until_held(self, patience: float) -> bool:
        return self._reached.wait(patience)

    def release(self) -> None:
        self._released.set()

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        held = self._held
        if held is not None and environ["REQUEST_METHOD"] == "PUT" and held.search(environ["PATH_INFO"]):
            self._held = None
            self._reached.set()
            self._released.wait()
            return self._refuse(start_response)
        if self.is_out_of_order:
            return self._refuse(start_response)
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer

    @staticmethod
    def _refuse(start_response: Any) -> Iterable[bytes]:
        start_response("503 Service Unavailable", [("Content-Type", "application/xml")])
        return [b"<Error><Code>ServiceUnavailable</Code><Message>Out of order.</Message></Error>"]
