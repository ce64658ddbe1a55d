"""Which videos are found for files, folders and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import MediaError, UsageError
from pipelines.media import file_types
from pipelines.plan.output_names import report_path
from pipelines.run.inputs import Input, find_inputs, image_messages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.mp4",
        "a.MKV",
        "notes.txt",
        ".hidden.mp4",
        "a.2160p.mp4",
        "a.2160p.mp4.vsr.json",
        "deep/c.mov",
        "deep/.d.mov",
        ".x/e.mp4",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def names(found: list[Input]) -> list[str]:
    return [one.path.name for one in found]


def test_a_folder_means_its_videos_without_results_of_earlier_runs(folder: Path) -> None:
    assert names(find_inputs([folder], None)) == ["a.MKV", "b.mp4"]


def test_names_as_long_as_a_folder_takes_are_inputs_and_results_like_others(folder: Path) -> None:
    film, result = folder / f"{'c' * 251}.mp4", folder / f"{'ü' * 122}r.mkv"
    for path in (film, result, report_path(result)):
        path.write_bytes(b"x")
    assert names(find_inputs([folder], None)) == ["a.MKV", "b.mp4", film.name]


def test_subfolders_are_mirrored_on_request(folder: Path, tmp_path: Path) -> None:
    found = find_inputs([folder], tmp_path / "out", recursive=True)
    assert {(one.path.name, one.output, one.is_mirrored) for one in found} == {
        ("a.MKV", tmp_path / "out", False), ("b.mp4", tmp_path / "out", False), ("c.mov", tmp_path / "out" / "deep", True),
    }  # fmt: skip
    assert (tmp_path / "out").is_dir()


def test_a_pattern_means_what_it_matches(folder: Path) -> None:
    assert names(find_inputs([folder / "*.mp4"], None)) == ["b.mp4"]
    assert names(find_inputs([folder / "**" / "*.[mM]*"], None)) == ["a.MKV", "b.mp4", "c.mov"]


def test_a_file_is_itself_whatever_its_name_says(folder: Path) -> None:
    """Case 72: a name with brackets is no pattern, and what is named is taken, even a result."""
    odd = folder / "[a-b]*.mp4"
    odd.write_bytes(b"x")
    assert names(find_inputs([odd], None)) == ["[a-b]*.mp4"]
    assert names(find_inputs([folder / "a.2160p.mp4"], None)) == ["a.2160p.mp4"]
    assert names(find_inputs([folder / "frame_%05d.png"], None)) == ["frame_%05d.png"]


def test_what_is_named_twice_is_done_once(folder: Path) -> None:
    assert names(find_inputs([folder / "b.mp4", folder, folder / ".." / "in" / "b.mp4"], None)) == [
        "b.mp4",
        "a.MKV",
    ]


def test_nothing_found_is_said(folder: Path) -> None:
    (folder.parent / "empty").mkdir()
    for path, said in (
        (folder.parent / "empty", "no video and no picture in this folder"),
        (folder / "*.webm", "no file is called like that"),
    ):
        with pytest.raises(MediaError, match=said):
            find_inputs([path], None)


def test_a_folder_of_photos_means_the_photos(tmp_path: Path) -> None:
    for name in (
        "a.jpg",
        "b.PNG",
        "b.2160p.png",
        "b.2160p.png.vsr.json",
        ".c.jpg",
        "up_1.png",
        "up_2.png",
        "up_%d.png.vsr.json",
        "c.heic",
        "d.HEIF",
        "e.avif",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    assert names(find_inputs([tmp_path], None)) == ["a.jpg", "b.PNG", "c.heic", "d.HEIF", "e.avif"]
    assert image_messages([tmp_path]) == []


def test_pictures_next_to_films_are_left_alone_and_named_with_the_pattern_to_type(folder: Path) -> None:
    for name in ("poster.jpg", "fanart.jpg", "deep/cover.png"):
        (folder / name).touch()
    assert names(find_inputs([folder], None)) == ["a.MKV", "b.mp4"]
    assert image_messages([folder]) == [
        f"{folder}: 2 pictures beside the videos left alone; '{folder}/*.jpg' would take them"
    ]
    patterns = f"'{folder}/**/*.jpg' '{folder}/**/*.png'"
    assert image_messages([folder], recursive=True) == [
        f"{folder}: 3 pictures beside the videos left alone; {patterns} would take them"
    ]


def test_many_numbered_pictures_are_said_to_look_like_a_film(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"shot_{number:03d}.png").touch()
    (said,) = image_messages([tmp_path])
    assert said == (
        f"{tmp_path}: 30 numbered pictures, each upscaled by itself and with a restoration level of its own;"
        f" {tmp_path}/shot_%03d.png would take them as a film, steady and faster"
    )


@pytest.mark.parametrize(("numbers", "looks"), [((7, 8, 9), True), ((7, 8), False), ((7, 9, 10, 11), False)])
def test_few_pictures_look_like_a_film_where_their_numbers_have_no_gaps(
    tmp_path: Path, numbers: tuple[int, ...], looks: bool
) -> None:
    for number in numbers:
        (tmp_path / f"shot_{number:03d}.png").touch()
    assert bool(image_messages([tmp_path])) == looks


@pytest.mark.parametrize("given", ["", "shot_*.png"])
def test_numbered_pictures_given_a_film_as_output_are_refused_with_their_pattern(
    tmp_path: Path, given: str
) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"shot_{number:03d}.png").touch()
    with pytest.raises(UsageError) as refused:
        find_inputs([tmp_path / given], tmp_path / "out.mov")
    assert str(refused.value).endswith(
        f"need a folder as -o; {tmp_path / 'shot_%03d.png'} would take the numbered pictures as one film"
    )


def test_a_folder_for_outputs_is_made_only_for_a_run(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "up"
    for makes in (False, True):
        found = find_inputs([folder], output, makes_folder=makes)
        assert {one.output for one in found} == {output}
        assert output.is_dir() == makes
    with pytest.raises(UsageError, match="need a folder as -o"):
        find_inputs([folder], tmp_path / "up.mp4", makes_folder=False)


def test_several_never_share_one_file(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need a folder as -o$"):
        find_inputs([folder], tmp_path / "out.mkv")
    assert find_inputs([folder / "b.mp4"], tmp_path / "out.mkv") == [
        Input(folder / "b.mp4", tmp_path / "out.mkv")
    ]


def test_an_output_without_a_suffix_is_a_folder_that_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    find_inputs([tmp_path / "a.mp4"], tmp_path / "results")
    assert (tmp_path / "results").is_dir()
    find_inputs([tmp_path / "a.mp4"], tmp_path / "result.mkv")
    assert not (tmp_path / "result.mkv").exists()


def test_a_folder_s_videos_are_found_whatever_container_they_lie_in(tmp_path: Path) -> None:
    """One list for runs, data sets and evaluation.

    What FFmpeg calls such files is among the demuxers that inputs are opened with.
    """
    suffixes = ".asf .f4v .mod .3g2 .trp .dv .rm .m2v .3gp .tod .m2t .MOD .TRP .ogm .rmvb .wtv .mpe .mk3d .vro".split()
    for suffix in suffixes:
        (tmp_path / f"a{suffix}").touch()
    (tmp_path / "notes.txt").touch()
    wanted = sorted(f"a{s}" for s in suffixes)
    assert sorted(names(find_inputs([tmp_path], None))) == wanted
    assert sorted(p.name for p in file_types.find_inputs([tmp_path])) == wanted
