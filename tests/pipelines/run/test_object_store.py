"""Remote files, read from a real S3 server on the loopback interface. Cases 69, 71 and 80."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import MediaError, ResourceError, UsageError, redacted
from pipelines.plan.events import AlreadyDone, Finished
from pipelines.run import remote_job
from pipelines.run.batch import upscale_videos
from pipelines.run.inputs import find_inputs
from pipelines.storage import object_store
from pipelines.storage.object_store import RemoteFile, Url, staged_path
from tests import media
from tests.helpers.inline import QUICK
from vsr.api import run_settings
from vsr.cli.main import main

pytest.importorskip("s3fs", reason="the extra `remote` is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
pytestmark = [
    pytest.mark.usefixtures("inline"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with a bucket called films."""
    import boto3

    before = dict(os.environ)
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="key-of-nobody",
        AWS_SECRET_ACCESS_KEY="secret-of-nobody",
        AWS_DEFAULT_REGION="us-east-1",
    )
    boto3.client("s3").create_bucket(Bucket="films")
    yield os.environ["AWS_ENDPOINT_URL"]
    running.stop()
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]


@pytest.fixture
def bucket(server: str) -> Any:
    """The bucket, empty."""
    import boto3

    found = boto3.resource("s3").Bucket("films")
    found.objects.all().delete()
    return found


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("film") / "film.mp4", frames=5)


def run(given: list[str], output: str | Path, staging: Path, **more: Any) -> list[Any]:
    inputs = find_inputs(
        [Url(g) if "://" in g else Path(g) for g in given],
        output if isinstance(output, Path) else Url(output),
        allow_url=True,
        staging=staging,
    )
    return [event for _, event in upscale_videos(inputs, run_settings(**QUICK), **more)]


def names(bucket: Any) -> list[str]:
    return sorted(o.key for o in bucket.objects.all())


def test_a_film_comes_from_there_and_its_result_goes_there(bucket: Any, film: Path, tmp_path: Path) -> None:
    bucket.upload_file(str(film), "in/film.mp4")
    events = run(["s3://films/in/film.mp4"], "s3://films/out/", tmp_path)
    assert isinstance(events[-1], Finished), events
    assert events[-1].output == "s3://films/out/film.48p.mkv"
    assert names(bucket) == ["in/film.mp4", "out/film.48p.mkv", "out/film.48p.mkv.vsr.json"]
    assert events[-1].bytes == bucket.Object("out/film.48p.mkv").content_length
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [], "staged files are left"
    again = run(["s3://films/in/film.mp4"], "s3://films/out/", tmp_path)
    assert again[-1] == AlreadyDone("s3://films/out/film.48p.mkv", 5, events[-1].bytes)


def test_a_plan_of_a_film_there_fetches_it_once_for_the_run_too(
    bucket: Any,
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket.upload_file(str(film), "in/film.mp4")
    url, output = "s3://films/in/film.mp4", tmp_path / "out.mkv"
    given = [url, "-o", str(output), "--staging", str(tmp_path / "staged")]
    options = ["--scale", "1", "--model", "identity", "--codec", "ffv1", "--device", "cpu"]
    for refused, said in (
        (given, "give --allow-url"),
        ([url, "--allow-url"], "say by -o where its result goes"),
    ):
        with pytest.raises(SystemExit):
            main(["plan", *refused, *options])
        assert said in capsys.readouterr().err
    main(["plan", *given, "--allow-url", *options])
    assert capsys.readouterr().out.startswith(f"{url}: 64x48 -> 64x48, 5 frames")
    assert not output.exists()
    monkeypatch.setattr(RemoteFile, "_piece", None)  # nothing is fetched again
    events = run([url], output, tmp_path / "staged")
    assert isinstance(events[-1], Finished), events


def test_a_folder_there_means_its_videos(bucket: Any, film: Path, tmp_path: Path) -> None:
    for key in ("in/a.mp4", "in/b.mp4", "in/b.mp4.vsr.json", "in/notes.txt"):
        bucket.upload_file(str(film), key)
    assert [
        i.url for i in find_inputs([Url("s3://films/in/")], tmp_path, allow_url=True, staging=tmp_path)
    ] == ["s3://films/in/a.mp4"]
    assert [
        i.url for i in find_inputs([Url("s3://films/in/*.mp4")], tmp_path, allow_url=True, staging=tmp_path)
    ] == ["s3://films/in/a.mp4"]


def test_a_download_goes_on_where_it_was_ended(
    bucket: Any, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.upload_file(str(film), "film.mp4")
    monkeypatch.setattr(object_store, "_PIECE_BYTES", 1000)
    url = Url("s3://films/film.mp4")
    path = staged_path(url, tmp_path)
    path.parent.mkdir()
    asked: list[int] = []
    piece = RemoteFile._piece

    def counted(self: RemoteFile, start: int, stop: int) -> bytes:
        asked.append(start)
        if len(asked) == 3:
            raise ResourceError("the line is cut")
        return piece(self, start, stop)

    monkeypatch.setattr(RemoteFile, "_piece", counted)
    with pytest.raises(ResourceError):
        list(RemoteFile(url).download(path))
    assert not path.exists()
    (said,) = list(RemoteFile(url).download(path))
    assert "resuming s3://films/film.mp4" in said
    assert asked[:4] == [0, 1000, 2000, 2000]
    assert path.read_bytes() == film.read_bytes()
    assert list(RemoteFile(url).download(path)) == [], "what is there is fetched again"


def test_what_changed_there_is_fetched_anew(bucket: Any, film: Path, tmp_path: Path) -> None:
    url = Url("s3://films/film.mp4")
    path = staged_path(url, tmp_path)
    path.parent.mkdir()
    for content in (b"one" * 500, b"two" * 500):
        bucket.put_object(Key="film.mp4", Body=content)
        list(RemoteFile(url).download(path))
        assert path.read_bytes() == content
    path.write_bytes(b"broken")
    list(RemoteFile(url).download(path))
    assert path.read_bytes() == b"two" * 500


def test_another_result_there_is_not_replaced_unless_requested(
    bucket: Any, film: Path, tmp_path: Path
) -> None:
    bucket.put_object(Key="out.mkv", Body=b"mine")
    (refused,) = run([str(film)], "s3://films/out.mkv", tmp_path)
    assert isinstance(refused, UsageError)
    assert "--overwrite" in str(refused)
    assert bucket.Object("out.mkv").content_length == 4
    done = run([str(film)], "s3://films/out.mkv", tmp_path, overwrite=True)
    assert isinstance(done[-1], Finished)
    assert done[-1].output == "s3://films/out.mkv"
    assert names(bucket) == ["out.mkv", "out.mkv.vsr.json"]
    assert bucket.Object("out.mkv").content_length > 4


def test_what_came_to_be_there_during_the_run_is_not_replaced(
    bucket: Any, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 51: nor what lies in the place of the report."""
    bucket.put_object(Key="out.mkv.vsr.json", Body=b"mine")
    (refused,) = run([str(film)], "s3://films/out.mkv", tmp_path)
    assert "out.mkv.vsr.json: already exists, and is not the report of a result" in str(refused)
    bucket.Object("out.mkv.vsr.json").delete()
    honest = remote_job.upscale_remote

    def meanwhile(*given: Any) -> Iterator[Any]:
        for event in honest(*given):
            yield event
            bucket.put_object(Key="out.mkv", Body=b"mine")

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.run.batch.upscale_remote", meanwhile)
        refused = run([str(film)], "s3://films/out.mkv", tmp_path)[-1]
    assert isinstance(refused, UsageError)
    assert "was created during the run" in str(refused)
    assert bucket.Object("out.mkv").content_length == 4
    assert isinstance(run([str(film)], "s3://films/out.mkv", tmp_path, overwrite=True)[-1], AlreadyDone)
    assert bucket.Object("out.mkv").content_length > 4


def test_an_upload_that_failed_is_done_by_the_same_command(
    bucket: Any, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(
            RemoteFile, "upload", lambda self, path: (_ for _ in ()).throw(ResourceError("the line is cut"))
        )
        assert isinstance(run([str(film)], "s3://films/out/", tmp_path)[-1], ResourceError)
    assert names(bucket) == []
    assert isinstance(run([str(film)], "s3://films/out/", tmp_path)[-1], AlreadyDone)
    assert names(bucket) == ["out/film.48p.mkv", "out/film.48p.mkv.vsr.json"]


def test_what_is_not_there_is_said_without_credentials(bucket: Any, tmp_path: Path) -> None:
    (error,) = run(["s3://films/none.mp4"], tmp_path / "out.mkv", tmp_path)
    assert isinstance(error, MediaError)
    assert "s3://films/none.mp4: is not there" in str(error)
    (error,) = run(["s3://no-such-bucket/none.mp4"], tmp_path / "out.mkv", tmp_path)
    assert "secret-of-nobody" not in str(error)
    assert (
        redacted("GET https://user:pass@host/film.mp4?X-Amz-Signature=abc failed")
        == "GET https://***@host/film.mp4?X-Amz-Signature=*** failed"
    )
    """Case 80."""


@pytest.mark.parametrize(
    "name", ["s3://films/film.mp4", "https://127.0.0.1/film.mp4", "gs://films/", "http://127.0.0.1/x.mp4"]
)
def test_without_leave_nothing_leaves_the_process(
    name: str, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases 69 and 71."""
    monkeypatch.setattr(RemoteFile, "__init__", lambda *_, **__: pytest.fail("an address was opened"))
    with pytest.raises(MediaError, match="--allow-url"):
        find_inputs([Url(name)], tmp_path)
    with pytest.raises(UsageError, match="--allow-url"):
        find_inputs([film], Url(name))


def test_kinds_that_can_t_be_are_refused(film: Path, tmp_path: Path) -> None:
    for name in (
        "file:///etc/passwd",
        "http://127.0.0.1/x.mp4",
        "memory://x.mp4",
        "ftp://host/x.mp4",
        "data://x.mp4",
    ):
        with pytest.raises(UsageError, match="can't be read; expected s3://, gs://, https://"):
            RemoteFile(Url(name))
    with pytest.raises(UsageError, match="can't be written"):
        find_inputs([film], Url("https://host/out.mp4"), allow_url=True, staging=tmp_path)
    with pytest.raises(UsageError, match="-o"):
        find_inputs([Url("s3://films/film.mp4")], None, allow_url=True, staging=tmp_path)


# --- https


@pytest.mark.parametrize("name", ["https://127.0.0.1/films/", "https://127.0.0.1/films/*.mp4"])
def test_folders_of_web_servers_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folders to list"):
        find_inputs([Url(name)], tmp_path, allow_url=True, staging=tmp_path)


class _Unmeasured(http.server.BaseHTTPRequestHandler):
    """Sends a film without saying how long it is, nor taking a part of it."""

    film = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.film)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


def test_a_film_whose_length_a_server_does_not_tell_is_fetched_whole(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Unmeasured, "film", film.read_bytes())
    monkeypatch.setattr(object_store, "_IN", ("http",))  # no certificates here
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Unmeasured) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        found = RemoteFile(Url(f"http://127.0.0.1:{running.server_port}/film.mp4"))
        for _ in range(2):  # nothing tells whether it is the same the second time
            said = list(found.download(tmp_path / "film.mp4"))
            assert "does not say how long" in said[0]
            assert (tmp_path / "film.mp4").read_bytes() == film.read_bytes()
        running.shutdown()
