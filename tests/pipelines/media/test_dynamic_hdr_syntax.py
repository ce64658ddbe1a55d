"""The syntax of HDR10+ messages and Dolby Vision RPUs: reading, writing, refusing."""

from __future__ import annotations

import contextlib
import random
from fractions import Fraction
from pathlib import Path

import pytest
from av.sidedata.sidedata import Type as SideData

from pipelines.media import dolby_vision
from pipelines.media.bitstream import obus_at, sei_messages, sei_unit
from pipelines.media.cicp import Transfer
from pipelines.media.dolby_vision import RPU, configuration_record, parse_rpu, with_active_area
from pipelines.media.dynamic_hdr import DynamicHdr, dynamic_hdr_of, insert_dynamic_hdr
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.dynamic_hdr import decoded_side_data
from vsr.views.probe_view import info_table, info_text


@pytest.mark.parametrize("windows", [1, 2, 3])
def test_a_message_that_ffmpeg_has_parsed_is_written_as_it_was(tmp_path: Path, windows: int) -> None:
    """Case 36: what Matroska keeps beside a packet comes as numbers."""
    film = media.hdr10(tmp_path / "in.mkv", 16, prefix=lambda n: media.hdr10_plus_unit(n, windows=windows))
    parsed = decoded_side_data(film, SideData.DYNAMIC_HDR_PLUS)
    found = [
        dynamic_hdr_of("vp9", b"", 0, [("dynamic_hdr10_plus", data or b"")]).hdr10_plus for data in parsed
    ]
    assert found == [media.hdr10_plus_message(n, windows=windows) for n in range(16)]


def test_the_bitstream_comes_before_what_a_container_keeps_next_to_it() -> None:
    data = media.hdr10_plus_unit(3)
    assert dynamic_hdr_of(
        "hevc", data, 0, [("dynamic_hdr10_plus", bytes(11304))]
    ).hdr10_plus == media.hdr10_plus_message(3)
    assert not dynamic_hdr_of("hevc", b"", 0, [("dynamic_hdr10_plus", bytes(11304))])
    assert not dynamic_hdr_of("ffv1", data, 0)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("length_size", [0, 4])
def test_a_message_is_found_among_others_in_any_unit(codec: str, length_size: int) -> None:
    message = media.hdr10_plus_message(5)
    others = [(137, bytes(24)), (4, b"\xb5\0\x31GA94\3\x41\xff\xfc\0\0\xff"), (144, bytes(4))]
    units = [
        sei_unit(codec, [others[0]]),
        sei_unit(codec, [*others[1:], (4, message), others[0]]),
        b"\x26\1\xab",
    ]
    divider = [len(unit).to_bytes(4, "big") if length_size else b"\0\0\1" for unit in units]
    data = b"".join(mark + unit for mark, unit in zip(divider, units, strict=True))
    assert dynamic_hdr_of(codec, data, length_size) == DynamicHdr(message)


def test_probe_says_what_metadata_there_is(tmp_path: Path) -> None:
    film = media.hdr10(
        tmp_path / "in.mkv", 8, prefix=media.hdr10_plus_unit, suffix=lambda n: media.dolby_vision_unit(8, n)
    )
    info = probe(film)
    assert info_table(info)["dynamic_hdr"] == {"hdr10_plus": True, "dolby_vision_profile": 8}
    assert "HDR10+, Dolby Vision 8 in every frame" in info_text(info)
    assert not info.notes
    plain = probe(media.hdr10(tmp_path / "plain.mkv", 8))
    assert info_table(plain)["dynamic_hdr"] == {"hdr10_plus": False, "dolby_vision_profile": None}
    assert "in every frame" not in info_text(plain)


def test_an_rpu_stands_before_what_ends_a_sequence() -> None:
    ends = b"\0\0\1\x48\1\0\0\0\1\x4a\1"
    made = insert_dynamic_hdr("hevc", b"\0\0\0\1\x26\1\xab" + ends, DynamicHdr(b"", b"\x7c\1\x19\x80"))
    assert made == b"\0\0\0\1\x26\1\xab" + b"\0\0\0\1\x7c\1\x19\x80" + ends


def test_units_of_another_view_are_not_those_of_the_film() -> None:
    own, other = media.dolby_vision_unit(8, 1), bytearray(media.dolby_vision_unit(8, 2))
    other[5] |= 8  # nuh_layer_id 1
    assert dynamic_hdr_of("hevc", own + bytes(other), 0).dolby_vision == own[4:]


@pytest.mark.parametrize("length", [1, 254, 255, 256, 510, 900])
def test_messages_of_any_length_are_read_as_they_were_written(length: int) -> None:
    message = (b"\0\0\1\0\0\3" * 150)[:length]
    (found,) = sei_messages(sei_unit("hevc", [(4, message)])[2:])
    assert found == (4, message)
    unit = insert_dynamic_hdr("av1", bytes([6 << 3 | 2, 1, 0]), DynamicHdr(message))
    assert [kind for kind, _, _ in obus_at(unit)] == [5, 6]
    assert dynamic_hdr_of(
        "av1", insert_dynamic_hdr("av1", b"\x32\x01\0", DynamicHdr(b"\xb5\0\x3c\0\1\4" + message + b"!")), 0
    )


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (media.dolby_vision_unit(8, 4)[4:], (8, False, ())),
        (media.dolby_vision_unit(7, 4)[4:], (7, False, ())),
        (media.dolby_vision_unit(5, 4)[4:], (5, False, ())),
        (media.dolby_vision_unit(8, 4, area=(1, 2, 3, 8191))[4:], (8, False, ((1, 2, 3, 8191),))),
        (media.dolby_vision_unit(8, 4, chained=True)[4:], (8, True, ())),
        (media.dolby_vision_message(4, area=(0, 0, 5, 0)), (10, False, ((0, 0, 5, 0),))),
    ],
)
def test_rpus_say_what_they_are(
    unit: bytes, expected: tuple[int, bool, tuple[tuple[int, int, int, int], ...]]
) -> None:
    found = parse_rpu(unit)
    assert (found.profile, found.is_chained, found.areas) == expected
    assert isinstance(found, RPU)


@pytest.mark.parametrize(
    "make",
    [
        lambda area: media.dolby_vision_unit(8, 4, area=area)[4:],
        lambda area: media.dolby_vision_message(4, area=area),
    ],
)
def test_an_rpu_with_another_area_is_what_an_encoder_would_have_made(make) -> None:  # type: ignore[no-untyped-def]
    """Case 96."""
    unit = make((0, 0, 140, 140))
    assert with_active_area(unit, lambda area: area) == unit
    assert with_active_area(unit, lambda area: tuple(2 * n for n in area)) == make((0, 0, 280, 280))  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="8400 pixels from an edge"):
        with_active_area(unit, lambda area: tuple(60 * n for n in area))  # type: ignore[arg-type, return-value]


def test_an_rpu_with_one_wrong_bit_is_refused() -> None:
    unit = media.dolby_vision_unit(8, 1)[4:]
    for place in range(8 * 2, 8 * len(unit), 3):
        wrong = int.from_bytes(unit, "big") ^ 1 << 8 * len(unit) - 1 - place
        with pytest.raises(ValueError, match="it|its"):
            parse_rpu(wrong.to_bytes(len(unit), "big"))


@pytest.mark.parametrize("unit", [media.dolby_vision_unit(8, 1)[4:], media.dolby_vision_message(1)])
def test_damage_of_rpus_of_any_kind_is_a_plain_error(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind a checksum that says nothing."""
    monkeypatch.setattr(dolby_vision, "_crc32", lambda data: data[-4:])
    chance = random.Random(7)
    for _ in range(500):
        data = bytearray(unit)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        whole = bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data)
        with contextlib.suppress(ValueError):
            parse_rpu(whole)


@pytest.mark.parametrize(
    ("width", "height", "rate", "level"),
    [
        (1280, 720, Fraction(24), 1), (1280, 720, Fraction(30), 2), (1920, 1080, Fraction(24000, 1001), 3),
        (1920, 1080, Fraction(25), 4), (1920, 1080, Fraction(60), 5), (3840, 2160, Fraction(24000, 1001), 6),
        (3840, 2160, Fraction(30000, 1001), 7), (3840, 2160, Fraction(48), 8), (3840, 2160, Fraction(60), 9),
        (3840, 2160, Fraction(120), 10), (7680, 4320, Fraction(24), 11), (7680, 4320, Fraction(50), 12),
        (7680, 4320, Fraction(120), 13), (7680, 4320, Fraction(240), 13),
    ],
)  # fmt: skip
def test_levels_are_those_of_the_table(width: int, height: int, rate: Fraction, level: int) -> None:
    """Case 96."""
    record = configuration_record("hevc", Transfer.PQ, width, height, rate)
    assert len(record) == 24
    assert (record[2] >> 1, (record[2] & 1) << 5 | record[3] >> 3, record[3] & 7, record[4] >> 4) == (
        8,
        level,
        5,
        1,
    )
    assert configuration_record("av1", Transfer.HLG, width, height, rate)[4] >> 4 == 4
