"""Rebuilding through child processes: their progress, their end, and who may start one."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient

from app.test_serve import started
from fakes import CORPUS, SLOW_BUILD, fill
from patience import PATIENCE, until
from qa.app import create_app
from qa.app.jobs import Job, Jobs, without_paths
from qa.assistant import Live
from qa.config import Settings
from qa.stores.generation import pointer

JSON = {"Content-Type": "application/json"}
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert [thread for thread in threading.enumerate() if thread not in before] == []


@pytest.fixture
def prepared(settings: Settings, exported: Path) -> Settings:
    """Settings of the small corpus with the model exported, but no index."""
    fill(settings.corpus, CORPUS)
    shutil.copytree(exported, settings.index)
    return settings


@pytest.fixture
def slow(prepared: Settings, tmp_path: Path) -> Iterator[Jobs]:
    """Jobs that encode nothing until the file `go` appears."""
    jobs = Jobs(prepared, [sys.executable, "-c", SLOW_BUILD, str(tmp_path)])
    yield jobs
    jobs.close()


@pytest.fixture
def client(prepared: Settings, slow: Jobs) -> FlaskClient:
    return create_app(Live(prepared), slow).test_client()


def ended(jobs: Jobs, job: Job) -> Job:
    """Wait for the end of a job."""
    last = [found for found in jobs.follow(job.id) if found][-1]
    jobs.close()
    return last


def child(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# builds


def test_a_build_is_reported(prepared: Settings) -> None:
    jobs = Jobs(prepared)
    states = [found for found in jobs.follow(jobs.start().id) if found]
    jobs.close()
    job = states[-1]
    assert (job.state, job.error, job.eta_s) == ("done", None, None)
    assert job.report
    assert job.report.sources["added"] == 3
    assert job.report.passages == {"total": 7, "reused": 0, "embedded": 4}
    assert job.report.generation == pointer(prepared.index)
    assert (job.phase, job.done, job.total) == ("embed", 4, 4)
    assert {state.state for state in states[:-1]} == {"running"}
    assert states[0].phase == "start"
    assert job.took_s >= job.report.seconds["total"]


@pytest.mark.skipif(os.name == "nt", reason="priorities of POSIX")
def test_a_build_lets_questions_go_first(prepared: Settings, tmp_path: Path) -> None:
    """Whatever the child does first, its own children included, has the lower priority."""
    code = (
        "import os, pathlib, subprocess, sys; sys.stdin.read(); "
        "pathlib.Path('seen').write_bytes("
        "subprocess.check_output([sys.executable, '-c', 'import os; print(os.nice(0))']))"
    )
    jobs = Jobs(prepared, child(code))
    ended(jobs, jobs.start())
    assert int(Path("seen").read_text()) == 19 > os.nice(0)


def test_a_child_has_every_setting(prepared: Settings, tmp_path: Path) -> None:
    """What lies in the current folder of the server is not read a second time."""
    Path("qa.toml").write_text("candidates = 7\nthreads = 9\n")
    settings = replace(
        prepared, corpus=Path("corpus"), candidates=11, threshold=0.25, max_source_mb=3
    )
    code = (
        "import os, pathlib; from qa.config import Settings; "
        "pathlib.Path('seen').write_text(repr(Settings.load(os.environ)))"
    )
    jobs = Jobs(settings, child(code))
    ended(jobs, jobs.start())
    assert Path("seen").read_text() == repr(replace(settings, corpus=tmp_path / "corpus"))


def test_a_second_start_returns_the_job_that_runs(slow: Jobs, tmp_path: Path) -> None:
    first = slow.start()
    assert slow.start(full=True).id == first.id
    (tmp_path / "go").touch()
    assert ended(slow, first).state == "done"
    assert [job.id for job in slow.list()] == [first.id]


def test_one_more_follows_the_job_that_runs(slow: Jobs, tmp_path: Path) -> None:
    first = slow.start()
    until((tmp_path / "begun").exists)
    outcome: list[bool] = []
    waiting = threading.Thread(target=lambda: outcome.append(slow.rebuild()))
    waiting.start()
    assert [job.id for job in slow.list()] == [first.id]
    fill(slow._settings.corpus, {"late.txt": "Tin melts at 232 degrees."})
    (tmp_path / "go").touch()
    waiting.join()
    second, before = slow.list()
    assert before.report and second.report
    assert (before.id, before.report.sources["added"]) == (first.id, 3)
    assert second.report.sources == {**before.report.sources, "added": 1, "unchanged": 3}
    assert outcome == [True]


def test_a_cancelled_build_leaves_the_index_as_it_was(slow: Jobs, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    index = slow._settings.index
    over = slow.start()
    list(slow.follow(over.id))
    live = pointer(index)
    (tmp_path / "go").unlink()
    (tmp_path / "begun").unlink()
    fill(slow._settings.corpus, {"new.txt": "Tin melts at 232 degrees."})
    job = slow.start(full=True)
    until((tmp_path / "begun").exists)
    began = time.monotonic()
    cancelled = slow.cancel(job.id)
    assert cancelled and (cancelled.state, cancelled.report, cancelled.error) == (
        "cancelled",
        None,
        None,
    )
    assert time.monotonic() - began < 15  # the model, which stands still here, is waited for
    assert pointer(index) == live
    assert [path.name for path in (index / "generations").iterdir()] == [live]
    assert list(index.glob("building-*")) == []
    assert slow.cancel(over.id) == slow.get(over.id)  # what is over stays as it is
    assert slow.cancel("nothing") is None


def test_a_child_that_will_not_end_is_killed(
    prepared: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.app.jobs.PATIENCE", 0.2)
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "pathlib.Path('begun').touch(); time.sleep(60)"
    )
    jobs = Jobs(prepared, child(code))
    job = jobs.start()
    until(Path("begun").exists)
    cancelled = jobs.cancel(job.id)
    assert cancelled and cancelled.state == "cancelled"


def test_a_build_that_was_cancelled_too_late_says_so(prepared: Settings) -> None:
    code = (
        "import os, pathlib, time; pathlib.Path(os.environ['QA_INDEX'], 'CURRENT').write_text('x');"
        "time.sleep(60)"
    )
    jobs = Jobs(prepared, child(code))
    job = jobs.start()
    until(lambda: pointer(prepared.index) == "x")
    cancelled = jobs.cancel(job.id)
    assert cancelled
    assert (cancelled.state, cancelled.error) == ("cancelled", "the new index was in place already")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        pytest.param(
            "import sys; sys.exit('a warning\\nqa: /home/somebody/notes.txt: No space left')",
            "notes.txt: No space left",
            id="last line",
        ),
        pytest.param("import sys; sys.exit(7)", "the build ended with exit code 7", id="silent"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)", "the build was ended by SIGKILL", id="killed"
        ),
        pytest.param('print(\'{"report": {"new": 1}}\')', "restart the server", id="other"),
        pytest.param('print(\'{"error": "in words"}\')', "in words", id="said"),
    ],
)
def test_a_child_that_dies_has_failed(
    prepared: Settings, code: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = Jobs(prepared, child(code))
    job = ended(jobs, jobs.start())
    assert (job.state, job.report) == ("failed", None)
    assert job.error and error in job.error
    assert "somebody" not in job.error
    assert f"job {job.id} failed: " in caplog.text  # with the path, for whoever runs the server


def test_a_failed_build_says_why_without_a_path(prepared: Settings, tmp_path: Path) -> None:
    gone = replace(prepared, corpus=tmp_path / "gone away")
    jobs = Jobs(gone)
    job = ended(jobs, jobs.start())
    assert (job.state, job.error) == ("failed", "gone away: no such folder; name it with --corpus")


def test_a_command_that_is_not_there_has_failed(prepared: Settings) -> None:
    job = Jobs(prepared, ["no-such-command"]).start()
    assert (job.state, job.error) == ("failed", "cannot start: No such file or directory")


def test_only_the_last_twenty_are_remembered(prepared: Settings) -> None:
    jobs = Jobs(prepared, ["no-such-command"])
    ids = [jobs.start().id for _ in range(22)]
    assert [job.id for job in jobs.list()] == ids[:1:-1]
    assert jobs.get(ids[1]) is None


def test_a_closed_server_starts_nothing(slow: Jobs) -> None:
    job = slow.start()
    slow.close()
    found = slow.get(job.id)
    assert found and found.state == "cancelled"
    assert slow.start().error == "the server is stopping"


def test_silence_is_broken(slow: Jobs, tmp_path: Path) -> None:
    job = slow.start()
    until((tmp_path / "begun").exists)
    until(lambda: slow.list()[0].phase == "split")
    following = slow.follow(job.id, keep_alive=0.1)
    first, second = next(following), next(following)
    assert first and first.phase == "split"
    assert second is None


def test_the_time_left_is_told(prepared: Settings) -> None:
    code = (
        "import json, time\n"
        "print(json.dumps({'phase': 'read', 'done': 1, 'total': 1}), flush=True)\n"
        "time.sleep(0.4)\n"
        "print(json.dumps({'phase': 'embed', 'done': 1, 'total': 5}), flush=True)\n"
        "time.sleep(60)"
    )
    jobs = Jobs(prepared, child(code))
    job = jobs.start()
    for found in jobs.follow(job.id):
        if found and found.phase == "embed":
            assert found.eta_s and 1.5 <= found.eta_s <= 4  # four more at 0.4 s each
            break
        assert found and found.eta_s is None
    jobs.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'/srv/my data/index' is damaged", "'index' is damaged"),
        ("/srv/qa/corpus: no such folder", "corpus: no such folder"),
        ("C:\\Users\\me\\notes.txt: denied", "notes.txt: denied"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("a.md: 5 km/h and/or briefs/b.md", "a.md: 5 km/h and/or briefs/b.md"),
    ],
)
def test_paths_are_shortened(settings: Settings, text: str, expected: str) -> None:
    assert without_paths(text, settings) == expected


# the interface


def test_the_interface_builds(client: FlaskClient, tmp_path: Path) -> None:
    reply = client.post("/api/v1/index", json={})
    job = reply.get_json()
    assert (reply.status_code, job["state"], job["report"]) == (202, "running", None)
    assert reply.headers["Location"] == f"/api/v1/index/jobs/{job['id']}"
    assert client.post("/api/v1/index", json={"full": True}).get_json()["id"] == job["id"]
    (tmp_path / "go").touch()
    with client.get(reply.headers["Location"], headers=EVENTS) as stream:
        assert stream.mimetype == "text/event-stream"
        events = parsed(stream.get_data(as_text=True))
    names = [name for name, _ in events]
    assert names == [*["progress"] * (len(names) - 1), "done"]
    last = events[-1][1]
    assert last == client.get(reply.headers["Location"]).get_json()
    assert (last["state"], last["report"]["sources"]["added"]) == ("done", 3)
    assert client.get("/api/v1/index/jobs").get_json() == {"jobs": [last]}
    assert client.get("/readyz").status_code == 200


def parsed(stream: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a stream that has nothing else in it."""
    events = []
    for block in stream.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        assert name.startswith("event: ") and data.startswith("data: ")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


def test_the_interface_cancels(client: FlaskClient, tmp_path: Path) -> None:
    place = client.post("/api/v1/index", json={}).headers["Location"]
    until((tmp_path / "begun").exists)
    reply = client.delete(place)
    assert (reply.status_code, reply.get_json()["state"]) == (200, "cancelled")
    assert client.get(place).get_json()["state"] == "cancelled"


@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_job_is_a_problem(client: FlaskClient, method: str) -> None:
    reply = getattr(client, method)("/api/v1/index/jobs/nothing")
    assert (reply.status_code, reply.mimetype) == (404, "application/problem+json")
    assert "There is no job nothing" in reply.get_json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"colour": 1}, "colour"), ({"full": "yes"}, "full"), ({"full": 1}, "full")],
)
def test_a_bad_field_is_named(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    reply = client.post("/api/v1/index", json=body)
    assert reply.status_code == 422
    assert [entry["field"] for entry in reply.get_json()["errors"]] == [field]


def test_a_form_cannot_start_a_build(client: FlaskClient) -> None:
    reply = client.post("/api/v1/index", data={"full": "true"})
    assert reply.status_code == 415
    assert client.get("/api/v1/index/jobs").get_json() == {"jobs": []}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 202, id="a program"),
        pytest.param({"Origin": "http://localhost"}, 202, id="own page"),
        pytest.param({"Origin": "https://LOCALHOST"}, 202, id="own page behind a proxy"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 202, id="own page, newer browser"),
        pytest.param({"Sec-Fetch-Site": "none"}, 202, id="typed by the user"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="foreign page"),
        pytest.param({"Origin": "http://localhost:9"}, 403, id="another port"),
        pytest.param({"Origin": "null"}, 403, id="sandboxed page"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="foreign, newer browser"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="a neighbour"),
    ],
)
def test_a_foreign_page_changes_nothing(
    prepared: Settings, headers: dict[str, str], status: int
) -> None:
    client = create_app(Live(prepared), Jobs(prepared, ["no-such-command"])).test_client()
    reply = client.post("/api/v1/index", json={}, headers=headers)
    assert reply.status_code == status
    assert len(client.get("/api/v1/index/jobs").get_json()["jobs"]) == (status == 202)
    deleted = client.delete("/api/v1/index/jobs/nothing", headers=headers)
    assert deleted.status_code == (404 if status == 202 else 403)
    assert deleted.mimetype == "application/problem+json"


def test_two_streams_leave_a_thread_free(client: FlaskClient, tmp_path: Path) -> None:
    place = client.post("/api/v1/index", json={}).headers["Location"]
    first, second = (client.get(place, headers=EVENTS) for _ in range(2))
    refused = client.get(place, headers=EVENTS)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.mimetype == "application/problem+json"
    assert client.get(place).status_code == 200
    first.close()
    client.get(place, headers=EVENTS).close()
    (tmp_path / "go").touch()
    assert parsed(second.get_data(as_text=True))[-1][0] == "done"
    second.close()


def test_replies_are_what_the_schema_says(client: FlaskClient, tmp_path: Path) -> None:
    spec = client.get("/api/v1/openapi.json").get_json()
    paths = spec["paths"]

    def check(reply: Any, path: str, method: str) -> None:
        content = paths[path][method]["responses"][str(reply.status_code)]["content"]
        schema = {**content[reply.mimetype]["schema"], "components": spec["components"]}
        jsonschema.validate(reply.get_json(), schema)

    (tmp_path / "go").touch()
    started = client.post("/api/v1/index", json={})
    place = started.headers["Location"]
    client.get(place, headers=EVENTS).get_data()
    one = "/api/v1/index/jobs/{id}"
    check(started, "/api/v1/index", "post")
    check(client.get(place), one, "get")
    check(client.get("/api/v1/index/jobs"), "/api/v1/index/jobs", "get")
    check(client.delete(place), one, "delete")
    check(client.delete(place, headers={"Origin": "null"}), one, "delete")
    check(client.get("/api/v1/index/jobs/nothing"), one, "get")
    assert set(paths[one]["get"]["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }


# in a server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_ends_the_build_and_its_streams(
    prepared: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    corpus, index = str(prepared.corpus), str(prepared.index)
    code = f"""
import sys
import qa.app.jobs
command = ({sys.executable!r}, "-c", {SLOW_BUILD!r}, {str(tmp_path)!r})
qa.app.jobs.Jobs.__init__.__defaults__ = (command,)
from qa.cli import main
sys.exit(main(sys.argv[1:]))
"""
    command = ["-c", code, "serve", "--port", "0", "--corpus", corpus, "--index", index]
    with started(*command) as (server, port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("POST", "/api/v1/index", "{}", JSON)
            reply = connection.getresponse()
            place = reply.headers["Location"]
            reply.read()
        until((tmp_path / "begun").exists)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", place, headers=EVENTS)
            stream = connection.getresponse()
            assert stream.readline() == b"event: progress\n"  # sent at once, not at the end
            (begun,) = tmp_path.glob("begun-*")
            server.send_signal(number)
            events = parsed("event: progress\n" + stream.read().decode())
        assert (events[-1][0], events[-1][1]["state"]) == ("done", "cancelled")
        assert server.wait(PATIENCE) == 0
    assert pointer(prepared.index) == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.name.removeprefix("begun-")), 0)


def test_a_watching_server_rebuilds(prepared: Settings) -> None:
    corpus, index = str(prepared.corpus), str(prepared.index)
    command = ["-m", "qa", "serve", "--watch", "--port", "0", "--corpus", corpus, "--index", index]
    with started(*command) as (server, port):

        def uris() -> list[str]:
            with closing(
                http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            ) as connection:
                connection.request("GET", "/api/v1/sources")
                reply = json.loads(connection.getresponse().read())
            return [source["uri"] for source in reply.get("sources", [])]

        until(lambda: uris() == sorted(CORPUS))
        fill(prepared.corpus, {"new.txt": "Tin melts at 232 degrees."})
        until(lambda: uris() == sorted([*CORPUS, "new.txt"]))
        server.terminate()
        assert server.wait(PATIENCE) == 0
