"""Properties of images that decoders do not report."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from models.errors import MediaError
from pipelines.media.bitstream import caption_nal
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.exr_file import write_exr
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.tiff_file import write_tiff
from tests.helpers.view import decoded

_SIZE = (8, 6)


def _written(path: Path, *names: str, half: tuple[str, ...] = ()) -> Path:
    rng = np.random.default_rng(1)
    columns, rows = _SIZE
    return write_exr(
        path,
        {
            name: rng.random((rows // 2, columns // 2) if name in half else (rows, columns), np.float32)
            for name in names
        },
        _SIZE,
    )


@pytest.mark.parametrize(
    ("names", "half"),
    [
        (("Y", "RY", "BY"), ()),
        (("Y", "RY", "BY"), ("RY", "BY")),
        (("Y", "RY", "BY", "A"), ()),
        (("X", "Y", "Z"), ()),
        (("U", "V", "W"), ()),
        (("R", "G"), ()),
        (("Z",), ()),
    ],
)
def test_a_picture_whose_colour_ffmpeg_drops_or_misreads_is_refused(
    tmp_path: Path, names: tuple[str, ...], half: tuple[str, ...]
) -> None:
    """OpenEXR of luminance and chroma came out grey, CIE XYZ as if it were R'G'B'."""
    source = _written(tmp_path / "in.exr", *names, half=half)
    with pytest.raises(MediaError, match=f"channels are {', '.join(sorted(names))}.*save it with R, G and B"):
        probe(source)
    (tmp_path / "shot").mkdir()
    for number in range(1, 3):
        (tmp_path / "shot" / f"{number:03}.exr").write_bytes(source.read_bytes())
    with pytest.raises(MediaError, match="its channels are"):
        probe(tmp_path / "shot" / "%03d.exr")


def test_a_picture_with_its_colour_in_a_layer_is_refused_with_what_takes_it_out(tmp_path: Path) -> None:
    source = _written(
        tmp_path / "in.exr", "diffuse.R", "diffuse.G", "diffuse.B", "spec.R", "spec.G", "spec.B"
    )
    with pytest.raises(
        MediaError, match=r"`oiiotool IN.exr --ch diffuse.R,diffuse.G,diffuse.B --chnames R,G,B -o OUT.exr`"
    ):
        probe(source)


@pytest.mark.parametrize(
    "names", [("R", "G", "B"), ("r", "g", "b"), ("R", "G", "B", "A"), ("Y",), ("Y", "A")]
)
def test_a_picture_that_is_read_whole_has_nothing_to_be_reported(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    assert not [note for note in probe(_written(tmp_path / "in.exr", *names)).notes if "without" in note]


def test_channels_that_are_left_out_are_reported(tmp_path: Path) -> None:
    source = _written(tmp_path / "in.exr", "R", "G", "B", "Z", "spec.R", "spec.G", "spec.B")
    assert "the result will be without its channels Z, spec.B, spec.G, spec.R" in probe(source).notes


def test_pages_behind_the_first_are_reported(tmp_path: Path) -> None:
    """A page's directory ends with the place of the next one."""
    single = tmp_path / "one.tiff"
    with av.open(str(single), "w") as output:
        stream = output.add_stream("tiff", rate=25)
        stream.width, stream.height, stream.pix_fmt = *_SIZE, "rgb24"
        output.mux(stream.encode(av.VideoFrame(*_SIZE, "rgb24")))
        output.mux(stream.encode(None))
    content = bytearray(single.read_bytes())
    place = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[place : place + 2], "little")
    directory = content[place : place + 2 + 12 * entries] + bytes(4)
    end = place + 2 + 12 * entries
    content[end : end + 4] = len(content).to_bytes(4, "little")
    (tmp_path / "two.tiff").write_bytes(content + directory)
    assert not any("pages" in note for note in probe(single).notes)
    assert "the result will be without its further pages (1)" in probe(tmp_path / "two.tiff").notes


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 3)])
@pytest.mark.parametrize("kind", ["u4", "i4", "i2", "i1", "f2", "f4", "u2", "u1"])
def test_samples_of_a_tiff_are_read_as_what_they_are_or_refused(
    tmp_path: Path, kind: str, shape: tuple[int, ...], order: str
) -> None:
    """Case 30: FFmpeg took integers of 32 bits for floats, and half floats and signed integers for
    unsigned ones.
    """
    shares = np.random.default_rng(3).random(shape)
    dtype = np.dtype(kind)
    most = 1.0 if dtype.kind == "f" else np.iinfo(dtype).max
    source = write_tiff(tmp_path / "in.tiff", (shares * most).astype(dtype), order=order)
    is_read = kind in {"u1", "u2"} or (kind == "f4" and len(shape) == 3)
    if is_read:
        made = tmp_path / "out.tiff"
        upscaled(source, made)
        if dtype.kind == "u":
            (frame,) = decoded(made)
            wanted = (shares * most).astype(dtype)
            assert np.array_equal(frame.to_ndarray()[: shape[0], : shape[1]].reshape(shape), wanted)
        return
    with pytest.raises(
        MediaError, match="of (8|16|32) bits, which FFmpeg takes for others; save it|8 or 16 bits"
    ):
        probe(source)
    for way in ("u2", "f4") if len(shape) == 3 else ("u2",):  # the ways on work
        high = 1.0 if way == "f4" else 65535
        again = write_tiff(tmp_path / f"{way}.tiff", (shares * high).astype(way), order=order)
        assert probe(again).frame_count == 1


def test_exif_data_hide_no_other_data_of_a_picture(tmp_path: Path) -> None:
    """PyAV 18 can't name Exif data, and told of nothing else where there were some."""
    profile, exif = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), Image.Exif()
    exif[0x010F] = "maker"
    Image.new("RGB", (32, 24), "red").save(tmp_path / "a.jpg", icc_profile=profile, exif=exif)
    (note,) = (n for n in probe(tmp_path / "a.jpg").notes if "without" in n)
    assert "ICC profile" in note
    assert "Exif data" in note


def test_a_pan_and_scan_window_is_reported_where_it_is_less_than_the_frame(tmp_path: Path) -> None:
    """FFmpeg gives every MPEG-2 frame one (ISO/IEC 13818-2 clause 6.2.2.4)."""
    whole = media.write(tmp_path / "a.m2v", media.Film(frames=3, codec="mpeg2video"), container="mpeg2video")
    assert not any("pan-and-scan" in n for n in probe(whole).notes)
    data = bytearray(whole.read_bytes())
    at = data.index(b"\x00\x00\x01\xb5\x2b") + 8
    assert int.from_bytes(data[at : at + 4], "big") >> 18 == 64
    data[at : at + 4] = (48 << 18 | 1 << 17 | 48 << 3).to_bytes(4, "big")
    (tmp_path / "b.m2v").write_bytes(data)
    assert any("pan-and-scan" in n for n in probe(tmp_path / "b.m2v").notes)


def test_captions_that_begin_late_are_reported(tmp_path: Path) -> None:
    def late(number: int) -> bytes:
        unit = caption_nal("hevc", media.caption_of(number))
        return b"\0\0\0\1" + unit if number >= 16 else b""

    assert probe(media.hdr10(tmp_path / "a.mkv", frames=24, prefix=late)).captions
    assert not probe(media.hdr10(tmp_path / "b.mkv", frames=24)).captions


def _film_with_alpha(path: Path, codec: str, pix_fmt: str = "yuva420p", **options: str) -> Path:
    rng = np.random.default_rng(2)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
        for _ in range(3):
            frame = av.VideoFrame(128, 96, pix_fmt)
            for plane in frame.planes:
                plane.update(rng.integers(40, 200, plane.buffer_size).astype(np.uint8).tobytes())
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("in.webm", "libvpx-vp9", {}),
        ("in.mkv", "libvpx-vp9", {}),
        ("in.webm", "libvpx", {"auto-alt-ref": "0"}),
    ],
)
def test_alpha_of_vp8_and_vp9_is_said_to_be_left_out(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """Case 30: it is a second picture beside each one."""
    notes = " ".join(probe(_film_with_alpha(tmp_path / name, codec, **options)).notes)
    assert "alpha" in notes, notes
    plain = probe(_film_with_alpha(tmp_path / f"plain-{name}", codec, "yuv420p", **options))
    assert "alpha" not in " ".join(plain.notes)


@pytest.mark.parametrize("name", ["in.mp4", "in.mov", "in.mkv", "in.hevc", "in.ts"])
def test_alpha_in_a_layer_of_hevc_is_said_to_be_left_out(tmp_path: Path, name: str) -> None:
    """Case 30."""
    for pix_fmt in ("yuva420p", "yuv420p"):
        made = tmp_path / f"{pix_fmt}-{name}"
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=128x96:rate=25:duration=0.2",
        ]
        command += ["-c:v", "libx265", "-x265-params", "log-level=none:pools=none", "-pix_fmt", pix_fmt]
        if subprocess.run([*command, str(made)], capture_output=True, check=False).returncode:
            pytest.skip("FFmpeg's program writes no HEVC with alpha")
        assert ("alpha (a second layer of HEVC)" in " ".join(probe(made).notes)) == (pix_fmt == "yuva420p")


def test_hevc_with_alpha_whose_recording_tells_few_times_is_no_damage(tmp_path: Path) -> None:
    """Case 30: FFmpeg takes each repeated header within a frame for another frame, which has no time then."""
    made = tmp_path / "in.ts"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i"]
    command += ["testsrc2=size=128x96:rate=25:duration=0.4", "-c:v", "libx265", "-pix_fmt", "yuva420p"]
    command += ["-g", "2", "-x265-params", "log-level=none:pools=none"]
    if subprocess.run([*command, str(made)], capture_output=True, check=False).returncode:
        pytest.skip("FFmpeg's program writes no HEVC with alpha")
    info = probe(made)
    assert [b - a for a, b in itertools.pairwise(info.pts)] == [3600] * 9
    assert "alpha (a second layer of HEVC)" in " ".join(info.notes)


def test_a_result_does_not_speak_of_alpha_that_was_left_out(tmp_path: Path) -> None:
    """Case 30: nor of a 3D layout that is kept as a tag."""
    source = _film_with_alpha(tmp_path / "in.webm", "libvpx-vp9")
    upscaled(source, tmp_path / "out.mkv", scale=2, model="lanczos", codec="ffv1")
    with av.open(str(tmp_path / "out.mkv")) as result:
        assert "alpha_mode" not in {key.lower() for key in result.streams.video[0].metadata}
    assert "alpha" not in " ".join(probe(tmp_path / "out.mkv").notes)


def test_a_3d_layout_that_matroska_names_is_kept_and_not_said_to_be_lost(tmp_path: Path) -> None:
    """Case 30."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.metadata["stereo_mode"] = "left_right"
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame(128, 96, "yuv420p")))
        output.mux(stream.encode(None))
    assert "3D" not in " ".join(probe(source).notes)
    upscaled(source, tmp_path / "out.mkv", scale=2, model="lanczos", codec="ffv1")
    with av.open(str(tmp_path / "out.mkv")) as result:
        assert result.streams.video[0].metadata["stereo_mode"] == "left_right"


def test_alpha_is_reported_in_a_film_that_was_copied_to_another_container(tmp_path: Path) -> None:
    """Case 30: its tag is written otherwise there."""
    source = _film_with_alpha(tmp_path / "in.webm", "libvpx-vp9")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source), "-c", "copy"]
    subprocess.run([*command, str(tmp_path / "in.mkv")], capture_output=True, check=True)
    assert "alpha" in " ".join(probe(tmp_path / "in.mkv").notes)


def test_images_behind_the_first_one_of_a_jpeg_are_reported(tmp_path: Path) -> None:
    """Case 30: gain maps and second views."""
    photo = Image.fromarray(np.full((32, 48, 3), 90, np.uint8))
    photo.save(tmp_path / "two.jpg", format="MPO", save_all=True, append_images=[photo, photo])
    photo.save(tmp_path / "one.jpg")
    assert any("further pictures (2" in note for note in probe(tmp_path / "two.jpg").notes)
    assert not any("further pictures" in note for note in probe(tmp_path / "one.jpg").notes)


def test_an_animated_avif_is_a_film_and_its_alpha_is_said_to_be_left_out(tmp_path: Path) -> None:
    """Case 30."""
    if not features.check("avif"):
        pytest.skip("Pillow writes no AVIF here")
    shown = [Image.new("RGBA", (64, 48), (60 * n, 90, 200, 128)) for n in range(3)]
    shown[0].save(tmp_path / "in.avif", save_all=True, append_images=shown[1:], duration=40)
    events = upscaled(tmp_path / "in.avif", tmp_path / "out.mkv", model="lanczos", scale=2)
    assert len(decoded(tmp_path / "out.mkv")) == 3
    assert any("alpha" in what for what in planned_of(events).dropped)
    shown[0].save(tmp_path / "one.avif")
    upscaled(tmp_path / "one.avif", tmp_path / "one.png", model="lanczos", scale=2)
    assert (probe(tmp_path / "one.png").width, probe(tmp_path / "one.png").height) == (128, 96)


@pytest.mark.parametrize("name", ["in.png", "in.bmp", "in.webp"])
def test_pictures_one_behind_the_other_in_a_file_are_no_picture(tmp_path: Path, name: str) -> None:
    """Case 30: both stood in the result, of which every program shows the first."""
    one, two = (np.full((48, 64, 3), level, np.uint8) for level in (40, 200))
    for number, pixels in enumerate((one, two)):
        Image.fromarray(pixels).save(tmp_path / f"{number}-{name}")
    path = tmp_path / name
    path.write_bytes(b"".join((tmp_path / f"{n}-{name}").read_bytes() for n in range(2)))
    with pytest.raises(MediaError, match="holds 2 pictures"):
        upscaled(path, tmp_path / "out.png", model="lanczos", scale=2)


def test_every_picture_of_a_sequence_is_looked_at(tmp_path: Path) -> None:
    """Case 30: only the third one is misread, or holds more than FFmpeg reads."""
    shares = np.random.default_rng(4).random((12, 16, 3))
    for number in range(4):
        samples = (shares * 4e9).astype("u4") if number == 2 else shares.astype("f4")
        write_tiff(tmp_path / f"{number:03}.tiff", samples)
    with pytest.raises(MediaError, match=r"002\.tiff: its samples are integers of 32 bits"):
        probe(tmp_path / "%03d.tiff")
    for number in range(4):
        _written(tmp_path / f"{number:03}.exr", *("RGBZ" if number == 2 else "RGB"))
    assert any("channels Z" in note for note in probe(tmp_path / "%03d.exr").notes)
