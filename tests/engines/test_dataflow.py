"""Dataflow, up to the moment of submission: the real client submits to a server on this machine."""

import http.server
import json
import threading

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from lensing_tfds import LensingConfig, LensingError
from lensing_tfds.records.beam_executor import beam_executor
from lensing_tfds.records.beam_flags import beam_options
from lensing_tfds.records.shard_plans import SplitPlan

pytest.importorskip("google.cloud.dataflow", reason="needs apache-beam[gcp]")

IMAGE = "europe-docker.pkg.dev/project/images/lensing-tfds:1"


class Submissions(http.server.ThreadingHTTPServer):
    """Keeps what is submitted, and refuses it."""

    def __init__(self):
        super().__init__(("localhost", 0), Refusal)
        self.received = []


class Refusal(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, json.loads(body)))
        self.send_response(400)
        self.end_headers()
        self.wfile.write(b'{"error": {"code": 400, "message": "the rehearsal ends here"}}')

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = Submissions()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def staged(monkeypatch):
    """What would be uploaded, by name."""
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    files = {}

    def stage_file(self, folder, name, stream, *_, **__):
        files[name] = stream.read()

    monkeypatch.setattr(DataflowApplicationClient, "stage_file", stage_file)
    return files


def test_a_million_shards_are_submitted_as_a_small_job(service, staged, tmp_path):
    options = beam_options(
        [
            *("--runner", "DataflowRunner", "--project", "project", "--region", "europe-west1"),
            *("--temp_location", "gs://bucket/tmp", "--staging_location", "gs://bucket/staging"),
            *("--sdk_container_image", IMAGE, "--sdk_location", "container"),
            *("--max_num_workers", "500", "--no_auth"),
            f"--dataflow_endpoint=http://localhost:{service.server_port}",
        ]
    )
    config = LensingConfig(
        "many", npix=16, lx=5.0, num_examples={"train": 10**7, "validation": 8, "test": 8}
    )
    plan = SplitPlan(config, "train", 10**6, f"{tmp_path}/lensing-train.tfrecord")
    with pytest.raises(LensingError, match=r"DataflowRunner failed: .*the rehearsal ends here"):
        beam_executor(options)([plan])

    ((path, job),) = service.received
    assert path.startswith("/v1b3/projects/project/locations/europe-west1/jobs")
    (workers,) = job["environment"]["workerPools"]
    assert workers["autoscalingSettings"]["maxNumWorkers"] == 500
    (container,) = workers["sdkHarnessContainerImages"]
    assert container["containerImage"] == IMAGE
    assert container["useSingleCorePerContainer"]  # one process of ours on each core

    # Nothing of ours is uploaded: the container holds the package.
    assert set(staged) == {"pipeline.pb", "submission_environment_dependencies.txt"}
    assert len(staged["pipeline.pb"]) + len(json.dumps(job)) < 10**6
    graph = beam_runner_api_pb2.Pipeline.FromString(staged["pipeline.pb"])
    names = {transform.unique_name for transform in graph.components.transforms.values()}
    assert {"WriteShards/Ranges", "WriteShards/Write", "WriteShards/Sum"} <= names


def test_a_missing_option_is_one_line(tmp_path, small):
    options = beam_options(["--runner", "DataflowRunner", "--project", "project"])
    plan = SplitPlan(small, "train", 1, f"{tmp_path}/lensing-train.tfrecord")
    with pytest.raises(LensingError, match="DataflowRunner failed: .*region"):
        beam_executor(options)([plan])
