"""docs/reliability.md says for every case what `vsr` does and which tests prove it.

A test names its cases at the start of its docstring: "Case 38: ..." or "Cases 38, 44 and 62.". `python -m
tests.docs.test_reliability` writes the page anew, from those docstrings, from `CASES`, and from the figures
that `make nightly` measured.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
FIGURES = ROOT / "docs" / "reliability.json"
EVERY_FILE = ROOT / "docs" / "reliability_files.json"
"""Rows that `python -m tests.benchmarks.every_file FOLDER --write` writes."""

OPEN: frozenset[int] = frozenset()
"""Cases that need no test yet."""

CASES = {
    "Time: every frame once, at its time": {
        1: (
            "constant frame rate, one chunk or many",
            "as many frames, the same timestamps to the tick, the same bytes",
        ),
        2: (
            "variable frame rate into MP4 or MOV",
            "the same timestamps to the tick; the last frame keeps its length",
        ),
        3: (
            "variable frame rate into Matroska",
            "a warning that Matroska keeps 1 ms; off by 0.5 ms at most; frames that would fall together: refused, exit 2",
        ),
        4: (
            "open GOPs (H.264, HEVC, MPEG-2) cut at every key frame",
            "nothing lost, nothing twice; frames as in a decode from the start",
        ),
        5: ("intra refresh instead of key frames", "never entered in the middle"),
        6: ("Matroska's first packets without a decode time", "kept"),
        7: ("B-frames at the very end", "the decoder is drained; the last frame is there"),
        8: (
            "frames an edit list hides; parts that it cuts out or repeats",
            "what FFmpeg shows of it; the same start",
        ),
        9: (
            "a film that begins before or after zero; a recording (MPEG-TS, PS), whose clock may have run for hours",
            "keeps its offset, and sound its place; the recording begins at 0, with one shift for all tracks",
        ),
        10: ("MPEG-TS clocks that wrap at 2^33", "go on; the length is right"),
        11: (
            "MPEG-TS files joined, clocks that jump",
            "all frames; the parts follow each other, sound with each",
        ),
        12: ("frames without timestamps, or with the same", "counted by decoding, in one run of the decoder"),
        13: ("a hole in time", "stays a hole"),
        14: (
            "two fields in packets of their own",
            "frames are those of the decoder; the interlacing policy applies",
        ),
        15: (
            "interlaced video, flagged or not",
            "found, said, and deinterlaced or refused by `--deinterlace`",
        ),
        97: (
            "film in video by pulldown (3:2, 2:3:3:2, 2:2 one field late), with breaks, noise, rest, fades, or video in between",
            "its own frames, each once, at their times, the same bytes however cut: `--deinterlace ivtc`, and unasked where all of it is film; other cadences are refused, exit 3",
        ),
        16: ("unlike spacing on both sides of a seam", "decode times ascend, timestamps stay exact"),
        17: ("a chunk whose header is not that of the others", "noticed before anything is joined, exit 7"),
        18: (
            "a worker drops, doubles or swaps frames and keeps the count",
            "noticed by looking at the pictures, exit 7",
        ),
        19: (
            "a network that remembers, cut into chunks",
            "each chunk sees enough of what came before it: the same bytes however cut",
        ),
        20: (
            "in mid-stream a decoder's header or palette changes; or size, pixel format, SAR, colour, HDR metadata, rotation",
            "the first is obeyed, and frames of every chunk are compared with the container's own decode; the others are refused, exit 3, with frame and time",
        ),
    },
    "Tracks and tags": {
        21: (
            "several languages, subtitles, chapters, fonts, cover art, second films; sound whose clock steps back; PCM in any packets, of discs too",
            "bit for bit, with their tags; what would lie in the past is put forward and said; PCM is compared by its bytes, that of discs by its samples",
        ),
        22: ("AAC priming", "kept, so that sound stays where it was"),
        23: (
            "tracks the output container can't hold, also where its muxer says so only at the end, writes what nobody reads or ends it at another time; sound under a tag of another container",
            "two frames and the first and last packets of every track are put together and verified before work; exit 2, with only such remedies as were tried; `--drop-incompatible` leaves them out and says so; tracks without packets are left out and named; the end of every sound track is compared; sound of QuickTime gets Matroska's tags",
        ),
        24: (
            "cover art as the first video stream; photos of tiles (HEIC, AVIF)",
            "the film is upscaled, the cover passed through; the tiles are put together as FFmpeg does it; tiles that are missing or damaged are refused, exit 3",
        ),
        25: (
            "tracks without a decoder, data and timecode tracks",
            "passed through, or said to be left out; a timecode is kept as a track or a tag, and a part begins at its own",
        ),
        26: ("rotation", "applied to the pixels, and said"),
        27: (
            "pixels that are not square; a crop in the container",
            "the display aspect stays, the container's before the bitstream's; `--square-pixels` bakes it in; the crop is applied and said",
        ),
        28: ("QuickTime's `hvc1`, colour tags", "written as players want them"),
        29: ("huge, right-to-left or invalid tags", "kept, or dropped with a note; never a crash"),
    },
    "Colour": {
        30: ("every matrix, range, depth and subsampling", "a mean dE00 of at most 0.5 on patches"),
        31: ("untagged SD video", "read by the stated rule; the output says what it is"),
        32: ("where chroma samples lie", "they stay there, in turned pictures, too"),
        33: ("ten bits", "stay ten bits, to the last code"),
        34: ("8 bits from more, cut anywhere", "the same pixels in every run"),
        35: ("HDR10", "tags, mastering display and MaxCLL in every chunk and in the container"),
        36: (
            "HDR10+, Dolby Vision",
            "carried over, byte for byte, frame by frame, wherever the film is cut; where the result can't have it, said to be lost before work; profile 5: refused, exit 3",
        ),
        95: (
            "a chunk that lost the HDR10+ or Dolby Vision metadata of a frame, or has that of another",
            "not kept; what is lost later is found by the marks in the manifests before the result gets its name, in resumed work, too; exit 7",
        ),
        96: (
            "Dolby Vision 8.1 and 8.4 in a picture of another size",
            "active areas are scaled, cropped and turned, the CRC-32 made anew; level and compatibility stand in MP4, MOV and Matroska, or the result is not taken",
        ),
        37: ("PQ or HLG into 8 bits", "refused, exit 2"),
    },
    "Crashes, resuming, resources": {
        38: (
            "the command is killed, anywhere",
            "the same command continues from the last chunk; nothing half-done has the result's name",
        ),
        39: ("a worker is killed", "it is replaced and its chunk made again, once"),
        40: ("a machine of the cluster is lost", "the others do its work"),
        41: ("a chunk is made twice at once", "the first that is whole counts"),
        42: (
            "input, networks, settings, devices or libraries change between runs",
            "earlier work is neither used nor deleted: exit 2 with what would give other bits, and the ways on",
        ),
        43: ("kept work is damaged or tampered with", "noticed by its hash; made again"),
        44: ("torn files of the work directory, as after a power cut", "made again; never a traceback"),
        45: (
            "a finished run again",
            '"already done", exit 0; `--verify full` looks at every byte and frame first, and damage is exit 7; `--fresh` does it anew',
        ),
        46: ("two runs with one output", "the second is refused, exit 2"),
        47: (
            "Ctrl-C once, twice",
            "once: the chunk under way is finished and kept, exit 130; twice: at once; no process stays",
        ),
        48: ("SIGTERM", "as Ctrl-C once, exit 143"),
        49: ("the disk is or becomes full", "exit 5; goes on when there is room"),
        50: ("a folder that is missing or can't be written to", "said before work; exit 2 or 5"),
        51: (
            "an output, its report or a picture that is there already, or comes to be there",
            "refused without `--overwrite`; with it, the old file stays until the new one is verified; pictures under other numbers stay",
        ),
        52: ("the output is the input, by whatever name", "refused, exit 2"),
        53: (
            "GPU memory runs out",
            "one worker a device, then smaller tiles as a new plan, never other batches: their sizes shape bits (case 54)",
        ),
        54: (
            "memory runs out",
            (
                "three attempts in new processes; then fewer workers where several share it; then, while no chunk is done, smaller tiles as a new plan, which a rerun goes on with; "
                "else exit 6, and what is done is kept"
            ),
        ),
        55: (
            "a CUDA context that is broken for good",
            "its process is replaced and its chunk made again; after three attempts, exit 6",
        ),
        56: ("a chunk that kills every worker", "three attempts, then exit 6 with its frames"),
        57: ("a worker hangs", "noticed by its silence, replaced, its chunk made again"),
        58: ("no NVENC, no CUDA", "found by trying before work"),
        59: (
            "a network gives NaN, infinity or black",
            "noticed on every frame, computed again in fp32; exit 7 if it stays",
        ),
        60: (
            "very long films",
            "memory, descriptors, threads and shared memory stay flat; what is done besides pixels grows with the length, and no faster",
        ),
        86: (
            "limits of a container, a system without affinities, a /dev/shm of 64 MB, a caller's own logging",
            "cores and memory are those one may have; Ray's store goes to the disk; logging is afterwards as it was",
        ),
        61: ("one bad file among several", "the others are done; exit 8, and a line for each that failed"),
        62: (
            "any of these failures",
            "nothing lies beside the output but its work directory, which is gone after success, except what others put there",
        ),
        94: (
            "a watched folder: files that are still written, bad, rewritten, renamed, or gone; shares without events; restarts",
            "each film is upscaled once, when it stopped growing; what is done stays, a rewritten film's result is made anew",
        ),
    },
    "Bad input": {
        63: (
            "files that are cut short",
            "noticed before work; exit 4, or every frame kept by `--on-corrupt conceal`; done where no frame that had begun lacks anything",
        ),
        64: (
            "no video in it: empty, text, sound only, a folder",
            "exit 3 at once, with the reason; no worker is started",
        ),
        65: ("flipped bits", "exit 4 with the frames; `conceal` keeps their number and says how many"),
        66: ("odd sizes, one frame", "by the documented rule"),
        67: ("sizes beyond an encoder", "refused before work"),
        85: (
            "numbers, options and names that can't be: infinities, endless digits, what no encoder knows, what no file is called, folders that can't be listed",
            "exit 2 in one line, before work",
        ),
        68: (
            "mutated files by the hundred",
            "a right result or one line with an exit code; never a crash or a hang",
        ),
    },
    "Security": {
        69: ("a playlist that names a server", "no request leaves; exit 3"),
        70: ("a list of other files inside a file", "not opened; exit 3"),
        71: ("addresses as inputs", "taken for names of files"),
        72: ("hostile names of files", "plain files, nothing is executed"),
        73: ("names with paths in tags and attachments", "nothing is written outside the output's folder"),
        74: ("a work directory that is a link", "refused; it is readable for its owner only"),
        75: ("decompression bombs: pixels, streams, tags", "limits; exit 3 in bounded memory"),
        76: ("exotic decoders", "refused"),
        77: ("weights that are programs", "never run"),
        78: ("weights with false sizes", "refused before memory is taken"),
        79: ("a run's open ports", "none but on the loopback interface"),
        80: ("secrets in names and variables", "not shown"),
        87: ("escape sequences in names of files and in tags", "replaced in everything that is printed"),
        91: (
            "ONNX files: no network of pictures, weights in another file, a device that computes something else",
            "refused by the process that reads them, without network; the CPU is used instead, which is said",
        ),
        81: ("libraries with known holes", "refused or warned of at start"),
        90: (
            "networks fetched by name: a download that breaks off, another length, another hash, a redirection to `file:`; several processes at once",
            "resumed; refused, with nothing kept; one download; https alone, proxy and `SSL_CERT_FILE` honoured; the licence stands in every report",
        ),
    },
    "Hardware": {
        88: (
            "an encoder of hardware loses, repeats or swaps frames, shifts times, varies, crashes or hangs",
            "found by a self-test before it is used, once for a driver; software encodes in its place, or exit 2 where it was named",
        ),
        89: (
            "it fails in the midst of a run, has no free session, or leaves out tags, siting or HDR metadata",
            "tried again twice, then the run stops and names `--encoder software`; waited for; written into the stream in its place",
        ),
    },
    "Devices": {
        93: (
            "a GPU's results differ too much from the CPU's, or its driver ends the process",
            "found on one tile when the plan is made: exit 2; precision and order of values are chosen there, and stand in the plan",
        ),
    },
    "The server": {
        98: (
            "the server, a job's command or its worker is killed at any moment, again and again",
            "the next server has the queue, and jobs resume; none is lost, none done twice, the bytes are the same",
        ),
        99: (
            "requests without the token, for another host, from another site's page, with paths out of the roots, too large or too slow",
            "refused with 401, 403, 404, 408 or 413; no answer has an absolute path",
        ),
        100: ("requests made at random of the server's own description", "no 500; answers are as described"),
    },
    "Other systems": {
        92: (
            "no fcntl, resource, affinities, UNIX sockets, inherited descriptors or seccomp, as on Windows; names that differ in case alone",
            "every command but those of clusters works; two results never share a name",
        ),
    },
    "Film material": {
        101: (
            "a size or a VMAF is asked for instead of a CRF",
            "found from samples; the same bytes as with that CRF, the same CRF again; out of reach: exit 2 with what is reachable",
        ),
        102: (
            "a search for a CRF, or the run behind it, is interrupted; chunks of another command lie there",
            "the run goes on with the CRF that was found, samples are removed; kept chunks are refused before any search",
        ),
        103: (
            "a source is cleaned by several filters first: noise, blocks, bands, halos, combs",
            "in the order given, each frame by itself, so the same bytes however the film is cut; others are refused, exit 2",
        ),
    },
    "Training and judging": {
        82: (
            "a training's log torn, its shards damaged",
            "whole lines are kept, and `--resume` goes on; a shard with another hash is refused",
        ),
        83: (
            "data sets of one film, made with other shares or beside other footage",
            "what one of them holds out no other teaches",
        ),
        84: (
            "scores that some items lack, files of one name",
            "means over those that have them; results of their own",
        ),
    },
}
"""Case -> (what happens, what `vsr` does)."""

_NAMED = re.compile(r"Cases? (\d+(?:(?:, | and | to )\d+)*)")


def cases_of(docstring: str) -> list[int]:
    """The cases a docstring begins with."""
    match = _NAMED.match(docstring)
    if match is None:
        return []
    found: list[int] = []
    for joint, number in re.findall(r"(, | and | to |^)(\d+)", match[1]):
        found += range(found[-1] + 1, int(number) + 1) if joint == " to " else [int(number)]
    return found


def named_tests() -> dict[int, list[tuple[str, str]]]:
    """(file, test) of each case."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for case in cases_of(ast.get_docstring(node) or ""):
                    found.setdefault(case, []).append((path.relative_to(ROOT).as_posix(), node.name))
    return found


def page() -> str:
    """The whole page."""
    tests = named_tests()
    parts = [_INTRODUCTION]
    for title, cases in CASES.items():
        parts += [f"## {title}", "", "| | case | what `vsr` does | tests |", "|---|---|---|---|"]
        for case, (what, does) in cases.items():
            names = "<br>".join(f"[`{name}`](../{file})" for file, name in tests.get(case, [])) or "open"
            parts.append(f"| {case} | {what} | {does} | {names} |")
        parts.append("")
    return "\n".join([*parts, _figures(), *_files()])


_INTRODUCTION = """# Reliability

What can go wrong in a run of days, on footage from anywhere, and what `vsr` does about it. Each case is provoked for real by the tests
named beside it: processes are killed, disks filled, files torn. Exit codes: 0 done, 1 a bug of ours, 2 wrong usage, 3 unusable input,
4 damaged input, 5 disk, 6 out of memory, workers or devices, 7 not verified, 8 some of several inputs failed, 130 or 143 stopped.

Behind it are four rules. A result gets its name only after every frame, every timestamp and every packet of the other tracks was
checked. What is kept of a run is trusted only if it has the hash that was written down for it. Whatever shapes the bits of a result
is in the plan, so that who made a chunk, and in which attempt, makes no difference. And a guard counts only if a test fails without it:
`python -m tests.mutants` takes them out one by one.
"""


_ROWS: tuple[tuple[str, str, str], ...] = (
    (
        "steps",
        "ended right before each of {steps} steps on the disk, by a kill and as by a power cut",
        "{ended} runs went on, with the same bytes",
    ),
    (
        "crashes",
        "killed at random moments",
        "{parent} times the command, {child} times its child; every rerun gave the same bytes",
    ),
    ("fuzz", "mutated films", "{count} tried, no bad end"),
    (
        "pairs",
        "tracks, containers and options over FFmpeg's tables",
        "{count} tried, {refused} refused before work, no bad end",
    ),
    (
        "pixels",
        "combinations of pixels, networks, sizes and colours",
        "{combinations} tried, each within rounding of a float reference",
    ),
    ("edit lists", "edit lists of MP4, by seed", "{edit_lists} tried, each shown as FFmpeg shows it"),
    ("changes", "changes in mid-stream, by seed", "{changes} tried, each right or refused where it is"),
    (
        "interlacing",
        "clips made by code, flagged rightly, wrongly or not",
        "{interlacing_clips} judged; {taken_for_interlaced} progressive ones taken for interlaced, {interlaced_missed} interlaced ones missed",
    ),
    (
        "torture",
        "files of a torture set",
        "{count} tried, no bad end; {refused} refused at once, 99 in 100 within {refusal_p99_seconds} CPU seconds",
    ),
    ("mutants", "guards taken out", "{mutants} tried, each noticed by its test"),
    ("guards", "CPU seconds that the guards take", "{share} of a run"),
    (
        "server kills",
        "a server with a queue, killed at random moments",
        "{serve_server_kills} times the server, {serve_command_kills} times a job's command, {serve_worker_kills} times a worker; no job was lost or done twice",
    ),
    ("requests", "requests made of the server's description", "{serve_requests} answered, none with 500"),
    (
        "soak here",
        "a long film on one machine",
        "{frames} frames; no process grew by more than {growth_bytes} bytes over half of them",
    ),
    (
        "soak ray",
        "the same on a local Ray",
        "{frames} frames; no process grew by more than {growth_bytes} bytes over half of them",
    ),
)
"""Part, what it is, and what came of it by its figures."""


def _figures() -> str:
    """What the nightly run measured, as text; parts in several pieces are added up."""
    measured = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    lines = [
        "## Figures of the nightly run",
        "",
        "`make nightly` runs the long versions of these tests; a part stands here once it ended with nothing lost.",
        "",
    ]
    lines += ["| part | day | outcome |", "|---|---|---|"]
    for name, what, outcome in _ROWS:
        pieces = [
            table
            for part, table in measured.items()
            if part == name or (part.startswith(f"{name} ") and "/" in part)
        ]
        if pieces:
            total: dict[str, Any] = {}
            for piece in pieces:
                for key, value in piece.items():
                    total[key] = total.get(key, 0) + value if isinstance(value, int) else value
            lines.append(
                f"| {what.format(**total)} | {max(p['day'] for p in pieces)} | {outcome.format(**total)} |"
            )
    return "\n".join([*lines, ""])


def _files() -> list[str]:
    """Every file of the media set and what became of it."""
    if not EVERY_FILE.exists():
        return []
    rows = json.loads(EVERY_FILE.read_text(encoding="utf-8"))
    return [
        "## Files from elsewhere",
        "",
        "`python -m tests.benchmarks.every_file FOLDER --write` takes every file of a folder through `vsr run` and judges the result by PyAV alone:",
        "frames, times, size, shape, colour tags and pictures of the film, bytes and times of sound and subtitles. Of longer films it is the first two seconds.",
        f"{len(rows)} files so far.",
        "",
        "| file | end | frames / plain decoder | said |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run `python -m tests.docs.test_reliability` and commit docs/reliability.md"
    )


def test_every_case_has_its_test():
    numbers = [case for cases in CASES.values() for case in cases]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert not set(numbers) - set(named_tests()) - OPEN


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.case} {m.what}")
def test_every_mutant_applies_to_today_s_text_and_names_a_test(mutant: Mutant):
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    file, _, test = mutant.test.partition("::")
    assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_cases_that_must_be_shown_to_fail_have_mutants():
    demanded = {*range(4, 9), *range(16, 19), *range(30, 36), 43, *range(69, 73)}
    assert demanded <= {m.case for m in MUTANTS}


def test_docstrings_name_cases_that_exist():
    assert set(named_tests()) <= {case for cases in CASES.values() for case in cases}


def test_cases_are_read_as_people_write_them():
    assert cases_of("Case 7.") == [7]
    assert cases_of("Cases 38, 44 and 62: anywhere") == [38, 44, 62]
    assert cases_of("Cases 4 to 6") == [4, 5, 6]
    assert cases_of("In case 7 of 8") == []


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
