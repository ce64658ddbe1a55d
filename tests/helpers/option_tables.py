"""FFmpeg's own table of an encoder's options, read from the libraries in PyAV (libavutil/opt.h).

No hardware is used.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import av

_CONST = 11
_PRIV_CLASS = 64
"""Offset of AVCodec.priv_class in libavcodec 62 on 64-bit machines (libavcodec/codec.h)."""


class _Value(ctypes.Union):
    _fields_ = (("number", ctypes.c_int64), ("real", ctypes.c_double), ("text", ctypes.c_char_p))


class _Option(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p), ("help", ctypes.c_char_p), ("offset", ctypes.c_int), ("type", ctypes.c_int), ("default", _Value),
        ("least", ctypes.c_double), ("most", ctypes.c_double), ("flags", ctypes.c_int), ("unit", ctypes.c_char_p),
    )  # fmt: skip


def _library(name: str) -> ctypes.CDLL:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return ctypes.CDLL(next(line.split()[-1] for line in lines if name in line))


def option_table(encoder: str) -> dict[str, tuple[float, float, frozenset[str]]]:
    """Option -> (least, most, names of values).

    Private options of the encoder, on top of those that all have.
    """
    assert av.library_versions["libavcodec"][0] == 62, (
        "libavcodec has another layout now: look _PRIV_CLASS up"
    )
    codecs, utils = _library("libavcodec-"), _library("libavutil-")
    codecs.avcodec_find_encoder_by_name.restype = ctypes.c_void_p
    codecs.avcodec_get_class.restype = ctypes.c_void_p
    utils.av_opt_next.restype = ctypes.POINTER(_Option)
    utils.av_opt_next.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    found = codecs.avcodec_find_encoder_by_name(encoder.encode())
    own = ctypes.c_void_p.from_address(found + _PRIV_CLASS).value
    table: dict[str, tuple[float, float, frozenset[str]]] = {}
    for owner in (codecs.avcodec_get_class(), own):
        holder, options, last = ctypes.c_void_p(owner), [], None
        while option := utils.av_opt_next(ctypes.addressof(holder), last):
            options.append(option.contents)
            last = ctypes.cast(option, ctypes.c_void_p)
        for option in options:
            if option.type != _CONST:
                values = {
                    o.name.decode()
                    for o in options
                    if o.type == _CONST and option.unit and o.unit == option.unit
                }
                table[option.name.decode()] = (option.least, option.most, frozenset(values))
    return table
