"""`open_source` opens a path as a plain file; `open_decoder` opens its decoder with limits.

FFmpeg interprets names as URLs and detects playlists by content. Here a path is only a path: the only
protocol is "file", and only the demuxers listed below can be chosen.
"""

from __future__ import annotations

import difflib
import functools
import io
import os
import stat
from typing import TYPE_CHECKING, Any

import av
from av.stream import Disposition

from models.errors import MediaError
from pipelines.file_parsing.container_check import header_bytes, lacks_index
from pipelines.file_parsing.heif_items import tiled_photo
from pipelines.media.image_sequence import Pattern, pattern_of
from pipelines.media.tile_assembly import assembled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from av.container import InputContainer
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.file_parsing.heif_items import TiledPhoto

__all__ = [
    "DECODERS",
    "FORMATS",
    "GUARDS",
    "MAX_PIXELS",
    "decoded_frames",
    "file_url",
    "film_decoder",
    "format_of",
    "open_decoder",
    "open_memory",
    "open_source",
    "packets_of",
    "photo_of",
    "to_gap",
]


def _decodes_pictures(name: str) -> bool:
    try:
        return av.Codec(name, "r").type == "video"
    except ValueError:  # an encoder
        return False


FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,obu,av1,ivf,flv,asf,ogg,mxf,gxf,gif,"
    "nut,vc1,dirac,mjpeg,rm,dv,wtv,apng,yuv4mpegpipe,image2,png_pipe,jpeg_pipe,webp_pipe,tiff_pipe,bmp_pipe,exr_pipe,dpx_pipe"
)
"""Demuxers that may open an input: no playlists, no concatenation, no devices."""

DECODERS = frozenset(
    {
        *(
            "h264",
            "hevc",
            "av1",
            "libdav1d",
            "vvc",
            "vp8",
            "vp9",
            "libvpx",
            "libvpx-vp9",
            "mpeg1video",
            "mpeg2video",
            "mpegvideo",
            "mpeg4",
        ),
        *(
            "msmpeg4v1",
            "msmpeg4v2",
            "msmpeg4",
            "h261",
            "h263",
            "h263p",
            "flv",
            "vc1",
            "wmv1",
            "wmv2",
            "wmv3",
            "theora",
            "vp6",
            "vp6f",
        ),
        *(
            "rv10",
            "rv20",
            "rv30",
            "rv40",
            "dirac",
            "dvvideo",
            "prores",
            "prores_raw",
            "dnxhd",
            "cfhd",
            "apv",
            "ffv1",
            "huffyuv",
            "ffvhuff",
            "utvideo",
        ),
        *(
            "rawvideo",
            "wrapped_avframe",
            "v210",
            "v410",
            "r210",
            "mjpeg",
            "jpeg2000",
            "png",
            "apng",
            "gif",
            "webp",
            "tiff",
            "bmp",
            "dpx",
        ),
        *("exr", "qtrle", "cinepak", "svq3", "zmbv", "flashsv", "msvideo1", "fraps", "lagarith"),
    }
)
"""Decoders that a film may need. Hundreds of others, for old game consoles and capture cards, are a source of
vulnerabilities (such as CVE-2026-8461 in magicyuv) and are never opened. Old screen and game recordings use
ZMBV, Flash Screen Video, MS Video 1, Fraps and Lagarith: small decoders of whole rows and blocks, without
motion beyond a copy."""

MAX_PIXELS = 1 << 27
"""Largest number of pixels per frame: twice 8192x8192, about 400 MB decoded."""

_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": FORMATS,
    "codec_whitelist": ",".join(
        sorted(DECODERS | {n for n in av.codecs_available if not _decodes_pictures(n)})
    ),
    "max_streams": "1000",
    "pattern_type": "none",  # image2 would take %03d in a name for a sequence
    "analyzeduration": "20000000",
    "probesize": "20000000",
}


GUARDS = {"codec_whitelist": _OPTIONS["codec_whitelist"], "max_pixels": str(MAX_PIXELS)}
"""Options of every decoder. Options given to `av.open` reach only the decoders that look for stream
parameters; see `open_decoder`."""

_MOST_HEADER_BYTES = 512 << 20


def file_url(path: str | os.PathLike[str]) -> str:
    """The URL with which FFmpeg opens the path as a plain file, whatever characters it has."""
    return "file:" + os.path.abspath(os.fspath(path))


def open_source(path: str | os.PathLike[str]) -> InputContainer:
    """Open a media file for reading; the caller closes it.

    An image sequence (`image_sequence.pattern_of`) is opened as a film with one tick per image. Raises
    MediaError if it is not a regular file, or not media that `FORMATS` allows.
    """
    pattern = pattern_of(path)
    if pattern is not None:
        return _open_pictures(path, pattern)
    _refuse_irregular(path)
    try:
        _refuse_large_header(path)
        # Broken tags don't make a film unusable.
        container = av.open(
            file_url(path), options=GUARDS, container_options=_OPTIONS, metadata_errors="replace"
        )
    except PermissionError as error:
        raise MediaError(f"{_shown(path)}: no permission to read it") from error
    except MemoryError as error:
        raise MediaError(
            f"{_shown(path)}: takes more memory to open than any film; expected at most"
            f" {_OPTIONS['max_streams']} streams"
        ) from error
    except (av.error.FFmpegError, UnicodeError) as error:
        raise _not_opened(path, error) from error
    return _put_together(container, path) if _has_tiles(container) else container


def photo_of(container: InputContainer) -> TiledPhoto | None:
    """The photo that was assembled from tiles when this file was opened; None for any other file."""
    source = getattr(container.file, "file", None)
    return source.photo if isinstance(source, _WholePhoto) else None


def format_of(container: InputContainer) -> str:
    """FFmpeg's name of the file's format, even if `container` holds an assembled photo."""
    return container.format.name if photo_of(container) is None else _OF_PHOTOS


_OF_PHOTOS = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg reads HEIC and AVIF with the demuxer of these."""


class _WholePhoto(io.BytesIO):
    """An assembled photo in memory, with the name of its file."""

    def __init__(self, data: bytes, path: str | os.PathLike[str], photo: TiledPhoto) -> None:
        super().__init__(data)
        self.name, self.photo = file_url(path), photo


def _has_tiles(container: InputContainer) -> bool:
    return any(s.disposition & Disposition.dependent for s in container.streams.video)


def _put_together(container: InputContainer, path: str | os.PathLike[str]) -> InputContainer:
    """The assembled photo if the primary image of the file consists of tiles; else the file itself."""
    photo = tiled_photo(path)
    if photo is None:
        return container
    try:
        with container:
            found = os.stat(path)
            data = _assembled(container, photo, (os.path.abspath(path), found.st_mtime_ns, found.st_size))
    except (ValueError, av.error.FFmpegError) as error:
        raise MediaError(
            f"{_shown(path)}: is a photo of {len(photo.tiles)} tiles that can't be put together: {error};"
            " make a PNG or TIFF of it with the camera's or the system's own viewer and upscale that"
        ) from error
    whole = _WholePhoto(data, path, photo)
    return av.open(whole, "r", format="matroska", options=GUARDS, container_options=_OPTIONS)


def _assembled(container: InputContainer, photo: TiledPhoto, file: tuple[str, int, int]) -> bytes:
    """Assemble a photo; cached, as a run opens its source several times. file: path, time and size."""
    if file not in _LATEST:
        opened = functools.partial(open_decoder, err_detect="explode")
        data = assembled(container, photo, opened, MAX_PIXELS)
        _LATEST.clear()
        _LATEST[file] = data
    return _LATEST[file]


_LATEST: dict[tuple[str, int, int], bytes] = {}


def _open_pictures(path: str | os.PathLike[str], pattern: Pattern) -> InputContainer:
    options = {
        **_OPTIONS,
        "pattern_type": "sequence",
        "start_number": str(pattern.readable()[0]),
        "start_number_range": "1",
        "framerate": "25",
    }
    try:
        return av.open(
            pattern.ffmpeg_url(),
            format="image2",
            options=GUARDS,
            container_options=options,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{_shown(path)}: can't be opened ({reason}); expected pictures") from error


def _alike(path: str | os.PathLike[str]) -> str:
    """Advice for a file that does not exist: the closest name in the same folder, as a question."""
    folder, name = os.path.split(os.fsdecode(path))
    if not folder and name.startswith("-") and not os.path.lexists(path):
        return "; what follows -- is the name of a file: put options before it"
    try:
        names = [] if os.path.lexists(path) else os.listdir(folder or ".")
    except OSError:
        return ""
    close = difflib.get_close_matches(name, [n for n in names if not n.startswith(".")], n=1, cutoff=0.75)
    return f"; did you mean {_shown(os.path.join(folder, close[0]))}?" if close else ""


def _refuse_irregular(path: str | os.PathLike[str]) -> None:
    """Raise MediaError if a path is not a file with content."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise MediaError(f"{_shown(path)}: can't be read: {error.strerror}{_alike(path)}") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder, as run and plan take it" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise MediaError(f"{_shown(path)}: is {kind}; expected a video file")
    if found.st_size == 0:
        raise MediaError(f"{_shown(path)}: is empty")


def _refuse_large_header(path: str | os.PathLike[str]) -> None:
    header = header_bytes(path)
    if header > _MOST_HEADER_BYTES:
        raise MediaError(
            f"{_shown(path)}: has {header >> 20} MiB of headers and tags; expected at most"
            f" {_MOST_HEADER_BYTES >> 20}"
        )


def _not_opened(path: str | os.PathLike[str], error: Exception) -> MediaError:
    """The error for a file that FFmpeg refuses, with advice if the reason is known."""
    if lacks_index(path):
        return MediaError(
            f"{_shown(path)}: is cut off before its index (no moov box), without which an MP4 or MOV can't"
            " be read; copy or download it again, or repair a recording with untrunc and a whole one of the"
            " same settings (OBS: Recording Format Hybrid MP4 or MKV outlives a crash)"
        )
    return MediaError(
        f"{_shown(path)}: is not a video file we can open ({getattr(error, 'strerror', None) or error}); "
        "expected a complete MP4, MOV, MKV, WebM, TS, AVI, raw stream or picture"
    )


def open_memory(data: bytes, format_name: str | None = None) -> InputContainer:
    """Open a media file in memory, such as an encoded chunk, for reading; the caller closes it.

    Raises av.error.FFmpegError.
    """
    return av.open(io.BytesIO(data), "r", format=format_name, options=GUARDS)


def open_decoder(
    of: VideoStream | str, *, most_pixels: int = MAX_PIXELS, **options: str
) -> VideoCodecContext:
    """Return the decoder of a stream, or a new one of that name, with the limits of `GUARDS`.

    All decoders are opened here. most_pixels: limit per frame. options: further options of the decoder. The
    decoder opens with its first packet.
    """
    decoder: VideoCodecContext = av.CodecContext.create(of, "r") if isinstance(of, str) else of.codec_context  # type: ignore[assignment]
    if not decoder.is_open:
        decoder.options = {**GUARDS, "max_pixels": str(most_pixels), **options}
        decoder.thread_type = "AUTO"
    return decoder


def film_decoder(
    container: InputContainer, stream_index: int, options: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[VideoStream, VideoCodecContext]:
    """The video stream of that index, and its decoder with limits. options: further options, by decoder."""
    stream = next(s for s in container.streams.video if s.index == stream_index)
    more = dict((options or {}).get(stream.codec_context.codec.name, {}))
    return stream, open_decoder(stream, most_pixels=MAX_PIXELS, **more)


def decoded_frames(packets: Iterable[av.Packet[Any]], decoder: VideoCodecContext) -> Iterator[VideoFrame]:
    """Frames of packets, up to the end of the stream; packets that can't be decoded are skipped."""
    for packet in packets:
        try:
            yield from decoder.decode(packet)
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            continue


def to_gap(container: InputContainer, *streams: Stream) -> Iterator[av.Packet[Any]]:
    """Packets of some streams, or of all; an image sequence ends at its first gap.

    A plan counts the images it needs, so that one which vanished later is noticed.
    """
    try:
        yield from container.demux(*streams)
    except av.error.FileNotFoundError:
        if container.format.name != "image2":
            raise


def packets_of(
    container: InputContainer, path: str | os.PathLike[str], *streams: Stream
) -> Iterator[av.Packet[Any]]:
    """Yield the packets of some streams, or of all, of an open file.

    Raises MediaError if reading fails, such as on a failing disk or network share.
    """
    try:
        yield from to_gap(container, *streams)
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{_shown(path)}: can't be read to its end: {error.strerror}; what is done is kept, "
            "see to the disk or share it lies on and give the same command again"
        ) from error


def _shown(path: str | os.PathLike[str]) -> str:
    """A path fit for one line of text."""
    return os.fsdecode(os.fspath(path)).encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")
