"""The command as people and programs call it: exit codes, JSON lines, refusals before work starts.

Cases 45, 50 to 52, 64, 66, 72.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from pipelines.output.journal import Journal
from tests import media
from tests.helpers.command import COPIED_AS_FFV1, ROOT, Outcome, arguments, environment, python, vsr
from tests.helpers.sameness import assert_same_timing
from tests.helpers.view import frames
from vsr.cli.main import cli, main

IDENTITY = (*COPIED_AS_FFV1, "--device", "cpu")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("film") / "film.mp4", frames=30, rate=Fraction(25))


# --- as written in the issue


def test_the_command_other_tools_call_works_as_written(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "OUT.mp4"
    options = "--scale 2 --model lanczos --codec h264 --crf 12 --preset ultrafast --chunk-seconds 2 --device cpu --overwrite --json".split()
    outcome = vsr("run", film, "-o", output, *options)
    assert outcome.code == 0, outcome.err
    kinds = [e["event"] for e in outcome.events]
    assert kinds[0] == "plan"
    assert kinds[-1] == "done"
    assert set(kinds) <= {"plan", "progress", "chunk", "phase", "note", "done"}
    assert len(outcome.events) == len(outcome.out.splitlines()), "something else than JSON on standard output"
    plan, done = outcome.event("plan"), outcome.event("done")
    assert (plan["size"], plan["frames"], plan["models"], plan["encoder"]) == (
        [128, 96],
        30,
        ["lanczos"],
        "libx264",
    )
    assert (done["output"], done["frames"], done["bytes"]) == (str(output), 30, output.stat().st_size)
    assert_same_timing(output, film)
    assert frames(output)[0].size == (128, 96)


def test_probe_prints_one_object_with_the_agreed_keys(film: Path) -> None:
    outcome = vsr("probe", film, "--json")
    (found,) = [json.loads(line) for line in outcome.out.splitlines()]
    wanted = "width height pix_fmt frames time_base start_pts first_pts last_pts vfr interlaced color streams".split()
    assert set(wanted) <= set(found)
    assert [found[k] for k in wanted[:10]] == [64, 48, "yuv420p", 30, "1/12800", 0, 0, 29 * 512, False, False]
    assert set(found["color"]) >= {"matrix", "range", "primaries", "transfer", "siting"}


def test_probe_counts_exactly_on_request(here, tmp_path: Path) -> None:
    source = media.edit_list(tmp_path / "in.mp4")
    assert json.loads(here("probe", source, "--json").out)["frames"] == 25
    assert json.loads(here("probe", source, "--json", "--exact").out)["frames"] == 25
    text = here("probe", source).out
    assert "25" in text
    assert "h264 64x48, 25 fps, 8 bits 4:2:0" in text


def test_plan_shows_what_run_would_do_and_writes_nothing(here, tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=30, rate=Fraction(25))
    planned = here("plan", source, "--scale", "3", "--model", "bicubic", "--json").events[0]
    assert (planned["size"], planned["frames"], planned["models"]) == ([192, 144], 30, ["bicubic"])
    assert planned["output"] == str(tmp_path / "in.144p.mp4")
    assert (
        "64x48 -> 192x144, 30 frames, bicubic"
        in here("plan", source, "--scale", "3", "--model", "bicubic").out
    )
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_models_lists_the_classical_scalers(here) -> None:
    outcome = here("models")
    assert outcome.code == 0
    for name in ("identity", "nearest", "bilinear", "bicubic", "lanczos"):
        assert name in outcome.out
    assert all(
        {"name", "scale", "description"} <= set(card)
        for card in map(json.loads, here("models", "--json").out.splitlines())
    )


def test_clean_deletes_abandoned_work_and_nothing_else(here, tmp_path: Path) -> None:
    work = tmp_path / "deep" / ".film.mkv.vsr-work"
    work.mkdir(parents=True)
    (work / "000000.chunk").write_bytes(b"x" * 1000)
    (tmp_path / "deep" / "film.mkv").write_bytes(b"keep")
    told = here("clean", tmp_path, "--yes").out
    assert f"{work}  1.0 kB" in told
    assert told.endswith("1.0 kB freed\n")
    assert not work.exists()
    assert (tmp_path / "deep" / "film.mkv").exists()
    assert "nothing to delete" in here("clean", tmp_path).out
    here("clean", tmp_path / "elsewhere").refused(2, "elsewhere: is not a folder")


def test_clean_leaves_the_work_of_a_run_that_goes_on_and_deletes_the_rest(
    here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = [tmp_path / f".{name}.mkv.vsr-work" for name in "abc"]
    for work in works:
        work.mkdir()
    running = Journal(works[1])
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = here("clean", tmp_path)
    assert "Delete 2 work directories?" in asked.out
    assert f"{works[1]}: another run is writing this output; not deleted" in asked.out
    assert [work.exists() for work in works] == [True, True, True]
    outcome = here("clean", tmp_path, "--yes")
    running.close()
    assert outcome.code == 0, outcome.err
    assert f"{works[1]}: another run is writing this output; not deleted" in outcome.out
    assert [work.exists() for work in works] == [False, True, False]


# --- exit codes


def test_usage_errors_end_with_2(here, film: Path, tmp_path: Path) -> None:
    here("run", film, "--scale", "2", "--to", "4k").refused(2, "--to and --scale exclude each other")
    here("run", film, "--model", "nothing").refused(2, "no such network", "lanczos")
    here("run", film, "--to", "1x").refused(2, "is a factor; give --scale 1")
    here("run", film, "--to", "32x24", "--codec", "h264", "-o", tmp_path / "o.mp4").refused(
        2, "not above the source"
    )
    here("run", film, "--crf", "20", "--codec", "ffv1", "-o", tmp_path / "o.mkv").refused(2, "--crf")
    here("run", film, "-o", tmp_path / "o.xyz").refused(2, ".xyz")
    here("run", film, "--encoder-option", "tune").refused(2, "KEY=VALUE")
    here("run", film, "--range", "9-3").refused(2, "--range")
    here("run", film, "--chunk-seconds", "0").refused(2, "--chunk-seconds")
    here("run", film, "--config", tmp_path / "none.toml").refused(2, "none.toml")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_ends_with_2_and_the_usage(here, film: Path) -> None:
    outcome = here("run", film, "--bogus")
    assert outcome.code == 2
    assert "--bogus" in outcome.err


@pytest.mark.parametrize("content", [b"", b"text, not film\n" * 99])
def test_what_is_no_film_ends_with_3(here, tmp_path: Path, content: bytes) -> None:
    """Case 64."""
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    here("run", path).refused(3, "x.mp4")
    here("probe", path).refused(3, "x.mp4")
    here("run", tmp_path / "none.mp4").refused(3, "none.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]


def test_errors_are_json_objects_too(here, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"")
    outcome = here("run", path, "--json")
    assert outcome.event("error") == {
        "event": "error",
        "kind": "MediaError",
        "exit_code": 3,
        "message": f"{path}: is empty",
    }


def test_a_refusal_loads_no_torch_and_starts_no_child(tmp_path: Path) -> None:
    """Case 64: said at once, before any worker is there."""
    path = tmp_path / "x.mp4"
    path.write_bytes(b"no film" * 100)
    program = (
        "import sys, subprocess\n"
        "subprocess.Popen = None\n"
        "from vsr.cli.main import main\n"
        f"try: main(['run', {str(path)!r}])\n"
        "except SystemExit as e: print(e.code, 'torch' in sys.modules)\n"
    )
    done = python(program, seconds=60)
    assert done.stdout.split() == ["3", "False"], done.stderr


# --- outputs that are in the way


def test_the_same_command_again_says_already_done(here, film: Path, tmp_path: Path) -> None:
    """Case 45."""
    output = tmp_path / "out.mkv"
    assert here("run", film, "-o", output, *IDENTITY).code == 0
    before = output.stat().st_mtime_ns
    again = here("run", film, "-o", output, *IDENTITY)
    assert again.code == 0
    assert "already done" in again.err
    assert here("run", film, "-o", output, *IDENTITY, "--json").events == [
        {"event": "done", "output": str(output), "already": True}
    ]
    assert output.stat().st_mtime_ns == before
    assert here("run", film, "-o", output, *IDENTITY, "--fresh").code == 0
    assert output.stat().st_mtime_ns > before


def test_another_output_is_not_overwritten_unless_requested(here, film: Path, tmp_path: Path) -> None:
    """Case 51."""
    output = tmp_path / "out.mkv"
    output.write_bytes(b"mine")
    here("run", film, "-o", output, *IDENTITY).refused(2, "already exists", "--overwrite")
    assert output.read_bytes() == b"mine"
    assert here("run", film, "-o", output, *IDENTITY, "--overwrite").code == 0
    assert len(frames(output)) == 30


@pytest.mark.parametrize("how", ["same", "hardlink", "symlink", "dotted"])
def test_the_input_is_never_the_output(here, tmp_path: Path, how: str) -> None:
    """Case 52."""
    source = media.cfr(tmp_path / "in.mkv", frames=4)
    before = source.read_bytes()
    output = tmp_path / "other.mkv"
    if how == "hardlink":
        os.link(source, output)
    elif how == "symlink":
        output.symlink_to(source)
    elif how == "dotted":
        (tmp_path / "sub").mkdir()
        output = tmp_path / "sub" / ".." / "in.mkv"
    else:
        output = source
    here("run", source, "-o", output, *IDENTITY, "--overwrite").refused(2, "is the input itself")
    assert source.read_bytes() == before


def test_a_missing_folder_is_made(here, film: Path, tmp_path: Path) -> None:
    """Case 50."""
    assert here("run", film, "-o", tmp_path / "none" / "out.mkv", *IDENTITY).code == 0
    assert (tmp_path / "none" / "out.mkv").is_file()
    here("run", film, "-o", tmp_path / "none" / "out.mkv" / "more.mkv", *IDENTITY).refused(2, "is a file")


def test_a_folder_nobody_may_write_to_ends_with_2_before_work(film: Path) -> None:
    """Case 50. Not below pytest's folder, which is its user's alone."""
    if os.geteuid() == 0:
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*drop, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root may write anywhere, and setpriv can't change that here")
    else:
        drop = []
    with tempfile.TemporaryDirectory(prefix="vsr-test-") as place:
        Path(place).chmod(0o755)
        readable, target = Path(place) / "film.mp4", Path(place) / "closed"
        readable.write_bytes(film.read_bytes())
        readable.chmod(0o644)
        target.mkdir()
        target.chmod(0o555)
        done = subprocess.run([*drop, *arguments("run", readable, "-o", target / "out.mkv", *IDENTITY, "--json")], env=environment(HOME="/tmp"), capture_output=True,
                              text=True, timeout=60, check=False, cwd="/")  # fmt: skip
    if "No module named" in done.stderr or "Permission denied:" in done.stderr:
        pytest.skip("the package itself can't be read by another user here")
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    outcome.refused(2, "closed", "no permission to write")
    assert [e["event"] for e in outcome.events] == ["error"]


# --- several inputs


def test_one_bad_file_does_not_stop_the_others(here, tmp_path: Path) -> None:
    """Case 61."""
    folder, results = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "c.mp4"):
        media.cfr(folder / name, frames=5)
    (folder / "b.mp4").write_bytes(b"broken")
    (folder / "notes.txt").write_text("no video")
    results.mkdir()
    outcome = here("run", folder, "-o", results, *IDENTITY)
    assert outcome.code == 8
    assert "2 of 3 done, 1 failed" in outcome.err
    assert sorted(p.name for p in results.glob("*.mkv")) == ["a.48p.mkv", "c.48p.mkv"]


def test_a_folder_without_video_is_refused(here, tmp_path: Path) -> None:
    here("run", tmp_path).refused(3, "no video and no picture in this folder")


def test_several_inputs_need_a_folder(here, tmp_path: Path) -> None:
    sources = [media.cfr(tmp_path / f"{n}.mp4", frames=3) for n in "ab"]
    here("run", *sources, "-o", tmp_path / "out.mkv", *IDENTITY).refused(2, "need a folder")


# --- sizes


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 64), (64, 1), (3, 5), (33, 17), (853, 479)])
@pytest.mark.parametrize("codec", ["ffv1", "h264", "hevc"])
def test_odd_sizes_follow_the_stated_rule(here, tmp_path: Path, size: tuple[int, int], codec: str) -> None:
    """Case 66: 4:2:0 output is even, by one more column or row; ffv1 keeps odd sides."""
    count = 3 if size[0] < 500 else 2
    source = media.cfr(
        tmp_path / "in.mkv",
        frames=count,
        codec="ffv1",
        gop=1,
        size=size,
        options={"slices": "1"} if size[0] < 500 else {},
    )
    output = tmp_path / "out.mkv"
    more = () if codec == "ffv1" else ("--crf", "10", "--preset", "ultrafast")
    outcome = here(
        "run",
        source,
        "-o",
        output,
        "--scale",
        "1",
        "--model",
        "identity",
        "--codec",
        codec,
        *more,
        "--device",
        "cpu",
    )
    even = tuple(n + n % 2 for n in size) if codec != "ffv1" else size
    if codec == "hevc" and even[0] < 64:
        outcome.refused(2, "hevc", "64")  # smaller ones make x265 write beyond its memory
        return
    if codec == "hevc" and even[1] < 16:
        outcome.refused(2, "libx265", "refuses")
        return
    assert outcome.code == 0, outcome.err
    found = frames(output)
    assert len(found) == count
    assert {f.size for f in found} == {even}
    if codec == "ffv1":
        assert [f.digest for f in found] == [f.digest for f in frames(source)]


@pytest.mark.parametrize("scale", [2, 3])
def test_odd_sizes_are_upscaled_as_well(here, tmp_path: Path, scale: int) -> None:
    """Case 66."""
    source = media.cfr(tmp_path / "in.mkv", frames=2, codec="ffv1", gop=1, size=(33, 17))
    output = tmp_path / "out.mkv"
    outcome = here(
        "run",
        source,
        "-o",
        output,
        "--scale",
        str(scale),
        "--model",
        "lanczos",
        "--codec",
        "h264",
        "--preset",
        "ultrafast",
        "--device",
        "cpu",
    )
    assert outcome.code == 0, outcome.err
    assert frames(output)[0].size == (33 * scale + scale % 2, 17 * scale + scale % 2)


def test_a_film_of_one_frame_comes_out_as_one_frame(here, tmp_path: Path) -> None:
    """Case 66."""
    source = media.cfr(tmp_path / "in.mp4", frames=1)
    output = tmp_path / "out.mp4"
    outcome = here(
        "run",
        source,
        "-o",
        output,
        "--scale",
        "2",
        "--model",
        "nearest",
        "--codec",
        "h264",
        "--device",
        "cpu",
    )
    assert outcome.code == 0, outcome.err
    assert [f.pts for f in frames(output)] == [0]


def test_a_size_beyond_the_codec_is_refused_before_work(here, film: Path, tmp_path: Path) -> None:
    """Case 67."""
    here(
        "run", film, "-o", tmp_path / "o.mp4", "--to", "20000x15000", "--codec", "h264", "--model", "lanczos"
    ).refused(2, "h264 can't hold 20000x15000")
    assert list(tmp_path.iterdir()) == []


# --- pictures


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_a_picture_goes_in_and_comes_out(here, tmp_path: Path, suffix: str) -> None:
    import av

    first = tmp_path / "in.jpg"
    first.write_bytes(media.jpeg(48, 32))
    output = tmp_path / f"out{suffix}"
    outcome = here("run", first, "-o", output, "--scale", "2", "--model", "lanczos", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    with av.open(str(output)) as container:
        (frame,) = list(container.decode(video=0))
        assert (frame.width, frame.height) == (96, 64)


# --- names on the command line


def test_a_name_with_a_dash_or_a_newline_is_a_file_to_the_command(tmp_path: Path) -> None:
    """Case 72."""
    for name in ("-x.mp4", "new\nline.mp4", "$(touch executed).mp4"):
        media.cfr(tmp_path / "film.mp4", frames=3).rename(tmp_path / name)
        outcome = vsr("probe", "--json", "--", name, cwd=tmp_path)
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["frames"] == 3
    assert not (tmp_path / "executed").exists()
    outcome = vsr("probe", b"\xff\xfe.mp4", cwd=tmp_path)
    outcome.refused(3, "can't be read")


def test_help_names_every_command_and_the_exit_codes() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    for command in ("run", "plan", "probe", "models", "clean"):
        assert f"\n  {command} " in text
    assert "Exit codes" in text


def test_python_m_vsr_among_decoys_says_so_in_one_line(tmp_path: Path) -> None:
    for name in ("models", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the decoy was run')\n")
    env = {k: v for k, v in environment().items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "vsr", "models"],
        cwd=tmp_path,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    Outcome(done.returncode, done.stdout, done.stderr).refused(2, "is not ours")


@pytest.mark.parametrize("command", ["", "run", "dataset", "train", "evaluate"])
def test_examples_in_the_help_keep_their_lines(command: str) -> None:
    text = CliRunner().invoke(cli, [*command.split(), "--help"]).output
    assert "\\b" not in text
    assert any(line.strip().startswith(("vsr ", "Example: vsr ")) for line in text.splitlines())


def test_the_end_of_a_file_within_ffmpeg_is_no_ctrl_d(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 47: click ends for any EOFError as for an interruption.

    This one would be a bug, and keeps its traceback.
    """

    def ends(*_: object, **__: object) -> None:
        raise av.error.EOFError(541478725, "End of file")

    monkeypatch.setattr("pipelines.probe.probe.probe", ends)
    with pytest.raises(av.error.EOFError):
        main(["probe", str(film)])


def test_a_plan_takes_a_pattern_of_one_file_and_a_side_alone_is_answered_with_a_size(
    here, tmp_path: Path
) -> None:
    media.cfr(tmp_path / "film.mp4", frames=2)
    outcome = here("plan", tmp_path / "fi*.mp4", *IDENTITY)
    assert outcome.code == 0, outcome.err
    here("plan", tmp_path / "film.mp4", "--to", "1280").refused(2, "WIDTHxHEIGHT", "such as 1280x720")
