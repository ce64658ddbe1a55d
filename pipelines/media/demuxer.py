"""`open_source`, a file opened as a file and nothing else, `open_decoder`, its decoder within limits, and
`PacketReader`, its packets.

FFmpeg takes names as URLs and recognises playlists by content; here a path is a path, only protocol "file"
exists, and only the demuxers listed below may be chosen.
"""

from __future__ import annotations

import io
import itertools
import os
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av

from models.errors import MediaError
from pipelines.media.container_check import header_bytes, lacks_index
from pipelines.media.image_sequence import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.container import InputContainer
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

__all__ = [
    "DECODERS",
    "FORMATS",
    "GUARDS",
    "LASTING_SIDE_DATA",
    "MAX_PIXELS",
    "Check",
    "PacketData",
    "PacketReader",
    "SideDataInForce",
    "file_url",
    "film_decoder",
    "open_decoder",
    "open_memory",
    "open_source",
    "packets_of",
]


def _decodes_pictures(name: str) -> bool:
    try:
        return av.Codec(name, "r").type == "video"
    except ValueError:  # an encoder
        return False


FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,obu,av1,ivf,flv,asf,ogg,mxf,gif,"
    "nut,vc1,dirac,mjpeg,rm,dv,wtv,apng,yuv4mpegpipe,image2,png_pipe,jpeg_pipe,webp_pipe,tiff_pipe,bmp_pipe,exr_pipe,dpx_pipe"
)
"""Demuxers an input may be opened with: no playlists, no concatenation, no devices."""

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
"""Decoders a film may need. Hundreds of others, for game consoles and capture cards long gone, are where
holes are found (such as CVE-2026-8461 in magicyuv) and are never opened. Screen and game recordings of old
come as ZMBV, Flash Screen Video, MS Video 1, Fraps and
Lagarith: small decoders of whole rows and blocks, without motion beyond a copy."""

MAX_PIXELS = 1 << 27
"""Of one picture: twice 8192x8192, some 400 MB decoded."""

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
"""Options of every decoder. Those given to `av.open` reach only the decoders that look for stream parameters;
see `open_decoder`."""

_MOST_HEADER_BYTES = 512 << 20


def file_url(path: str | os.PathLike[str]) -> str:
    """The path as FFmpeg opens it as a plain file, whatever characters it has."""
    return "file:" + os.path.abspath(os.fspath(path))


def open_source(path: str | os.PathLike[str]) -> InputContainer:
    """Open a media file for reading; the caller closes it.

    A sequence of numbered pictures (`sequence.pattern_of`) is opened as a film of one tick a picture.
    Raises MediaError where it is not a regular file, or not media that `FORMATS` allows.
    """
    pattern = pattern_of(path)
    if pattern is not None:
        first = pattern.whole()[0]
        options = {
            **_OPTIONS,
            "pattern_type": "sequence",
            "start_number": str(first),
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
            raise MediaError(
                f"{_shown(path)}: can't be opened ({getattr(error, 'strerror', None) or error}); expected"
                " pictures"
            ) from None
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise MediaError(f"{_shown(path)}: can't be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise MediaError(f"{_shown(path)}: is {kind}; expected a video file")
    if os.stat(path).st_size == 0:
        raise MediaError(f"{_shown(path)}: is empty")
    try:
        header = header_bytes(path)
        if header > _MOST_HEADER_BYTES:
            raise MediaError(
                f"{_shown(path)}: has {header >> 20} MiB of headers and tags; expected at most"
                f" {_MOST_HEADER_BYTES >> 20}"
            )
        # Broken tags are no reason to refuse a film.
        return av.open(file_url(path), options=GUARDS, container_options=_OPTIONS, metadata_errors="replace")
    except PermissionError:
        raise MediaError(f"{_shown(path)}: no permission to read it") from None
    except MemoryError:
        raise MediaError(
            f"{_shown(path)}: takes more memory to open than any film; expected at most"
            f" {_OPTIONS['max_streams']} streams"
        ) from None
    except (av.error.FFmpegError, UnicodeError) as error:
        if lacks_index(path):
            raise MediaError(
                f"{_shown(path)}: is cut off before its index (no moov box), without which an MP4 or MOV"
                " can't be read; copy or download it again, or repair a recording with untrunc and a whole"
                " one of the same settings (OBS: Recording Format Hybrid MP4 or MKV outlives a crash)"
            ) from None
        raise MediaError(
            f"{_shown(path)}: is not a video file we can open ({getattr(error, 'strerror', None) or error}); "
            "expected a complete MP4, MOV, MKV, WebM, TS, AVI, raw stream or picture"
        ) from None


def open_memory(data: bytes, format_name: str | None = None) -> InputContainer:
    """Open a media file that lies in memory, such as an encoded chunk, for reading; the caller closes it.

    Raises av.error.FFmpegError.
    """
    return av.open(io.BytesIO(data), "r", format=format_name, options=GUARDS)


def open_decoder(
    of: VideoStream | str, *, most_pixels: int = MAX_PIXELS, **options: str
) -> VideoCodecContext:
    """The decoder of a stream, or a new one of that name, with the limits of `GUARDS` on the decoder itself.

    The only way to one.

    most_pixels: of one picture. options: more of the decoder's own. It opens with the first packet it is
    given.
    """
    decoder: VideoCodecContext = av.CodecContext.create(of, "r") if isinstance(of, str) else of.codec_context  # type: ignore[assignment]
    if not decoder.is_open:
        decoder.options = {**GUARDS, "max_pixels": str(most_pixels), **options}
        decoder.thread_type = "AUTO"
    return decoder


def film_decoder(container: InputContainer, stream_index: int) -> tuple[VideoStream, VideoCodecContext]:
    """The video stream of that index, and its decoder within limits."""
    stream = next(s for s in container.streams.video if s.index == stream_index)
    return stream, open_decoder(stream)


def packets_of(
    container: InputContainer, path: str | os.PathLike[str], *streams: Stream
) -> Iterator[av.Packet[Any]]:
    """The packets of some streams, or of all, as `demux` gives them, of a file that could be opened.

    Raises MediaError where it can't be read any further: a disk or a share that fails under way.
    """
    try:
        yield from container.demux(*streams)
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{_shown(path)}: can't be read to its end: {error.strerror}; what is done is kept, "
            "see to the disk or share it lies on and give the same command again"
        ) from None


def _shown(path: str | os.PathLike[str]) -> str:
    """A path fit for one line of text."""
    return os.fsdecode(os.fspath(path)).encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class PacketData:
    """A compressed packet as it travels to a worker.

    Bytes, and times in ticks of the stream (None where absent).
    """

    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    key: bool
    hidden: bool = False
    """The container says: decode, but do not show (edit lists)."""
    side: tuple[tuple[str, bytes], ...] = ()
    """Side data that shapes the picture, by FFmpeg's name of its kind: the packet's own, and headers and
    palettes still in force."""
    checks: tuple[tuple[int, int], ...] = ()
    """(pts, `decode.checksum`) of frames that begin here, as the container's own decoder gives them."""


LASTING_SIDE_DATA = ("new_extradata", "palette", "param_change")
"""Kinds that hold until the next of their kind; a decoder that begins later must be given them."""
_OWN_SIDE_DATA = frozenset(
    {
        "a53_cc",
        "display_matrix",
        "mastering_display_metadata",
        "content_light_level",
        "icc_profile",
        "dynamic_hdr10_plus",
    }
)
"""Kinds that a decoder hands on to the frame of their packet."""


class SideDataInForce:
    """Follows the side data of a stream; show it all packets of the stream, in order."""

    def __init__(self) -> None:
        self._lasting: dict[str, bytes] = {}
        self.extradata: bytes | None = None
        """The decoder's header that replaced the one of the stream."""
        self.is_changed = False
        """Whether the latest packet brought something that lasts."""

    def see(self, packet: av.Packet[Any]) -> tuple[tuple[str, bytes], ...]:
        """Take note of a packet; what a decoder that begins with it must be given with it."""
        self.is_changed = False
        own = []
        for kind, data in _side_data(packet):
            if kind in _OWN_SIDE_DATA:
                own.append((kind, data))
            elif kind in LASTING_SIDE_DATA and self._lasting.get(kind) != data:
                self._lasting[kind], self.is_changed = data, True
        self.extradata = self._lasting.get("new_extradata")
        return (*self._lasting.items(), *own)


def _side_data(packet: av.Packet[Any]) -> list[tuple[str, bytes]]:
    try:
        return [(found.data_type, bytes(found)) for found in packet.iter_sidedata()]
    except IndexError:  # a kind that PyAV has no name for is among it
        kinds = (*LASTING_SIDE_DATA, *_OWN_SIDE_DATA)
        return [(kind, bytes(packet.get_sidedata(kind))) for kind in kinds if packet.has_sidedata(kind)]  # type: ignore[arg-type]


class PacketReader:
    """The video packets of a file by row, demuxed once in sequence, with a window for rows that are needed
    twice.

    Rows count non-empty packets of the chosen stream in the order the demuxer hands them out, as in
    `PacketIndex`. A row before the window, needed only when a chunk has to be done again, restarts the
    demuxer from the beginning.
    """

    def __init__(self, path: str | os.PathLike[str], stream_index: int, check: Check | None = None) -> None:
        """check: what the container's own decoder makes of some packets is sent along with them."""
        self._path, self._stream_index, self._check = Path(path), stream_index, check
        self._container: InputContainer | None = None
        self._packets: Iterator[PacketData] = iter(())
        self._window: deque[PacketData] = deque()
        self._first = 0
        """Row of the window's first packet."""

    def rows(self, first: int, stop: int, *, keep_from: int) -> Iterator[PacketData]:
        """Yield rows `first` to `stop` (exclusive). Rows before `keep_from` won't be asked for again soon.

        Raises MediaError where the file can't be opened or read (any more).
        """
        if self._container is None or first < self._first:
            self._restart()
        row = first
        while row < stop:
            while row >= self._first + len(self._window):
                packet = next(self._packets, None)
                if packet is None:
                    return
                self._window.append(packet)
                self._drop_before(min(keep_from, row))
            yield self._window[row - self._first]
            row += 1
        self._drop_before(keep_from)

    def _drop_before(self, row: int) -> None:
        while self._window and self._first < row:
            self._window.popleft()
            self._first += 1

    def _restart(self) -> None:
        self.close()
        self._container = open_source(self._path)
        stream = self._container.streams[self._stream_index]
        if self._check is not None:
            self._check.begin(stream)  # type: ignore[arg-type]
        self._packets = _packet_data(packets_of(self._container, self._path, stream), self._check)
        self._window.clear()
        self._first = 0

    def close(self) -> None:
        """Close the file; a later `rows` opens it again."""
        if self._container is not None:
            self._container.close()
            self._container = None


class Check(Protocol):
    """What a container's own decoder makes of some of its packets."""

    depth: int
    """Packets it needs to see at once."""

    def begin(self, stream: VideoStream) -> None:
        """The stream's first packet comes next."""

    def see(
        self, row: int, packets: Sequence[av.Packet[Any]], *, is_changed: bool
    ) -> tuple[tuple[int, int], ...]:
        """A packet, and those behind it: `PacketData.checks` of it. is_changed: it brings another header or
        palette.
        """


def _packet_data(packets: Iterable[av.Packet[Any]], check: Check | None = None) -> Iterator[PacketData]:
    in_force = SideDataInForce()
    ahead: deque[av.Packet[Any]] = deque()
    # not `dts is None`: Matroska's first key frames have none
    coming = (packet for packet in packets if packet.size)
    for row in itertools.count():
        ahead.extend(itertools.islice(coming, max(1, check.depth if check is not None else 1) - len(ahead)))
        if not ahead:
            return
        packet = ahead[0]
        side = in_force.see(packet)
        checks = check.see(row, ahead, is_changed=in_force.is_changed) if check is not None else ()
        yield PacketData(
            bytes(packet),
            packet.pts,
            packet.dts,
            packet.duration or 0,
            packet.is_keyframe,
            packet.is_discard,
            side,
            checks,
        )
        ahead.popleft()
