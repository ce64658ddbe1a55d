"""Jobs of a server: order, pause, cancel, retry, their results, and what is shown while they run."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import media
from tests.helpers.command import environment, vsr
from tests.helpers.serving import SETTINGS, TOKEN, Server


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four films of a second."""
    root = tmp_path_factory.mktemp("jobs") / "films"
    root.mkdir()
    for name in "abcd":
        media.cfr(root / f"{name}.mp4", frames=24)
    return root


@pytest.fixture(scope="module")
def slow(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose workers take their time."""
    started = Server([root], tmp_path_factory.mktemp("data"), worker="Slow").start()
    yield started
    started.stop()


@pytest.fixture
def emptied(slow: Server) -> Iterator[Server]:
    """The same without jobs."""
    yield slow
    for job in slow.api("GET", "jobs"):
        if job["ended"] is None:
            slow.api("POST", f"jobs/{job['id']}/cancel")
            slow.until(job["id"], "cancelled", "finished")
        slow.api("DELETE", f"jobs/{job['id']}")


def order(server: Server) -> list[str]:
    return [job["path"].removeprefix("films/") for job in server.api("GET", "jobs") if job["ended"] is None]


def test_a_job_ends_with_the_bytes_of_the_command_and_says_what_was_verified(
    emptied: Server, root: Path, tmp_path: Path
) -> None:
    job = emptied.submit("films/a.mp4", output="films/one.mp4")
    found = emptied.until(job, "finished")
    plain = tmp_path / "plain.mp4"
    given = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    assert vsr("run", root / "a.mp4", "-o", plain, *given, worker="Plain").code == 0
    assert (root / "one.mp4").read_bytes() == plain.read_bytes()
    assert found["output"] == "films/one.mp4"
    assert found["verification"][:2] == [
        "24 frames, every one of the source once",
        "every timestamp exact",
    ]
    assert found["progress"]["done"] == found["progress"]["frames"] == 24
    assert found["exit_code"] == 0
    result = emptied.call("GET", f"/api/v1/jobs/{job}/result?download=1")
    assert result.body == plain.read_bytes()
    assert result.headers["content-disposition"] == "attachment; filename*=UTF-8''one.mp4"
    part = emptied.call("GET", f"/api/v1/jobs/{job}/result", Range="bytes=10-19")
    assert (part.status, part.body) == (206, plain.read_bytes()[10:20])
    report = emptied.api("GET", f"jobs/{job}/report")
    assert report["frames"] == 24
    assert str(root) not in json.dumps(report)
    assert emptied.api("DELETE", f"jobs/{job}") is None
    assert (root / "one.mp4").exists()


def test_jobs_run_in_their_order_which_can_be_changed(emptied: Server) -> None:
    first = emptied.submit("films/a.mp4", output="films/first.mp4")
    ids = [emptied.submit(f"films/{n}.mp4", output=f"films/order-{n}.mp4") for n in "bcd"]
    emptied.api("POST", f"jobs/{ids[2]}/move", {"before": ids[0]})
    assert order(emptied) == ["a.mp4", "d.mp4", "b.mp4", "c.mp4"]
    emptied.api("POST", f"jobs/{ids[0]}/move", {"before": None})
    assert order(emptied) == ["a.mp4", "d.mp4", "c.mp4", "b.mp4"]
    ended = [emptied.until(one, "finished")["ended"] for one in (first, ids[2], ids[1], ids[0])]
    assert ended == sorted(ended)


def test_the_same_film_with_the_same_settings_is_queued_once(emptied: Server) -> None:
    emptied.submit("films/a.mp4", output="films/before.mp4")
    job = emptied.submit("films/b.mp4", output="films/twice.mp4")
    assert emptied.submit("films/b.mp4", output="films/twice.mp4") == job
    assert emptied.submit("films/b.mp4", output="films/other.mp4") != job
    emptied.api("POST", f"jobs/{job}/cancel")
    assert emptied.submit("films/b.mp4", output="films/twice.mp4") != job


def test_a_job_whose_output_another_will_have_is_refused_when_it_is_submitted(emptied: Server) -> None:
    def asked(path: str, **settings: Any) -> Any:
        return emptied.call("POST", "/api/v1/jobs", {"path": path, "settings": {**SETTINGS, **settings}})

    emptied.submit("films/a.mp4", output="films/ahead.mp4")
    job = emptied.submit("films/b.mp4")
    for path, settings in (
        ("films/b.mp4", {"crf": 20}),
        ("films/b.mp4", {"crf": 20, "output": "films"}),
        ("films/c.mp4", {"output": "films/ahead.mp4"}),
    ):
        answer = asked(path, **settings)
        assert answer.status == 422, answer.body
        assert "too, which is" in answer.json["error"]
        assert "submit it with another output=ROOT/NAME" in answer.json["error"]
    for path, settings in (
        ("films/b.mp4", {"range": "0-0.5"}),
        ("films/b.mp4", {"crf": 20, "output": "films/low.mp4"}),
        ("films/b.mp4", {"crf": 20, "overwrite": True}),
        ("films/c.mp4", {}),
    ):
        assert asked(path, **settings).status == 201
    assert asked("films/b.mp4").json["id"] == job


def test_a_paused_job_goes_on_from_its_last_chunk(emptied: Server) -> None:
    job = emptied.submit("films/a.mp4", output="films/paused.mp4")
    while not (emptied.api("GET", f"jobs/{job}")["progress"] or {}).get("chunks_done"):
        time.sleep(0.05)
    asked = emptied.api("POST", f"jobs/{job}/pause")
    assert (asked["state"], asked["request"]) in {("running", "pause"), ("paused", None)}
    paused = emptied.until(job, "paused")
    done = paused["progress"]["chunks_done"]
    assert 0 < done < 4
    pictures = [emptied.call("GET", f"/api/v1/jobs/{job}/{side}") for side in ("before", "after")]
    assert [p.body[:3] for p in pictures] == [b"\xff\xd8\xff"] * 2
    time.sleep(0.5)
    assert emptied.api("GET", f"jobs/{job}")["state"] == "paused"
    emptied.api("POST", f"jobs/{job}/resume")
    found = emptied.until(job, "finished")
    assert found["attempts"] == 2
    assert emptied.call("POST", f"/api/v1/jobs/{job}/pause").status == 409


def test_a_cancelled_job_ends_and_a_retry_goes_on(emptied: Server, root: Path) -> None:
    job = emptied.submit("films/b.mp4", output="films/cancelled.mp4")
    while not (emptied.api("GET", f"jobs/{job}")["progress"] or {}).get("chunks_done"):
        time.sleep(0.05)
    assert emptied.call("DELETE", f"/api/v1/jobs/{job}").status == 409
    emptied.api("POST", f"jobs/{job}/cancel")
    emptied.until(job, "cancelled")
    assert not (root / "cancelled.mp4").exists()
    emptied.api("POST", f"jobs/{job}/retry")
    emptied.until(job, "finished")
    assert (root / "cancelled.mp4").exists()


def test_a_job_that_fails_says_the_commands_line_and_does_not_stop_the_next(
    emptied: Server, root: Path
) -> None:
    (root / "broken.mp4").write_bytes(b"no film")
    bad = emptied.submit("films/broken.mp4")
    good = emptied.submit("films/c.mp4", output="films/good.mp4")
    found = emptied.until(bad, "failed")
    assert found["exit_code"] == 3
    assert found["error"].startswith("films/broken.mp4: ")
    assert str(root) not in json.dumps(found)
    emptied.until(good, "finished")
    (root / "broken.mp4").unlink()


def test_events_tell_each_change_and_what_came_first(emptied: Server) -> None:
    host, port = emptied.base.removeprefix("http://").split(":")
    line = http.client.HTTPConnection(host, int(port), timeout=120)
    line.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {TOKEN}"})
    stream = line.getresponse()
    job = emptied.submit("films/d.mp4", output="films/events.mp4")
    found: list[tuple[str, Any]] = []
    kind = ""
    while not any(k == "job" and v["state"] == "finished" for k, v in found):
        text = stream.readline().decode().strip()
        if text.startswith("event: "):
            kind = text.removeprefix("event: ")
        elif text.startswith("data: "):
            found.append((kind, json.loads(text.removeprefix("data: "))))
    line.close()
    assert found[0] == ("queue", [])
    assert ("queue", [job]) in found
    states = [v["state"] for k, v in found if k == "job"]
    assert sorted(set(states), key=states.index) in (
        ["queued", "running", "finished"],
        ["running", "finished"],
    )


def test_the_server_loads_neither_torch_nor_a_parser_of_media(films: Path, tmp_path: Path) -> None:
    program = (
        "import sys, threading, time, json, urllib.request\n"
        "from vsr.server import server_process\n"
        "from vsr.server.services import ServerOptions\n"
        "from pathlib import Path\n"
        "import vsr.cli.main\n"
        "def use(address):\n"
        "    base, token = address.split('/?token=')\n"
        "    for path in ('roots', 'presets', 'networks', 'settings', 'jobs', 'files?path=films', 'probe?path=films/a.mp4'):\n"
        "        asked = urllib.request.Request(f'{base}/api/v1/{path}', headers={'Authorization': f'Bearer {token}'})\n"
        "        urllib.request.urlopen(asked).read()\n"
        "    print('loaded', sorted({'torch', 'ray', 'av', 'numpy', 'numba', 'spandrel'} & set(sys.modules)), flush=True)\n"
        "    import os, signal; os.kill(os.getpid(), signal.SIGTERM)\n"
        "settings = server_process.ServerSettings(port=0, roots=[Path(sys.argv[1])])\n"
        "server_process.serve(settings, print, lambda a: threading.Thread(target=use, args=(a,), daemon=True).start())\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(films)],
        env=environment(VSR_DATA_HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)),
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert "loaded []" in done.stdout.splitlines(), done.stdout + done.stderr


def test_a_second_server_of_the_same_queue_is_refused(slow: Server, root: Path) -> None:
    done = vsr("serve", "--root", root, "--port", "0", "--no-browser", VSR_DATA_HOME=str(slow.data))
    done.refused(2, "another vsr serve works on this queue at http://127.0.0.1:")


def test_another_host_needs_a_token_file_and_says_what_it_exposes(tmp_path: Path) -> None:
    done = vsr(
        "serve", "--host", "0.0.0.0", "--port", "0", "--root", tmp_path, VSR_DATA_HOME=str(tmp_path / "data")
    )
    done.refused(2, "--host 0.0.0.0", "--token-file", "TLS")
    token = tmp_path / "token"
    token.write_text("short")
    done = vsr("serve", "--token-file", token, "--port", "0", VSR_DATA_HOME=str(tmp_path / "data"))
    done.refused(2, "holds no token")
    token.write_text("x" * 32)
    token.chmod(0o644)
    done = vsr("serve", "--token-file", token, "--port", "0", VSR_DATA_HOME=str(tmp_path / "data"))
    done.refused(2, "others can read it")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--root", "/nonexistent"], ["--root /nonexistent", "is not a folder"]),
        (
            ["--host", "not.a.host.invalid", "--token-file", "TOKEN"],
            ["--host not.a.host.invalid", "is not an address"],
        ),
        (["--cluster", "local:x"], ["--cluster local:x"]),
    ],
)
def test_wrong_options_are_refused_in_one_line(tmp_path: Path, given: list[str], words: list[str]) -> None:
    given = [str(tmp_path / "token") if word == "TOKEN" else word for word in given]
    vsr("serve", "--port", "0", *given, VSR_DATA_HOME=str(tmp_path), cwd=tmp_path).refused(2, *words)


def test_a_port_that_is_taken_is_refused_in_one_line(slow: Server, tmp_path: Path) -> None:
    port = slow.base.rpartition(":")[2]
    vsr("serve", "--port", port, "--root", tmp_path, VSR_DATA_HOME=str(tmp_path)).refused(
        2, f"--port {port}", "can't be listened on"
    )
