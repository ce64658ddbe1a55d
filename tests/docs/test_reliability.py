"""docs/reliability.md lists what `vsr` does in each case, and the tests that prove it.

A test names its cases at the start of its docstring: "Case 38: ..." or "Cases 38, 44 and 62.". `python -m
tests.docs.test_reliability` regenerates the page from those docstrings, from `CASES`, and from the figures
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
            "The frame rate is constant; the film is one chunk or many.",
            "The output has the same number of frames and the same timestamps, to the tick. Every run gives the same bytes.",
        ),
        2: (
            "The frame rate varies, and the output is MP4 or MOV.",
            "Timestamps are the same to the tick; the last frame keeps its duration.",
        ),
        3: (
            "The frame rate varies, and the output is Matroska.",
            "A warning says that Matroska rounds to 1 ms; no timestamp is off by more than 0.5 ms. If two frames would get the same timestamp: exit 2.",
        ),
        4: (
            "Open GOPs (H.264, HEVC, MPEG-2) are cut at every key frame.",
            "No frame is lost or duplicated; every frame is the same as when decoding from the start.",
        ),
        5: (
            "The film has intra refresh instead of key frames.",
            "The film is decoded from its first frame on, by one decoder.",
        ),
        6: ("The first packets of a Matroska file have no decode time.", "They are kept."),
        7: (
            "The last frames of the film are B-frames.",
            "The decoder is drained, so the last frame is not lost.",
        ),
        8: (
            "An edit list hides frames, or cuts out or repeats parts.",
            "The output has the frames that FFmpeg shows of the film, and the same start time.",
        ),
        9: (
            "A film begins before or after zero; the clock of a recording (MPEG-TS, PS) may have run for hours.",
            "The film keeps its offset and stays in sync with its audio. The output of a recording begins at 0; all its tracks are shifted by the same amount.",
        ),
        10: (
            "The 33-bit clock of an MPEG-TS file wraps.",
            "Timestamps continue after it; the duration is correct.",
        ),
        11: (
            "MPEG-TS files were joined, or their clock jumps.",
            "All frames are kept; the parts follow each other, each in sync with its audio.",
        ),
        12: (
            "Frames have no timestamps, or several share one.",
            "Frames are counted by decoding, in a single pass of the decoder.",
        ),
        13: ("Timestamps have a gap.", "The output has the same gap."),
        14: (
            "The two fields of a frame are in separate packets.",
            "Frames are those that the decoder returns; `--deinterlace` applies.",
        ),
        15: (
            "The video is interlaced, flagged or not.",
            "This is detected and reported; the video is deinterlaced or refused, according to `--deinterlace`.",
        ),
        97: (
            "The film was telecined (3:2, 2:3:3:2, or 2:2 one field late), with breaks in the cadence, noise, still parts, fades, or video in between.",
            "`--deinterlace ivtc` restores each film frame once, at its time, with the same bytes wherever the film is cut into chunks. `auto` does so if the whole video is telecined. Other cadences are refused: exit 3.",
        ),
        16: (
            "Frames before and after a chunk boundary are spaced differently.",
            "Across the boundary, DTS still increase, and PTS stay exact.",
        ),
        17: (
            "The header of a chunk differs from that of the others.",
            "This is found before chunks are joined: exit 7.",
        ),
        18: (
            "A worker drops, duplicates or swaps frames, and their number stays right.",
            "This is found by comparing images: exit 7.",
        ),
        19: (
            "A recurrent network runs on a film that is cut into chunks.",
            "Each chunk starts with enough of the frames before it, so the bytes are the same wherever the film is cut.",
        ),
        20: (
            "The decoder's header or palette changes in mid-stream; or the size, pixel format, SAR, colour, HDR metadata or rotation changes.",
            "New headers and palettes are applied. The other changes are refused; the message names the frame and its time: exit 3. In any case, the process that has opened the file also decodes some frames of every chunk, to compare them with those of the workers.",
        ),
    },
    "Tracks and tags": {
        21: (
            "The source has several languages, subtitles, chapters, fonts, cover art or a second video; audio with a clock that steps back; PCM in packets of any size, also from discs.",
            "Tracks are copied bit for bit, with their tags. Packets that step back in time are moved forward, and this is reported. PCM is compared by its bytes, PCM of discs by its samples.",
        ),
        22: ("AAC audio has priming samples.", "They are kept, so the audio stays in sync."),
        23: (
            "The output container can't hold a track; or its muxer fails only at the end, writes what no player reads, or ends a track at the wrong time; or audio has a tag of another container.",
            "Before work starts, two frames and the first and last packets of every track are muxed and verified. If this fails: exit 2, with a message that suggests only remedies that were tried and work. `--drop-incompatible` leaves such tracks out and reports them. Tracks without packets are left out and named. The time at which every audio track ends is compared with the source's. In Matroska, the codec tag of audio from QuickTime is replaced by Matroska's own.",
        ),
        24: (
            "The first video stream is cover art; or a photo consists of tiles (HEIC, AVIF).",
            "The film is upscaled and the cover copied. Tiles are assembled as FFmpeg does it; if one is missing or damaged: exit 3.",
        ),
        25: (
            "Tracks have no decoder, or contain data or a timecode.",
            "They are copied, or reported as left out. A timecode is kept as a track or a tag; with `--range`, it starts with the timecode of the first frame of the range.",
        ),
        26: ("The film is rotated by a tag.", "The pixels are rotated, and this is reported."),
        27: (
            "Pixels are not square; the container crops the image.",
            "The display aspect ratio is kept; the container's takes precedence over the bitstream's. `--square-pixels` converts to square pixels. The crop is applied and reported.",
        ),
        28: (
            "Players need the tag `hvc1` in MP4 and MOV, and colour tags.",
            "Both are written as players expect them.",
        ),
        29: (
            "Tags are huge, right-to-left or invalid.",
            "They are kept, or dropped with a note; never a crash.",
        ),
    },
    "Colour": {
        30: (
            "Any matrix, range, depth and subsampling",
            "On patches of colour, the output differs from the source by at most 0.5 dE00 on average.",
        ),
        31: (
            "SD video without colour tags",
            "Its colours are assumed by a [fixed rule](color.md); the output is tagged with what was assumed.",
        ),
        32: ("Any siting of chroma samples", "It is preserved, also in rotated images."),
        33: (
            "10-bit video",
            "The output is 10-bit, too. If the source is a ramp of all 1024 sample values, the output has at least 1000 different ones.",
        ),
        34: (
            "8-bit output of a source with more bits, cut anywhere",
            "Every run gives the same pixels.",
        ),
        35: (
            "HDR10",
            "Tags, mastering display and MaxCLL are in every chunk and in the container.",
        ),
        36: (
            "HDR10+, Dolby Vision",
            "The metadata is copied byte for byte and frame by frame, wherever the film is cut. If the output can't hold it, its loss is reported before work starts. Profile 5 is refused: exit 3.",
        ),
        95: (
            "A chunk lacks the HDR10+ or Dolby Vision metadata of a frame, or has that of another frame.",
            "The chunk is not kept. Checksums in the chunk manifests show whether metadata is lost after that. If so, the output doesn't get its name: exit 7. Resumed runs are checked in the same way.",
        ),
        96: (
            "A film with Dolby Vision of profile 8.1 or 8.4 gets another frame size.",
            "Active areas are scaled, cropped and rotated, and the CRC-32 is recomputed. Level and compatibility are written to MP4, MOV and Matroska; an output without them is rejected.",
        ),
        37: ("PQ or HLG to 8 bits", "Refused: exit 2."),
    },
    "Crashes, resuming, resources": {
        38: (
            "The command is killed at any moment.",
            "The same command continues after the last finished chunk. An incomplete file never has the output's name.",
        ),
        39: ("A worker is killed.", "It is replaced. Its chunk is made again, and is in the output once."),
        40: ("A cluster node is lost.", "The other nodes do its work."),
        41: ("A chunk is made twice at the same time.", "The first complete one counts."),
        42: (
            "Input, networks, settings, devices or libraries change between runs.",
            "Earlier chunks are neither used nor deleted: exit 2, with a message that names what has changed and how to continue.",
        ),
        43: (
            "Kept chunks are damaged or tampered with.",
            "This is found by their hash; they are made again.",
        ),
        44: (
            "Files of the work directory are incomplete, as after a power cut.",
            "They are made again; never a traceback.",
        ),
        45: (
            "A finished command is run again.",
            '"already done", exit 0. `--verify full` first checks every byte and frame, and exits with 7 if the output is damaged; `--fresh` makes it again.',
        ),
        46: ("Two runs have the same output.", "The second one is refused: exit 2."),
        47: (
            "Ctrl-C is pressed once, or twice.",
            "Once: current chunks are finished and kept, exit 130. Twice: the run stops immediately. No process is left.",
        ),
        48: ("SIGTERM is received.", "Like Ctrl-C once, but exit 143."),
        49: (
            "The disk is full, or becomes full.",
            "Exit 5; the run can be resumed when there is space.",
        ),
        50: ("A folder is missing or not writable.", "This is reported before work starts: exit 2 or 5."),
        51: (
            "An output, its report or one of its images exists, or appears during the run.",
            "Refused without `--overwrite`; with it, the old file stays until the new one is verified. If the output is an image sequence, existing images with other numbers stay.",
        ),
        52: ("The output is the input, by any name.", "Refused: exit 2."),
        53: (
            "GPU memory runs out.",
            "The run goes on with one worker per device; if that isn't enough, with a new plan that has smaller tiles. Batch sizes never change, because they affect bits (see case 54).",
        ),
        54: (
            "Memory runs out.",
            (
                "The chunk is tried three times in new processes; then with fewer workers, if several share the memory; then, if no chunk is finished, "
                "the run makes a new plan with smaller tiles and goes on with it. A later run of the same command uses that plan, too. If this doesn't help: exit 6, and finished chunks are kept."
            ),
        ),
        55: (
            "A CUDA context is broken for good.",
            "Its process is replaced and its chunk is made again; after three attempts, exit 6.",
        ),
        56: (
            "A chunk kills every worker.",
            "After three attempts, exit 6 with the numbers of its frames.",
        ),
        57: (
            "A worker hangs.",
            "It is detected because it stops reporting progress, and replaced; its chunk is made again.",
        ),
        58: (
            "NVENC or CUDA is not available.",
            "If one of them is requested, it is tried before work starts; if that fails: exit 2.",
        ),
        59: (
            "A network returns NaN, infinity or black.",
            "Every frame is checked; a bad one is computed again in fp32. If it is still bad: exit 7.",
        ),
        60: (
            "The film is very long.",
            "Memory, file descriptors, threads and shared memory don't grow. Work that is not per pixel grows linearly with the length.",
        ),
        86: (
            "A container limits cores and memory; the system has no CPU affinities; /dev/shm has 64 MB; the calling program has configured logging.",
            "The limits on cores and memory are respected. Ray's object store uses the disk. Logging is restored at the end.",
        ),
        61: (
            "One of several inputs is bad.",
            "The others are upscaled; exit 8, with one line for each failed input.",
        ),
        62: (
            "Any of these failures",
            "Only the work directory is left next to the output. It is deleted after success, except for files that others put there.",
        ),
        94: (
            "In a watched folder, files are still being written, are bad, rewritten, renamed or deleted; network shares report no events; the command is restarted.",
            "Each film is upscaled once, when it no longer grows. Finished outputs are kept; that of a rewritten film is replaced.",
        ),
    },
    "Bad input": {
        63: (
            "A file is truncated.",
            "This is found before work starts: exit 4, or `--on-corrupt conceal` upscales every frame that is there. If the file ends exactly between two frames, it is upscaled as it is.",
        ),
        64: (
            "The input has no video (it is empty, a text, audio only or a folder), or its video is encrypted.",
            "Exit 3 immediately, with the reason; no worker is started.",
        ),
        65: (
            "Bits are flipped.",
            "Exit 4 with the numbers of the frames; `conceal` keeps the number of frames and reports how many are damaged.",
        ),
        66: (
            "Sides are odd; the film has only one frame.",
            "Where the output's pixel format needs even sides, `--scale` adds a column or row to an odd one, and `--to` rounds to an even number ([details](color.md#output-size)). A single frame becomes a film of one frame.",
        ),
        67: ("The output is too large for the encoder.", "Refused before work starts."),
        85: (
            "Numbers, options or names are impossible: infinities, endless digits, options unknown to the encoder, invalid file names, folders that can't be listed.",
            "Exit 2 before work starts, with one line.",
        ),
        68: (
            "Hundreds of files are mutated.",
            "A correct output, or one line and an exit code; never a crash or a hang.",
        ),
    },
    "Security": {
        69: ("A playlist names a server.", "No request is sent; exit 3."),
        70: ("A file contains a list of other files.", "They are not opened; exit 3."),
        71: ("An input looks like a URL.", "It is treated as a file name."),
        72: ("File names are hostile.", "They are treated as plain file names; nothing is executed."),
        73: (
            "Names in tags and attachments contain paths.",
            "Nothing is written outside the output's folder.",
        ),
        74: (
            "The work directory is a link.",
            "It is refused. A work directory is readable by its owner only.",
        ),
        75: (
            "Decompression bombs: too many pixels, streams or tags",
            "Limits apply: exit 3, in bounded memory.",
        ),
        76: ("A file needs an exotic decoder.", "Refused."),
        77: ("Weights contain code.", "It is never run."),
        78: ("Weights claim false sizes.", "Refused before memory is allocated."),
        79: ("Open ports of a run", "None, except on the loopback interface."),
        80: ("Secrets in names and environment variables", "Not displayed."),
        87: ("Escape sequences in file names and tags", "Replaced in everything that is printed."),
        91: (
            "An ONNX file is not an image network, has its weights in another file, or gives other results on a device.",
            "The first two are refused by the process that reads the file, without network access. In the third case the CPU is used instead, and this is reported.",
        ),
        81: ("Libraries have known vulnerabilities.", "Refused, or a warning at each start."),
        90: (
            "The download of a network from `vsr models` breaks off, has another length or hash, or is redirected to `file:`; several processes download at once.",
            "A broken-off download is resumed; one with another length or hash is refused, and nothing is kept. Several processes share one download. Only https is used; the proxy and `SSL_CERT_FILE` are respected. The report of every run contains the licences of its networks.",
        ),
    },
    "Hardware": {
        88: (
            "A hardware encoder loses, repeats or swaps frames, shifts timestamps, gives varying bytes, crashes or hangs.",
            "A self-test finds this before the encoder is used, once per driver. A software encoder is used instead; if the hardware encoder was named: exit 2.",
        ),
        89: (
            "A hardware encoder fails or spoils frames during a run, has no free session, or leaves out tags, siting or HDR metadata.",
            "The worker that encoded a chunk decodes it again, and compares it with the frames given to the encoder. After a failure, the chunk is encoded again, at most twice; then the run stops and suggests `--encoder software`. Workers wait for a free session. Missing metadata is written into the stream.",
        ),
    },
    "Devices": {
        93: (
            "The results of a GPU differ too much from the CPU's, or its driver ends the process.",
            "One tile is tested when the plan is made: exit 2. Precision and memory layout are chosen at the same time, and recorded in the plan.",
        ),
    },
    "The server": {
        98: (
            "The server, a job's command or its worker is killed repeatedly, at any moment.",
            "After a restart, the server still has its queue, and jobs resume. No job is lost or done twice; the bytes are the same.",
        ),
        99: (
            "Requests have no token, name another host, come from a page of another site, contain paths outside the roots, or are too large or too slow.",
            "They are refused with 401, 403, 404, 408 or 413; no response contains an absolute path.",
        ),
        100: (
            "Random requests are generated from the server's own API description.",
            "None gets status 500; responses match the description.",
        ),
    },
    "Other systems": {
        92: (
            "The system has no fcntl, resource, affinities, UNIX sockets, inherited descriptors or seccomp, like Windows; file names differ only in case.",
            "All commands work except those for clusters; two outputs never share a name.",
        ),
    },
    "Film material": {
        101: (
            "A target size or VMAF is given instead of a CRF.",
            "The CRF is found from samples, the same one every time; the bytes are those of a run with that CRF. If the target is out of reach: exit 2, with what can be reached.",
        ),
        102: (
            "A search for a CRF, or the run after it, is interrupted; or there are chunks of another command.",
            "The run continues with the CRF that was found; samples are deleted. Chunks of another command are reported before any search starts.",
        ),
        103: (
            "Several prefilters clean the source first: noise, blocks, bands, halos, combing.",
            "They run in the order given, on each frame separately, so the bytes are the same wherever the film is cut. Unknown ones are refused: exit 2.",
        ),
    },
    "Training and judging": {
        82: (
            "The log of a training run is incomplete, or its shards are damaged.",
            "Complete lines are kept, and `--resume` continues. A shard with another hash is refused.",
        ),
        83: (
            "Several data sets contain the same film, but hold out different parts of it.",
            "Footage that one of them holds out is not used for training by any other.",
        ),
        84: (
            "Some items have no value of a metric; files have the same name.",
            "The mean is taken over the items that have a value. If files have the same name, the images written for each get different names.",
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

This page lists what can go wrong in a run that takes days, on footage from anywhere, and what `vsr` does about it. The tests named in the last
column provoke each case for real: they kill processes, fill disks and truncate files. Exit codes: 0 done, 1 a bug in `vsr`, 2 wrong usage,
3 unusable input, 4 damaged input, 5 disk, 6 out of memory, workers or devices, 7 output not verified, 8 some of several inputs failed,
130 or 143 stopped.

Four rules make this possible. An output gets its final name only after every frame, every timestamp and every packet of the other tracks was
checked. Chunks that an interrupted run has finished are used only if they have the hash that was recorded for them. Everything that affects the
output's bits is in the plan, so it makes no difference which worker made a chunk, or in which attempt. And a check is relied on only if a test
fails without it: `python -m tests.mutants` removes such checks one by one.
"""


_ROWS: tuple[tuple[str, str, str], ...] = (
    (
        "steps",
        "a run ended before each of {steps} disk operations, by a kill and by a simulated power cut",
        "{ended} runs were resumed, with the same bytes",
    ),
    (
        "crashes",
        "a run killed at random moments",
        "the command was killed {parent} times, its child process {child} times; every rerun gave the same bytes",
    ),
    ("fuzz", "mutated films", "{count} tried, no crash, hang or wrong output"),
    (
        "pairs",
        "combinations of tracks, containers and options from FFmpeg's tables",
        "{count} tried, {refused} refused before work, no crash, hang or wrong output",
    ),
    (
        "pixels",
        "combinations of pixel formats, networks, sizes and colours",
        "{combinations} tried, each within rounding of a float reference",
    ),
    ("edit lists", "random edit lists of MP4", "{edit_lists} tried, each shown as FFmpeg shows it"),
    (
        "changes",
        "random changes in mid-stream",
        "{changes} tried, each upscaled correctly or refused with its place",
    ),
    (
        "interlacing",
        "interlacing detection on generated clips, flagged correctly, wrongly or not at all",
        "{interlacing_clips} clips; {taken_for_interlaced} progressive ones were detected as interlaced, {interlaced_missed} interlaced ones were missed",
    ),
    (
        "torture",
        "files of a torture set",
        "{count} tried, no crash, hang or wrong output; {refused} refused before work; the 99th percentile of their CPU time is {refusal_p99_seconds} s",
    ),
    (
        "mutants",
        "checks removed, one at a time",
        "{mutants} removed; each time, the test of the check failed",
    ),
    ("guards", "CPU time of the checks", "{share} of a run's"),
    (
        "server kills",
        "a server with a queue, killed at random moments",
        "the server was killed {serve_server_kills} times, a job's command {serve_command_kills} times, a worker {serve_worker_kills} times; no job was lost or done twice",
    ),
    (
        "requests",
        "requests generated from the server's API description",
        "{serve_requests} answered, none with status 500",
    ),
    (
        "soak here",
        "a long film on one machine",
        "{frames} frames; from the second to the last quarter of the run, no process grew by more than {growth_bytes} bytes",
    ),
    (
        "soak ray",
        "the same on a local Ray cluster",
        "{frames} frames; from the second to the last quarter of the run, no process grew by more than {growth_bytes} bytes",
    ),
)
"""Part, what it is, and what came of it by its figures."""


def _figures() -> str:
    """The figures of the nightly run as text; parts in several pieces are added up."""
    measured = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    lines = [
        "## Figures of the nightly run",
        "",
        "`make nightly` runs the long versions of these tests. A part is listed after it has succeeded.",
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
    """The table of the files of the media set, and their results."""
    if not EVERY_FILE.exists():
        return []
    rows = json.loads(EVERY_FILE.read_text(encoding="utf-8"))
    return [
        "## Files from elsewhere",
        "",
        "`python -m tests.benchmarks.every_file FOLDER --write` runs `vsr run` on every file of a folder and checks the result with PyAV alone:",
        "frames, timestamps, size, shape, colour tags and images of the film, bytes and timestamps of audio and subtitles. Of films with more than 400 frames, the first two seconds are upscaled.",
        f"{len(rows)} files so far; *plain decoder* is the number of frames that PyAV alone decodes.",
        "",
        "| file | result | frames / plain decoder | message |",
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
