"""Checks that a test fails if a guard is removed. `python -m tests.mutants [--part K/N] [CASE...]`.

Prints a table. Each mutant changes one place in a copy of the project and runs the test of that guard, which
must fail. Exits with 1 if a mutant survives, or if a test fails without a mutant.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.figures import record

ROOT = Path(__file__).resolve().parent.parent
_COPIED = ("vsr", "pipelines", "models", "configs", "tests", "pyproject.toml", "README.md")
_SECONDS = 1800


@dataclass(frozen=True)
class Mutant:
    """A removed guard, and the test that must fail."""

    case: int
    what: str
    file: str
    old: str
    new: str
    test: str


_JOB = "tests/pipelines/run/test_job.py"
_MOV_BOXES = "tests/pipelines/containers/test_mov_boxes.py"
_DYNAMIC = "tests/pipelines/run/test_dynamic_hdr.py"
_SYSTEMS = "tests/end_to_end/test_other_systems.py"
_DEVICES = "tests/pipelines/inference/test_device.py"
_JOURNAL = "tests/pipelines/output/test_journal.py"
_SOURCE = "tests/pipelines/media/test_demuxer.py"
_VERIFY = "tests/pipelines/output/test_verification.py"
_ASSEMBLE = "tests/pipelines/output/test_muxer.py"
_CRASH = "tests/pipelines/run/test_crash.py"
_FAULTS = "tests/end_to_end/test_faults.py"
_LOOK = "tests/pipelines/probe/test_first_frames.py"
_TURNED = "tests/pipelines/inference/test_turned_chroma.py"
_SCAN = "tests/pipelines/interlacing/test_scan_detection.py"
_SAMPLES = "tests/pipelines/frames/test_film_frames.py"
_FILTERS = "tests/pipelines/codec/test_filter_graph.py"
_WEAVING = "tests/pipelines/codec/test_field_weaving.py"
_PULLDOWN = "tests/pipelines/plan/test_pulldown.py"
_CADENCE = "tests/pipelines/interlacing/test_cadence.py"
_FIELDS = "tests/pipelines/planner/test_field_choice.py"
_TELECINE = "tests/pipelines/run/test_inverse_telecine.py"
_LOCAL = "tests/pipelines/pool/test_process_pool.py"
_CLUSTER = "tests/pipelines/cluster/test_ray_pool.py"
_LEDGER = "tests/pipelines/pool/test_task_queue.py"
_MACHINES = "tests/pipelines/cluster/test_nodes.py"
_ACTOR = "tests/pipelines/cluster/test_actor.py"
_SPANS = "tests/pipelines/run/test_chunk_tasks.py"
_WORKER = "tests/pipelines/workers/test_chunk_worker.py"
_LIMITS = "tests/pipelines/media/test_limits.py"
_LENGTH = "tests/pipelines/run/test_length.py"
_FULL = "tests/pipelines/output/test_full_verification.py"
_DATA = "tests/pipelines/datasets/test_training_data.py"
_TRAIN = "tests/pipelines/training/test_train.py"
_EXACT = "tests/pipelines/run/test_color_exact.py"
_SERVED = "tests/vsr/server/test_access.py"
_SERVED_JOBS = "tests/vsr/server/test_jobs.py"
_SERVED_QUEUE = "tests/vsr/server/test_job_queue.py"
_SERVED_KILLS = "tests/vsr/server/test_kills.py"
_RATE = "tests/pipelines/run/test_crf_search.py"
_PREFILTERS = "tests/pipelines/codec/test_prefilter.py"
_INT8 = "tests/pipelines/inference/test_int8_run.py"
_AUTO = "tests/pipelines/planner/test_precision_choice.py"
_TILES = "tests/pipelines/planner/test_smaller_tiles.py"
_ATOMIC = "tests/pipelines/storage/test_atomic_file.py"
_DOWNLOAD = "tests/pipelines/storage/test_download.py"
_ONNX = "tests/models/catalog/test_onnx_reader.py"
_FETCH = "tests/pipelines/model_files/test_install.py"
_KNOWN = "tests/vsr/cli/commands/test_known_models.py"
_LOST = "tests/pipelines/run/test_nothing_lost.py"
_DEVICE = "tests/pipelines/inference/test_upscaler.py"
_DIRECT = "tests/pipelines/inference/test_direct_stage.py"
_PACKETS = "tests/pipelines/codec/test_packet_damage.py"
_CUT_SLICE = "tests/pipelines/codec/test_cut_slice.py"
_PLAN_ID = "tests/pipelines/plan/test_plan_id.py"
_ANY_LENGTH = "tests/pipelines/plan/test_any_length.py"
_FACTS = "tests/pipelines/probe/test_container_facts.py"

_TRACKS = "tests/pipelines/output/test_other_tracks.py"
_PIXELS = "tests/pipelines/inference/test_pixel_formats.py"
_COMPARISON = "tests/pipelines/quality/test_comparison.py"
_OPAQUE = "tests/pipelines/probe/test_opaque_files.py"
_GREY_JPEG = "tests/pipelines/codec/test_grey_jpeg.py"
_TEXTURES = "tests/pipelines/output/test_fine_textures.py"
_PIXELS_RUN = "tests/pipelines/run/test_pixel_formats_run.py"
_PULSE = "tests/pipelines/pool/test_pulse.py"
_USAGE = "tests/vsr/cli/test_usage_errors.py"
_TERMINAL = "tests/vsr/cli/test_terminal.py"
_SHAPE = "tests/vsr/cli/test_shape_and_color.py"
_TAGS = "tests/vsr/cli/test_containers_and_tags.py"
_STORE = "tests/pipelines/run/test_object_store.py"
_RESOURCES = "tests/pipelines/hardware/test_resources.py"
_SESSION = "tests/pipelines/cluster/test_ray_session.py"
_CUT = "tests/pipelines/file_parsing/test_container_check.py"
_ENCODERS = "tests/pipelines/codec/test_hardware_encoder.py"
_CHOICE = "tests/pipelines/encoders/test_encoder_choice.py"
_HARDWARE = "tests/pipelines/run/test_hardware_run.py"
_TEXTS = "tests/pipelines/containers/test_subtitle_text.py"
_PLANNER = "tests/pipelines/planner/test_video_planner.py"
_PROBE = "tests/pipelines/probe/test_probe.py"
_ESTIMATE = "tests/pipelines/diagnostics/test_estimate.py"

_WATCH = "tests/pipelines/run/test_watch.py"

_FILM_END = "tests/pipelines/probe/test_film_end.py"
_SECOND = f"{_FILM_END}::test_a_second_film_that_ffmpeg_does_not_read_is_refused_with_how_to_part_the_two"
_READ_ON = f"{_FILM_END}::test_matroska_joined_byte_by_byte_keeps_every_picture_with_its_sound"

_DECODER = "tests/pipelines/codec/test_decoder.py"
_FIRST_FRAMES = "tests/pipelines/probe/test_first_frames.py"
_REFUSALS = "tests/pipelines/probe/test_refusals.py"
_ANY_FORMAT = "tests/pipelines/run/test_every_pixel_format.py"
_PHOTOS = "tests/pipelines/media/test_tile_assembly.py"
_WHOLE = f"{_PHOTOS}::test_a_photo_of_tiles_is_the_one_that_ffmpeg_puts_together"
_OWN_SAMPLES = f"{_ANY_FORMAT}::test_every_format_gives_its_own_samples_or_is_refused_with_what_helps"

_CHAPTERS = "tests/pipelines/file_parsing/test_matroska_chapters.py"
_PLACES = "tests/vsr/cli/test_names_and_places.py"

MUTANTS = (
    Mutant(
        21, "PCM in MP4 keeps the overlapping times of its packets", "pipelines/output/stream_copy.py",
        "        if samples and context is not None:\n", "        if False:\n",
        f"{_TRACKS}::test_pcm_whose_packets_overlap_keeps_its_end_in_mp4",
    ),
    Mutant(
        25, "a language that FFmpeg does not read is lost silently", "pipelines/probe/stream_choice.py",
        '        if new and ("-" in new or not old):\n', "        if False:\n",
        "tests/pipelines/probe/test_stream_choice.py::test_a_language_that_ffmpeg_does_not_read_is_reported",
    ),
    Mutant(
        23, "fillers between subtitles are taken for subtitles", "pipelines/probe/packet_index.py",
        "seen.counts.get(number, 0) + (not is_filler(packet))", "seen.counts.get(number, 0) + 1",
        f"{_TRACKS}::test_timed_text_without_a_word_does_not_keep_a_film_out_of_matroska",
    ),
    Mutant(
        20, "sizes in AV1 between key frames are not looked for", "pipelines/media/frame_sizes.py",
        'return self._codec == "av1" and self._av1_sees_a_size(bytes(data))', "return False",
        f"{_FACTS}::test_a_size_that_av1_tells_between_key_frames_is_refused_before_work",
    ),
    Mutant(
        20, "a frame of AV1 is asked for its size at another bit", "pipelines/media/frame_sizes.py",
        "    bits.take(2)  # error_resilient_mode, disable_cdf_update", "    bits.take()",
        f"{_FACTS}::test_a_size_that_av1_tells_between_key_frames_is_refused_before_work",
    ),
    Mutant(
        64, "an encrypted film is decoded", "pipelines/probe/probe.py",
        "    if stream.index in encrypted:\n", "    if False:\n",
        f"{_REFUSALS}::test_an_encrypted_film_is_refused_with_what_decrypts_it",
    ),
    Mutant(
        64, "encryption is known by one name", "pipelines/file_parsing/encryption.py",
        'b"encm", b"drmi", b"drms"', 'b"encm"',
        f"{_REFUSALS}::test_a_film_of_another_scheme_is_refused_as_well",
    ),
    Mutant(
        64, "scrambling is not looked for", "pipelines/probe/refusals.py",
        "    if not look.pts and is_scrambled(path):", "    if False:",
        f"{_REFUSALS}::test_a_scrambled_broadcast_is_called_so",
    ),
    Mutant(
        23, "an encrypted track is passed on", "pipelines/containers/container_support.py",
        "    if stream.is_encrypted:\n", "    if False:\n",
        f"{_REFUSALS}::test_an_encrypted_track_next_to_the_film_is_refused_before_work_or_left_out",
    ),
    Mutant(
        21, "GXF is not opened", "pipelines/media/demuxer.py",
        "ogg,mxf,gxf,gif,", "ogg,mxf,gif,",
        f"{_REFUSALS}::test_a_film_of_a_broadcast_server_is_read",
    ),
    Mutant(
        24, "a photo's tiles are laid column by column", "pipelines/media/tile_assembly.py",
        "top, left = place // photo.columns * high, place % photo.columns * wide",
        "top, left = place % photo.rows * high, place // photo.rows * wide", _WHOLE,
    ),
    Mutant(
        24, "what tiles have beyond the photo is kept", "pipelines/media/tile_assembly.py",
        "whole = av.VideoFrame(photo.width, photo.height, name)",
        "whole = av.VideoFrame(first.width * photo.columns, first.height * photo.rows, name)", _WHOLE,
    ),
    Mutant(
        24, "the full range of a photo is lost", "pipelines/media/tile_assembly.py",
        "_FULL if is_full else", "1 if is_full else", _WHOLE,
    ),
    Mutant(
        24, "the mirror of a photo is not turned with it", "pipelines/file_parsing/heif_items.py",
        "not transposed, down, not across", "not transposed, across, not down",
        f"{_PHOTOS}::test_a_photo_is_turned_as_its_file_says",
    ),
    Mutant(
        24, "a photo is mirrored along the other axis", "pipelines/file_parsing/heif_items.py",
        "to_left = bool(content[0] & 1)", "to_left = not content[0] & 1",
        f"{_PHOTOS}::test_a_photo_is_turned_as_its_file_says",
    ),
    Mutant(
        24, "what a photo's file crops is shown", "pipelines/probe/probe.py",
        "(PixelCrop(*photo.crop) if photo else container_crop(stream))", "container_crop(stream)",
        f"{_PHOTOS}::test_a_photo_is_cropped_as_its_file_says",
    ),
    Mutant(
        24, "tags of a photo's file are not looked at", "pipelines/file_parsing/heif_items.py",
        'if kind == b"colr" and content[:4] == b"nclx":', "if False:",
        f"{_PHOTOS}::test_tags_of_the_file_hold_where_tiles_have_none",
    ),
    Mutant(
        24, "a damaged tile is taken as it is", "pipelines/media/tile_assembly.py",
        "if not found or found[0].is_corrupt:", "if not found and found[0].is_corrupt:",
        f"{_PHOTOS}::test_what_is_no_whole_photo_is_refused_and_never_one_tile_taken",
    ),
    Mutant(
        24, "a photo may be as large as it says", "pipelines/media/tile_assembly.py",
        "if photo.width * photo.height > most_pixels:", "if False:",
        f"{_PHOTOS}::test_a_photo_that_would_fill_memory_is_refused_before_it_is_made",
    ),
    Mutant(
        30, "FFmpeg converts samples in several threads", "pipelines/codec/decoder.py",
        "frame.reformat(format=pix_fmt, threads=1)", "frame.reformat(format=pix_fmt)",
        f"{_DECODER}::test_packed_samples_are_the_same_each_time",
    ),
    Mutant(
        30, "integers of a TIFF are taken for floats", "pipelines/probe/first_frames.py",
        "kind == (_FLOAT if bits == 32 else _UNSIGNED)", "True",
        "tests/pipelines/probe/test_first_frames.py::test_samples_of_a_tiff_are_read_as_what_they_are_or_refused",
    ),
    Mutant(
        30, "alpha in a layer of HEVC is lost without a word", "pipelines/probe/first_frames.py",
        "is_there = any(kind ==", "is_there = all(kind ==",
        "tests/pipelines/probe/test_first_frames.py::test_alpha_in_a_layer_of_hevc_is_said_to_be_left_out",
    ),
    Mutant(
        30, "alpha of VP9 is lost without a word", "pipelines/probe/probe.py",
        'if "1" in (stream.metadata.get(name)', 'if "" in (stream.metadata.get(name)',
        "tests/pipelines/probe/test_first_frames.py::test_alpha_of_vp8_and_vp9_is_said_to_be_left_out",
    ),
    Mutant(
        30, "only the first picture of a sequence is looked at", "pipelines/probe/probe.py",
        "for file in files)", "for file in files[:1])",
        "tests/pipelines/probe/test_first_frames.py::test_every_picture_of_a_sequence_is_looked_at",
    ),
    Mutant(
        30, "big-endian packed formats are refused", "pipelines/media/pixel_format.py",
        "_PLANAR.get(little, little)", "_PLANAR.get(pix_fmt, little)", _OWN_SAMPLES,
    ),
    Mutant(
        30, "a byte of three colours is shifted", "pipelines/codec/decoder.py",
        "(rgb|bgr)(4|4_byte|8|", "(rgb|bgr)(4|4_byte|", _OWN_SAMPLES,
    ),
    Mutant(
        30, "samples in the highest bits are left to FFmpeg", "pipelines/codec/decoder.py",
        'if "msb" in name:', 'if "no msb" in name:', _OWN_SAMPLES,
    ),
    Mutant(
        30, "OpenEXR of luminance and chroma is grey", "pipelines/probe/first_frames.py",
        " or plain & _OTHER_COLORS)", ")",
        f"{_FIRST_FRAMES}::test_a_picture_whose_colour_ffmpeg_drops_or_misreads_is_refused",
    ),
    Mutant(
        30, "channels of OpenEXR are left out without a word", "pipelines/probe/first_frames.py",
        "if channels else set()", "if not channels else set()",
        f"{_FIRST_FRAMES}::test_channels_that_are_left_out_are_reported",
    ),
    Mutant(
        30, "pages behind the first are left out without a word", "pipelines/probe/first_frames.py",
        "if pages else set()", "if not pages else set()",
        f"{_FIRST_FRAMES}::test_pages_behind_the_first_are_reported",
    ),
    Mutant(
        15, "small frames may have fields", "pipelines/interlacing/scan_detection.py",
        "if small and not hard else", "if False else",
        "tests/pipelines/interlacing/test_scan_detection.py::test_fine_patterns_of_small_frames_are_no_fields",
    ),
    Mutant(
        15, "fields are sought at the start where clocks jump", "pipelines/interlacing/scan_detection.py",
        "in film.in_order(rows)]", "in film.in_order(rows[:1])]",
        "tests/pipelines/interlacing/test_scan_detection.py"
        "::test_fields_behind_many_whole_frames_are_found_where_nothing_can_be_sought",
    ),
    Mutant(
        30, "codecs are named that do not hold the pixels", "pipelines/encoders/encoder_options.py",
        " and _has_format(other, settings.pixel_format, source)", "",
        "tests/pipelines/encoders/test_encoder_choice.py"
        "::test_a_size_that_hevc_does_not_hold_is_refused_with_codecs_that_hold_its_pixels_too",
    ),
    Mutant(
        63, "the second of two joined films is left out", "pipelines/probe/film_end.py",
        "    if begins:\n", "    if False:\n", _SECOND,
    ),
    Mutant(
        63, "joined fragments are one film", "pipelines/probe/film_end.py",
        "    if any(after < before for", "    if False and any(after < before for", _SECOND,
    ),
    Mutant(
        63, "joined Matroska is decoded by the first headers", "pipelines/probe/film_end.py",
        "if track_headers(path, begins, stop) != first:", "if False:", _SECOND,
    ),
    Mutant(
        63, "joined Matroska begins anew at zero", "pipelines/media/timestamps.py",
        "name in CLOCKED or bool(self._joins)", "name in CLOCKED", _READ_ON,
    ),
    Mutant(
        63, "joined Matroska of unknown length is broken", "pipelines/file_parsing/matroska.py",
        "        if found is not None and found[0] == EBML and declared is None:\n", "        if False:\n",
        _READ_ON,
    ),
    Mutant(
        63, "fragments with the header again are two films", "pipelines/probe/film_end.py",
        "    if any(after < before for", "    if True or any(after < before for",
        f"{_FILM_END}::test_fragments_that_repeat_their_header_and_go_on_are_one_film",
    ),
    Mutant(
        25, "a timecode of the pictures is lost", "pipelines/containers/container_tags.py",
        "return next(named, info.timecode)", 'return next(named, "")',
        f"{_TRACKS}::test_a_timecode_that_the_pictures_bear_becomes_a_track_or_a_tag",
    ),
    Mutant(
        25, "a count from zero is a timecode", "pipelines/probe/first_frames.py",
        'return found if found.translate(_NO_TIME) else ""', "return found",
        f"{_TRACKS}::test_a_count_from_zero_is_no_timecode",
    ),
    Mutant(
        103, "prefilters run in an order of ours", "pipelines/settings/option_values.py",
        "    return names\n", "    return tuple(sorted(names))\n",
        f"{_PREFILTERS}::test_prefilters_work_in_the_order_in_which_they_are_named",
    ),
    Mutant(
        103, "a full range is raised as a limited one", "pipelines/codec/prefilters.py",
        "for t in tables)", "for t in tables) if not full else ((codes * 4).astype(np.uint16),) * 2",
        f"{_PREFILTERS}::test_ten_bits_mean_what_eight_bits_meant",
    ),
    Mutant(
        103, "noise far from any edge is taken for halos", "pipelines/codec/prefilters.py",
        "    weight[contrast < _LEAST_EDGE << (bits - 8)] = 0\n", "",
        f"{_PREFILTERS}::test_dehalo_takes_halos_away_and_leaves_lines_and_noise",
    ),
    Mutant(
        103, "texture is taken for combs", "pipelines/codec/prefilters.py",
        "> _COMBED_SHARE * rows * columns", "> 0",
        f"{_PREFILTERS}::test_decomb_makes_one_moment_of_two_and_leaves_texture",
    ),
    Mutant(
        94, "a file that is still written is taken", "pipelines/run/watched_folder.py",
        "now - began >= self._settle_seconds", "True",
        f"{_WATCH}::test_a_file_is_ready_when_it_stopped_growing_for_the_settling_time",
    ),
    Mutant(
        94, "an empty file is taken", "pipelines/run/watched_folder.py",
        "if state is not None and state.bytes:", "if state is not None:",
        f"{_WATCH}::test_an_empty_file_waits",
    ),
    Mutant(
        94, "a film that is done is upscaled under its new name", "pipelines/run/watched_folder.py",
        "if handled is not None and handled.is_done:", "if False:",
        f"{_WATCH}::test_a_film_that_is_done_stays_done_under_another_name_and_one_that_failed_is_tried_again",
    ),
    Mutant(
        94, "results in the watched folder are inputs", "pipelines/run/watched_folder.py",
        "if path in self._results or self._is_below_output(path):", "if False:",
        f"{_WATCH}::test_results_hidden_files_and_other_files_are_never_ready",
    ),
    Mutant(
        94, "a bad file is tried for ever", "pipelines/run/watch.py",
        "self._files.finish(path, state, done=False, again_seconds=_AGAIN_SECONDS if passes else None)", "pass",
        f"{_WATCH}::test_one_bad_file_is_reported_once_does_not_stop_the_rest_and_is_tried_again_when_rewritten",
    ),
    Mutant(
        94, "any file in the place of a result is replaced", "pipelines/run/watch.py",
        "if os.path.lexists(target) and not _is_result_of(target, path.name, now):", "if False:",
        f"{_WATCH}::test_what_lies_in_the_place_of_a_result_and_is_not_of_this_film_stays",
    ),
    Mutant(
        94, "a film that changed while it was upscaled is a bad file", "pipelines/run/watch.py",
        "if now != state:", "if False:",
        f"{_WATCH}::test_a_film_that_vanishes_or_changes_while_it_is_upscaled_is_no_bad_file",
    ),
    Mutant(
        94, "a full disk is for ever", "pipelines/run/watch.py",
        "again_seconds=_AGAIN_SECONDS if passes else None", "again_seconds=None",
        f"{_WATCH}::test_a_full_disk_is_reported_once_and_tried_again",
    ),
    Mutant(
        94, "a share is waited for in vain", "pipelines/run/folder_changes.py",
        'if kind in _REMOTE or kind.startswith("fuse."):', "if False:",
        f"{_WATCH}::test_where_the_system_has_no_events_the_folder_is_looked_at",
    ),
    Mutant(
        94, "a folder that was mounted anew is not watched", "pipelines/run/folder_changes.py",
        "if not self.polls and _identity(self._folder) != self._identity:", "if False:",
        f"{_WATCH}::test_a_folder_that_goes_away_and_comes_back_is_watched_again",
    ),
    Mutant(
        101, "sound is not counted in a size", "pipelines/output/copied_size.py",
        "found, packets = found + packet.size, packets + 1", "packets += 1",
        f"{_RATE}::test_a_result_has_the_size_that_was_requested_sound_and_all",
    ),
    Mutant(
        101, "sound outside a part is counted in its size", "pipelines/output/copied_size.py",
        "and not window[0] <= when", "and False and not window[0] <= when",
        f"{_RATE}::test_a_part_has_the_size_with_its_own_sound",
    ),
    Mutant(
        101, "a search that found its CRF shapes the id of a plan", "pipelines/plan/plan_id.py",
        'if target and target["crf"] is None:', "if target:",
        f"{_RATE}::test_the_bytes_are_those_of_the_crf_that_was_found_and_the_same_again",
    ),
    Mutant(
        101, "a rate among the encoder's options is no clash", "pipelines/planner/plan_checks.py",
        "    if clash:\n", "    if False:\n",
        f"{_RATE}::test_where_there_is_no_crf_to_search_for_the_target_is_refused",
    ),
    Mutant(
        101, "a target beyond the scale is not refused", "pipelines/run/crf_search.py",
        "            if not ladder:\n", "            if False:\n",
        f"{_RATE}::test_what_can_not_be_reached_is_refused_with_what_can",
    ),
    Mutant(
        102, "a resumed run searches again", "pipelines/run/chunk_loop.py",
        "    return with_target_crf(plan, found, encode)\n", "    return plan\n",
        f"{_RATE}::test_a_run_that_was_stopped_resumes_without_another_search",
    ),
    Mutant(
        102, "a search throws away chunks of another command", "pipelines/run/chunk_loop.py",
        "    journal.adopt(plan.id, plan.to_json(), planned.input, cut=cut)\n    _short", "    _short",
        f"{_RATE}::test_chunks_of_another_command_are_kept_from_a_search",
    ),
    Mutant(
        56, "a CRF is searched for a disk that is too small", "pipelines/run/chunk_loop.py",
        "    _short_of_disk(journal.folder, planned)  # raises before samples are encoded\n", "",
        "tests/pipelines/run/test_early_refusals.py::test_a_disk_that_is_too_small_is_refused_before_a_crf_is_searched",
    ),
    Mutant(
        24, "keys of any name take the cover's place", "pipelines/containers/container_support.py",
        "keys = ANY_KEYS if not covers and", "keys = ANY_KEYS if",
        "tests/pipelines/output/test_muxer.py::test_cover_art_is_kept_next_to_tags_that_mp4_has_no_place_for",
    ),
    Mutant(
        88, "a device that is not there is planned for", "pipelines/planner/video_planner.py",
        "    refuse_missing_device(settings)\n", "",
        "tests/pipelines/run/test_early_refusals.py::test_a_device_that_is_not_there_is_refused_before_anything_is_made",
    ),
    Mutant(
        91, "ONNX files may name other files", "models/catalog/onnx_module.py", "options.add_session_config_entry(*_NO_EXTERNAL_DATA)", "pass",
        f"{_ONNX}::test_weights_in_another_file_are_not_looked_for",
    ),
    Mutant(
        91, "a device's values are not compared", "models/catalog/onnx_module.py", "if names[0] != _CPU:", "if False:",
        f"{_ONNX}::test_a_device_that_gives_other_values_is_not_used",
    ),
    Mutant(
        88, "packets of the self-test are not counted", "pipelines/encoders/encoder_check.py",
        "if len(once.pts) != frames:", "if False:",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "times of the self-test are not looked at", "pipelines/encoders/encoder_check.py",
        "if sorted(once.pts) != times:", "if False:",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "the self-test encodes once", "pipelines/encoders/encoder_check.py",
        "if once.header_sha256 != again.header_sha256 or _packets(once) != _packets(again):", "if False:",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "pictures of the self-test are not compared", "pipelines/encoders/encoder_check.py",
        "if least < _LEAST_DB:", "if False:",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "a lost block passes the self-test", "pipelines/encoders/encoder_check.py",
        "if most > _MOST_OF_BLOCK else", "if False else",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "values of another range pass the self-test", "pipelines/encoders/encoder_check.py",
        "if abs(contrast - 1) > _MOST_OF_CONTRAST:", "if False:",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "the self-test waits for a session until it is ended", "pipelines/encoders/encoder_check.py",
        "                patience_seconds=_WAITING_SECONDS,\n", "",
        f"{_ENCODERS}::test_the_self_test_does_not_wait_for_a_session_until_it_counts_as_hung",
    ),
    Mutant(
        88, "a flaw is remembered for ever", "pipelines/encoders/encoder_choice.py",
        "    forget_cached(_TABLE)", "    return",
        f"{_CHOICE}::test_what_was_remembered_of_self_tests_can_be_forgotten",
    ),
    Mutant(
        88, "a driver that fails behind B frames is not used without", "pipelines/encoders/encoder_choice.py",
        "for one in (encoder, without_b_frames(encoder)):", "for one in (encoder,):",
        f"{_CHOICE}::test_a_driver_that_loses_a_frame_behind_b_frames_only_is_used_without_them",
    ),
    Mutant(
        88, "names in another code page end vsr on Windows", "pipelines/hardware/graphics_driver.py",
        'errors="replace",', 'errors="strict",',
        f"{_CHOICE}::test_adapters_of_windows_are_listed_once_in_any_code_page",
    ),
    Mutant(
        88, "tags of the self-test are not compared", "pipelines/encoders/encoder_check.py",
        "if tags != color:", "if False:",
        f"{_ENCODERS}::test_the_self_test_finds_what_drivers_do_to_frames",
    ),
    Mutant(
        88, "a hung driver is waited for", "pipelines/storage/child_call.py",
        "timeout=seconds,\n                check=False", "timeout=None,\n                check=False",
        f"{_ENCODERS}::test_a_driver_that_crashes_or_hangs_ends_with_its_own_process",
    ),
    Mutant(
        88, "the self-test is remembered for any driver", "pipelines/encoders/encoder_choice.py",
        "sorted(small.options.items())),\n            hardware,", "sorted(small.options.items())),",
        f"{_CHOICE}::test_auto_takes_hardware_that_passes_and_says_so",
    ),
    Mutant(
        88, "hardware is taken untested", "pipelines/encoders/encoder_choice.py",
        "lambda one: _self_test(one) or _tried(", "lambda one: _tried(",
        f"{_CHOICE}::test_auto_takes_hardware_that_passes_and_says_so",
    ),
    Mutant(
        88, "auto changes the pixel format", "pipelines/encoders/encoder_choice.py",
        "if not named and encoder.pix_fmt != choose(software).pix_fmt:", "if False:",
        f"{_CHOICE}::test_auto_changes_no_format_and_takes_nothing_for_options_of_software",
    ),
    Mutant(
        89, "no session is waited for", "pipelines/codec/encoder.py",
        "if waited >= patience_seconds or not any(", "if True or not any(",
        f"{_ENCODERS}::test_a_worker_waits_for_a_free_session_and_for_nothing_else",
    ),
    Mutant(
        89, "tags are left to the driver", "pipelines/codec/encoder.py",
        "data, header = with_tags(data, encoder, color)", "pass",
        f"{_ENCODERS}::test_what_a_driver_says_of_colour_is_written_over",
    ),
    Mutant(
        89, "HDR metadata is left to the driver", "pipelines/codec/encoder.py",
        "if hdr is not None and is_key:", "if False:",
        f"{_ENCODERS}::test_tags_siting_and_hdr_metadata_are_written_whatever_the_encoder_wrote",
    ),
    Mutant(
        89, "the numerics class does not name the GPU of the encoder", "pipelines/workers/chunk_worker.py",
        "encoder_hardware(setup.plan.encoder.vendor) or NO_ENCODER", '"hardware"',
        f"{_HARDWARE}::test_chunks_of_another_driver_are_not_mixed_with_those_of_this_one",
    ),
    Mutant(
        89, "frames lost by hardware are not tried again", "pipelines/workers/stage_threads.py",
        "ResourceError(said) if self._is_hardware else", "ResourceError(said) if False else",
        f"{_HARDWARE}::test_an_encoder_that_keeps_failing_ends_the_run_with_what_does_without_it",
    ),
    Mutant(
        89, "a chunk of hardware is stored undecoded", "pipelines/workers/stage_threads.py",
        "chunk_flaw(made, self._plan, self._step) if self._is_hardware", '"" if self._is_hardware',
        f"{_HARDWARE}::test_a_driver_that_always_spoils_a_chunk_ends_the_run",
    ),
    Mutant(
        89, "other pictures of hardware are stored", "pipelines/output/picture_verification.py",
        "if frame.is_corrupt or difference is None or difference:", "if False:",
        f"{_HARDWARE}::test_a_driver_that_always_spoils_a_chunk_ends_the_run",
    ),
    Mutant(
        89, "times of decoded frames of hardware are not compared", "pipelines/output/picture_verification.py",
        "if shown >= len(order) or pts != order[shown]:", "if shown >= len(order):",
        f"{_HARDWARE}::test_a_driver_that_always_spoils_a_chunk_ends_the_run",
    ),
    Mutant(
        89, "the first header of hardware is taken for the right one", "pipelines/run/chunk_loop.py",
        "if all(self._headers[own] >= self._headers[one.header_sha256] + _LEAD for one in others):",
        "if not others:",
        f"{_HARDWARE}::test_a_wrong_header_of_the_first_chunk_is_not_taken_for_that_of_the_film",
    ),
    Mutant(
        89, "chunks of hardware with different headers are kept", "pipelines/run/chunk_loop.py",
        "if not self._plan.encoder.vendor:\n            return False\n        own",
        "if True:\n            return False\n        own",
        f"{_HARDWARE}::test_a_chunk_that_can_t_be_joined_with_the_others_has_three_attempts",
    ),
    Mutant(
        89, "a coarse quality of VideoToolbox counts as fine", "pipelines/settings/encoder_spec.py",
        'if self.vendor == "videotoolbox":\n            return', "if False:\n            return",
        f"{_CHOICE}::test_a_coarse_quantiser_counts_as_coarse_as_the_crf_that_it_stands_for",
    ),
    Mutant(
        89, "a coarse quality of QSV counts as fine", "pipelines/settings/encoder_spec.py",
        'if self.vendor == "qsv":\n            return', "if False:\n            return",
        f"{_CHOICE}::test_a_coarse_quantiser_counts_as_coarse_as_the_crf_that_it_stands_for",
    ),
    Mutant(
        89, "one chunk's wrong headers are counted as another's", "pipelines/run/chunk_loop.py",
        "self._rejected[chunk.index] += 1", "self._rejected.update(c.index for c in self._plan.chunks)",
        f"{_HARDWARE}::test_a_chunk_that_can_t_be_joined_with_the_others_has_three_attempts",
    ),
    Mutant(
        89, "a coarse quantiser of hardware counts as fine", "pipelines/settings/encoder_spec.py",
        'return float(options.get("qp", options.get("qp_p", 0))) / highest', "return 0.0",
        f"{_CHOICE}::test_a_coarse_quantiser_counts_as_coarse_as_the_crf_that_it_stands_for",
    ),
    Mutant(
        90, "a download of another hash is kept", "pipelines/storage/download.py", "if _sha256(path) == sha256.lower():", "if True:",
        f"{_DOWNLOAD}::test_a_file_of_another_hash_is_refused_and_not_kept",
    ),
    Mutant(
        90, "redirections lead anywhere", "pipelines/storage/download.py", 'if not target.lower().startswith("https://"):', "if not target:",
        f"{_DOWNLOAD}::test_a_redirection_to_anything_but_https_is_not_followed",
    ),
    Mutant(
        90, "downloads have no end", "pipelines/storage/download.py", "if there > most:\n                        break", "",
        f"{_DOWNLOAD}::test_a_server_that_does_not_say_the_length_is_stopped_at_the_promised_size",
    ),
    Mutant(
        90, "each process fetches for itself", "pipelines/model_files/install.py", "wait_for_lock(lock.fileno())", "pass",
        f"{_FETCH}::test_several_calls_at_once_fetch_it_once",
    ),
    Mutant(
        90, "a file put there by hand is taken unseen", "pipelines/model_files/install.py", "if found != entry.sha256:", "if not found:",
        f"{_FETCH}::test_without_network_a_file_put_there_by_hand_is_taken",
    ),
    Mutant(
        90, "commercial = true takes all licences", "pipelines/planner/frame_look.py", "    if settings.commercial:", "    if False:",
        f"{_KNOWN}::test_get_fetches_by_name_and_a_run_takes_it_from_there",
    ),
    Mutant(
        23, "no trial before work", "pipelines/output/trial.py",
        "verify(target, parts, passed, full=True)", "pass",
        f"{_TRACKS}::test_sound_that_mov_would_hold_under_a_tag_nobody_reads_is_refused_before_work",
    ),
    Mutant(
        23, "the trial takes seconds of a slow encoder", "pipelines/output/trial.py",
        "        self._plan = _in_small(self._plan)\n", "",
        f"{_TRACKS}::test_the_trial_of_a_slow_encoder_takes_small_frames_and_all_settings",
    ),
    Mutant(
        23, "the codec of a track is not looked at", "pipelines/output/result_contents.py",
        "            entry.packets\n            and entry.codec\n", "            not entry.packets\n",
        f"{_TRACKS}::test_sound_that_mov_would_hold_under_a_tag_nobody_reads_is_refused_before_work",
    ),
    Mutant(
        23, "a remedy is named untried", "pipelines/planner/container_choice.py",
        "        if not found.lost:\n", "        if True:\n",
        f"{_TRACKS}::test_a_remedy_is_named_only_where_it_was_tried_and_works",
    ),
    Mutant(
        23, "tracks without packets are refused", "pipelines/planner/container_choice.py",
        'if s.packet_count or s.type == "attachment"]', "if True]",
        f"{_TRACKS}::test_a_track_without_packets_that_does_not_fit_is_left_out_and_said",
    ),
    Mutant(
        23, "holes in PCM are not looked for", "pipelines/output/trial.py",
        "or stream.drift <= UNHEARD_DRIFT", "or stream.drift >= 0",
        f"{_TRACKS}::test_pcm_with_a_hole_is_kept_out_of_mp4_which_would_close_it",
    ),
    Mutant(
        85, "what the parser refuses takes three lines", "vsr/cli/main.py",
        "    report_error(UsageError(text + more), as_json=as_json)\n", "    error.show()\n",
        f"{_USAGE}::test_what_the_parser_refuses_is_one_line_as_well",
    ),
    Mutant(
        85, "a stream that is not there is the input's fault", "pipelines/probe/stream_choice.py",
        "            raise UsageError(\n", "            raise MediaError(\n",
        f"{_USAGE}::test_what_the_parser_refuses_is_one_line_as_well",
    ),
    Mutant(
        85, "a pixel format nobody knows is the input's fault", "pipelines/settings/run_settings.py",
        "        if self.pixel_format is not None:\n", "        if False:\n",
        f"{_USAGE}::test_a_pixel_format_that_is_none_is_wrong_usage_and_no_fault_of_the_input",
    ),
    Mutant(
        20, "VP9 keeps its size between key frames", "pipelines/probe/probe.py",
        "    elif seen.resizes:", "    elif False:",
        f"{_FACTS}::test_a_size_that_vp9_tells_between_key_frames_is_refused_before_work",
    ),
    Mutant(
        20, "JPEG 2000 keeps its size", "pipelines/media/bitstream.py",
        'if codec == "jpeg2000":', "if False:",
        f"{_FACTS}::test_codecs_whose_packets_say_their_size_are_refused_at_once[in.mkv-jpeg2000-yuv420p-other7]",
    ),
    Mutant(
        20, "CineForm keeps its size", "pipelines/media/bitstream.py",
        'if codec == "cfhd":', "if False:",
        f"{_FACTS}::test_codecs_whose_packets_say_their_size_are_refused_at_once[in.mov-cfhd-yuv422p10le-other8]",
    ),
    Mutant(
        63, "ASF that lacks padding is damaged", "pipelines/file_parsing/container_check.py",
        "    return end - file.size <= padding\n", "    return False\n",
        "tests/pipelines/file_parsing/test_container_check.py::test_asf_that_lacks_nothing_but_padding_is_whole_and_said_to_be_cut",
    ),
    Mutant(
        63, "a recording that ends inside a packet is always refused", "pipelines/probe/film_end.py",
        "flaw is not None\n        and seen.tail\n", "False\n        and seen.tail\n",
        f"{_CUT}::test_a_recording_that_ends_inside_a_packet_of_sound_or_of_a_picture_not_begun_is_done",
    ),
    Mutant(
        63, "a recording that ends inside a picture passes", "pipelines/probe/film_end.py",
        "(flaw.spared or flaw.cut_track not in {-1, stream.id})", "True",
        f"{_CUT}::test_a_recording_that_ends_inside_a_packet_of_sound_or_of_a_picture_not_begun_is_done",
    ),
    Mutant(
        63, "last frames are not looked at", "pipelines/probe/probe.py",
        "return CUT_SLICE if is_cut else damaged_end(", 'return CUT_SLICE if is_cut else "" and damaged_end(',
        f"{_CUT}::test_a_recording_whose_last_picture_breaks_off_is_refused_before_work[ts-mpeg2video]",
    ),
    Mutant(
        63, "a Matroska file without its last B-frames is whole", "pipelines/file_parsing/matroska.py",
        "            return replace(truncation_flaw(file.size, declared or start + size), at_the_end=False), file.size",
        "            return truncation_flaw(file.size, declared or start + size), file.size",
        f"{_CUT}::test_a_container_that_was_cut_by_its_last_frames_does_not_look_whole[in.mkv]",
    ),
    Mutant(
        65, "damage near the end is an early end", "pipelines/probe/film_end.py",
        "        if last_is_whole\n", "        if False\n",
        f"{_CUT}::test_damage_within_the_last_frames_is_no_early_end",
    ),
    Mutant(
        63, "an appended film is left out in silence", "pipelines/file_parsing/container_check.py",
        'return begins if kinds.count(b"moov") > 1', 'return 0 if kinds.count(b"moov") > 1',
        f"{_CUT}::test_a_film_appended_to_an_mp4_is_reported",
    ),
    Mutant(
        12, "one time that stands twice makes all of them even", "pipelines/probe/frame_times.py",
        "    if nudged is not None:\n", "    if False:\n",
        "tests/pipelines/probe/test_probe.py::test_one_time_that_stands_twice_leaves_the_others_as_they_are",
    ),
    Mutant(
        12, "times that mostly stand still are believed", "pipelines/probe/frame_times.py",
        "if moved * _FEW <= len(seen) + _FEW else", "if moved else",
        "tests/pipelines/probe/test_probe.py::test_times_that_mostly_stand_still_are_those_of_the_rate",
    ),
    Mutant(
        12, "a clock that jumps back is put forward", "pipelines/probe/frame_times.py",
        "or time + most < before:", "or False:",
        "tests/pipelines/probe/test_probe.py::test_times_that_mostly_stand_still_are_those_of_the_rate",
    ),
    Mutant(
        1, "x264 reads memory that was never set", "pipelines/codec/encoder_builds.py",
        'if name == "libx264" and not fits and', "if False and",
        "tests/pipelines/codec/test_encoder.py::test_x264_makes_the_same_bytes_whatever_is_in_unset_memory",
    ),
    Mutant(
        15, "a clock that begins anew ends the look for fields", "pipelines/interlacing/scan_detection.py",
        "_PLACES * _FRAMES, None)]", "_PLACES * _FRAMES, set())]",
        f"{_SCAN}::test_fields_behind_whole_frames_are_found_though_the_clock_begins_anew",
    ),
    Mutant(
        26, "photos but JPEG are turned and not mirrored", "pipelines/probe/probe.py",
        '    if codec in {"mjpeg", "png", "tiff", "webp"}:', '    if codec == "mjpeg":',
        f"{_FACTS}::test_photos_are_mirrored_as_their_tag_says",
    ),
    Mutant(
        63, "lengths of OBUs are not added up", "pipelines/file_parsing/container_check.py",
        ', "obu": _obu', "",
        f"{_CUT}::test_a_container_that_was_cut_by_its_last_frames_does_not_look_whole[in.obu]",
    ),
    Mutant(
        63, "a damaged end refuses what lies before it", "pipelines/planner/video_planner.py",
        "    if info.flaw and part[1] > info.flaw_from and", "    if info.flaw and",
        f"{_CUT}::test_a_film_that_ends_early_is_refused_before_work_where_its_end_is_wanted",
    ),
    Mutant(
        65, "damage that was counted is found again after hours", "pipelines/planner/video_planner.py",
        "    refuse_damage(info, plan)\n", "",
        f"{_CUT}::test_frames_that_are_counted_and_damaged_are_refused_before_work_where_they_are_wanted",
    ),
    Mutant(
        25, "a tag that is no timecode stops a run", "pipelines/output/muxer.py",
        "    _tag_timecode(output, video, source, plan, info)\n", "",
        f"{_TRACKS}::test_a_tag_that_is_no_timecode_stops_no_run",
    ),
    Mutant(
        25, "a timecode keeps MOV out of Matroska", "pipelines/containers/container_support.py",
        'return stream.packet_count == 1 and said != "" and', "return False and",
        f"{_TRACKS}::test_a_timecode_is_kept_as_a_track_or_a_tag[in.mov-.mkv]",
    ),
    Mutant(
        25, "a part has the timecode of the whole", "pipelines/output/muxer.py",
        "later_timecode(said, plan.start_frame, info.rate)", "later_timecode(said, 0, info.rate)",
        f"{_TRACKS}::test_a_part_begins_at_its_own_timecode",
    ),
    Mutant(
        23, "holes in LPCM are not looked for", "pipelines/output/trial.py",
        "is_unframed_audio(stream.codec) or stream.codec in REWRAPPED", "is_unframed_audio(stream.codec)",
        f"{_TRACKS}::test_lpcm_with_a_hole_is_kept_out_of_mov_which_would_close_it[in.ts-s302m-mpegts]",
    ),
    Mutant(
        23, "in the trial packets without a length overlap", "pipelines/probe/packet_index.py",
        "(t + (p.duration or step)", "(t + (p.duration or 0)",
        f"{_TRACKS}::test_sound_of_smpte_302_is_rewrapped_with_the_same_samples[.mov-16]",
    ),
    Mutant(
        21, "decode times may step back", "pipelines/output/stream_copy.py",
        "        self._order.follow(packet)\n", "",
        f"{_TRACKS}::test_sound_whose_clock_steps_back_is_put_forward_and_said",
    ),
    Mutant(
        23, "subtitles that were off are on", "pipelines/output/muxer.py",
        "        _keep_off(target, source, written)\n", "        pass\n",
        f"{_TRACKS}::test_subtitles_that_were_off_stay_off_and_lost_flags_are_said",
    ),
    Mutant(
        23, "flags of tracks are lost in silence", "pipelines/containers/container_tags.py",
        "    return tuple(str(flag.name) for flag in flags & ~kept)\n", "    return ()\n",
        f"{_TRACKS}::test_subtitles_that_were_off_stay_off_and_lost_flags_are_said",
    ),
    Mutant(
        23, "exact times are promised in a container that loses a track", "pipelines/planner/plan_checks.py",
        ' and not incompatible_streams(info, "mp4")', "",
        f"{_TRACKS}::test_a_remedy_for_rounded_times_is_named_only_where_every_track_fits",
    ),
    Mutant(
        25, "data that lasts into a part is lost", "pipelines/containers/range_cut.py",
        "if start < self._window[0] and end <= self._window[0]:", "if start < self._window[0]:",
        f"{_TRACKS}::test_samples_of_data_that_last_into_a_part_are_kept_and_no_longer_than_it",
    ),
    Mutant(
        24, "subtitles without a duration are over when a part begins", "pipelines/containers/range_cut.py",
        "self._in_force[packet.stream_index] = packet", "pass",
        f"{_TRACKS}::test_a_subtitle_that_is_up_when_a_part_begins_is_kept",
    ),
    Mutant(
        24, "a subtitle that was up is forgotten where none follows", "pipelines/containers/range_cut.py",
        "        yield from self._released()\n\n    def _released", "        yield from ()\n\n    def _released",
        f"{_TRACKS}::test_a_subtitle_that_is_up_when_a_part_begins_is_kept",
    ),
    Mutant(
        24, "PCM of a part is taken by whole packets", "pipelines/containers/range_cut.py",
        "if not samples or samples.denominator != 1 or packet.size % samples:", "if True:",
        f"{_TRACKS}::test_pcm_of_a_part_is_cut_to_the_sample",
    ),
    Mutant(
        25, "a second film of a part begins anywhere", "pipelines/containers/range_cut.py",
        "if start >= self._window[0] and packet.is_keyframe:", "if start >= self._window[0]:",
        f"{_TRACKS}::test_a_second_film_of_a_part_begins_with_a_key_frame_and_can_be_decoded",
    ),
    Mutant(
        25, "a second film of a part loses what its last frames refer to", "pipelines/containers/range_cut.py",
        "shown_ticks(packet) >= first and decoded < self._window[1]", "shown_ticks(packet) >= first and start < self._window[1]",
        f"{_TRACKS}::test_a_second_film_of_a_part_begins_with_a_key_frame_and_can_be_decoded",
    ),
    Mutant(
        21, "subtitles may begin before the film", "pipelines/output/stream_copy.py",
        'packet.stream.type == "subtitle" and not clip_start', "False and not clip_start",
        f"{_TRACKS}::test_timed_text_from_before_the_film_does_not_move_what_comes_after",
    ),
    Mutant(
        21, "first packets without a decode time are decoded when shown", "pipelines/output/stream_copy.py",
        "for packet in with_decode_times(packets, self._films):", "for packet in packets:",
        f"{_TRACKS}::test_a_second_film_with_b_frames_keeps_its_times",
    ),
    Mutant(
        21, "start codes are compared with lengths", "pipelines/output/muxer.py",
        "is_annex_b=not is_cover and is_annex_b(stream)", "is_annex_b=False",
        f"{_TRACKS}::test_a_second_film_of_a_broadcast_is_passed_on_though_its_start_codes_become_lengths",
    ),
    Mutant(
        21, "PCM is compared by packets", "pipelines/output/result_contents.py",
        "if found != entry.packets and not (divisible and found):", "if found != entry.packets:",
        f"{_TRACKS}::test_pcm_that_a_muxer_cuts_anew_is_compared_by_its_bytes",
    ),
    Mutant(
        23, "the end of sound is not compared", "pipelines/output/result_contents.py",
        "    if end > allowed or last > tick:\n", "    if False:\n",
        f"{_TRACKS}::test_adpcm_that_mov_would_end_too_early_is_refused_before_work_with_a_remedy_that_works",
    ),
    Mutant(
        23, "only the end of PCM is compared", "pipelines/output/result_contents.py",
        "    if end > allowed or last > tick:\n",
        '    if entry.codec.startswith("pcm_") and end > allowed:\n',
        f"{_TRACKS}::test_every_sound_track_ends_when_its_source_does",
    ),
    Mutant(
        23, "all sound in MOV may drift as PCM does", "pipelines/output/result_contents.py",
        'end_to_end = entry.codec.startswith("pcm_") and container', "end_to_end = container",
        f"{_TRACKS}::test_every_sound_track_ends_when_its_source_does",
    ),
    Mutant(
        23, "durations that nobody told are compared", "pipelines/output/result_contents.py",
        " and entry.tells_lengths and index not in seen.without_length:", ":",
        f"{_TRACKS}::test_sound_under_a_fourcc_goes_into_matroska_under_its_wave_format_tag",
    ),
    Mutant(
        23, "Matroska is given QuickTime's tags", "pipelines/containers/copied_tracks.py",
        "if has_fourcc and output.format.name", "if False and output.format.name",
        f"{_TRACKS}::test_sound_under_a_fourcc_goes_into_matroska_under_its_wave_format_tag",
    ),
    Mutant(
        21, "channels stay without names", "pipelines/containers/copied_tracks.py",
        "        _complete_layout(stream)\n", "",
        f"{_TRACKS}::test_pcm_whose_channels_have_no_names_goes_into_mp4_and_mov",
    ),
    Mutant(
        21, "LPCM is passed on as it is", "pipelines/containers/copied_tracks.py",
        "    if codec_of(source) in REWRAPPED:\n        return _add_pcm(output, source)\n", "",
        f"{_TRACKS}::test_lpcm_of_discs_is_rewrapped_with_the_same_samples",
    ),
    Mutant(
        21, "every cover is a JPEG", "pipelines/output/muxer.py",
        "output.add_attachment(Path(name).name, mime, bytes(packet))", 'output.add_attachment(Path(name).name, "image/jpeg", bytes(packet))',
        f"{_TRACKS}::test_a_cover_keeps_its_type",
    ),
    Mutant(
        9, "recordings keep their clock", "pipelines/output/track_shift.py",
        "if info.format in CLOCKED:", "if False:",
        f"{_TRACKS}::test_a_recording_whose_clock_has_run_for_hours_begins_at_0_with_its_sound_in_step",
    ),
    Mutant(
        3, "WebM is held to every tick", "pipelines/output/result_contents.py",
        "in_milliseconds = plan.encoder.container in KEEPS_MILLISECONDS", 'in_milliseconds = plan.encoder.container == "matroska"',
        f"{_TRACKS}::test_webm_keeps_times_that_are_no_whole_milliseconds",
    ),
    Mutant(
        4, "no post-roll behind the next key", "pipelines/plan/chunking.py",
        "stop = bisect.bisect_right(earliest, pts[stop_frame - 1])",
        "stop = next((r for s, r in zip(starts, start_rows) if s > pts[stop_frame - 1]), len(index))",
        f"{_JOB}::test_open_gops_cut_at_every_key_frame_lose_and_double_nothing",
    ),
    Mutant(
        5, "any recovery point is a clean point", "pipelines/media/bitstream.py",
        "(kind == _H264_SEI and _recovers_at_once(unit))", "kind == _H264_SEI",
        f"{_JOB}::test_intra_refresh_is_never_entered_in_the_middle",
    ),
    Mutant(
        6, "packets without dts are skipped", "pipelines/media/packet_reader.py",
        "in packets if packet.size)", "in packets if packet.dts is not None)",
        f"{_JOB}::test_matroska_s_first_packets_without_dts_are_kept",
    ),
    Mutant(
        7, "the decoder is not drained", "pipelines/codec/decoder.py",
        "    yield None  # exactly once", "    return  # exactly once",
        f"{_JOB}::test_b_frames_at_the_very_end_come_out_of_the_decoder",
    ),
    Mutant(
        8, "hidden packets count as frames", "pipelines/probe/packet_index.py",
        "index.discard.append(packet.is_discard)", "index.discard.append(False)",
        f"{_JOB}::test_frames_an_edit_list_hides_stay_hidden",
    ),
    Mutant(
        8, "a picture that HEVC shows twice is damage", "pipelines/codec/decoder.py",
        "data.hidden or content in self._recent", "data.hidden",
        f"{_FACTS}::test_a_key_frame_of_hevc_that_an_edit_list_shows_twice_is_no_damage",
    ),
    Mutant(
        8, "edit lists that go back are not counted", "pipelines/probe/probe.py",
        'or (seen.repeats and info.codec == "hevc")', "or False",
        f"{_FACTS}::test_a_key_frame_of_hevc_that_an_edit_list_shows_twice_is_no_damage",
    ),
    Mutant(
        8, "hidden pictures that can't be decoded are damage", "pipelines/codec/decoder.py",
        "self._excused.append(data.hidden or content in self._recent)", "self._excused.append(False)",
        f"{_FACTS}::test_hidden_pictures_that_lack_what_they_refer_to_are_no_damage",
    ),
    Mutant(
        47, "FFmpeg's end of a file is taken for an interruption", "vsr/cli/main.py",
        "if isinstance(error.__cause__, EOFError):", "if False:",
        "tests/vsr/cli/test_main.py::test_the_end_of_a_file_within_ffmpeg_is_no_ctrl_d",
    ),
    Mutant(
        65, "slices of FFV1 with a wrong checksum are what FFmpeg makes of them", "pipelines/codec/decoder.py",
        "damage_check(setup.codec)", "None",
        f"{_FACTS}::test_a_flipped_bit_in_a_slice_of_ffv1_is_damage_and_not_the_frame_before",
    ),
    Mutant(
        65, "a JPEG without its end marker is whole", "pipelines/codec/packet_damage.py",
        "return _picture(packet) != _picture(packet + _OTHER_BITS)", "return False",
        f"{_PACKETS}::test_a_jpeg_without_its_end_marker_is_whole_where_its_scan_is",
    ),
    Mutant(
        65, "a JPEG without its end marker is damaged", "pipelines/codec/packet_damage.py",
        "return _picture(packet) != _picture(packet + _OTHER_BITS)", "return True",
        f"{_PACKETS}::test_a_jpeg_without_its_end_marker_is_whole_where_its_scan_is",
    ),
    Mutant(
        65, "blocks of OpenEXR are not looked for", "pipelines/codec/packet_damage.py",
        '"exr": _ExrCheck', '"exr_": _ExrCheck',
        f"{_PACKETS}::test_a_cut_picture_among_numbered_ones_is_named[exr]",
    ),
    Mutant(
        65, "films of FFV1 without checksums are damaged", "pipelines/codec/packet_damage.py",
        "return self._are_there and not", "return not",
        f"{_FACTS}::test_a_flipped_bit_in_a_slice_of_ffv1_is_damage_and_not_the_frame_before",
    ),
    Mutant(
        45, "a finished result of another size is not looked at", "pipelines/run/job.py",
        "finished_output(target, plan, of_any_size=look)", "finished_output(target, plan, of_any_size=False)",
        "tests/pipelines/output/test_full_verification.py::test_a_damaged_one_of_another_size_is_found_as_well",
    ),
    Mutant(
        15, "flags alone tell what is interlaced", "pipelines/interlacing/scan_detection.py",
        "    if plainly_shows_fields(film, shown) if small", "    if False and not shown if small",
        f"{_SCAN}::test_without_flags_pictures_tell_it",
    ),
    Mutant(
        15, "an interlaced flag is believed whatever pictures show", "pipelines/interlacing/scan_detection.py",
        "if not hard and shows_whole_frames(looks):", "if False:",
        f"{_SCAN}::test_whole_frames_are_not_taken_for_fields_whatever_their_flags",
    ),
    Mutant(
        15, "single fields are taken for whole frames", "pipelines/interlacing/scan_detection.py",
        "        if apart:\n", "        if False:\n",
        f"{_SCAN}::test_fields_kept_as_pictures_of_their_own_are_not_taken_for_whole_frames",
    ),
    Mutant(
        15, "both field orders make a film interlaced", "pipelines/interlacing/field_evidence.py",
        "for_it.sum() >= strictness * _ONE_ORDER * against.sum()", "True",
        f"{_SCAN}::test_it_takes_many_blocks_all_over_the_picture_in_one_order",
    ),
    Mutant(
        15, "a corner makes a film interlaced", "pipelines/interlacing/field_evidence.py",
        "bool(shows.sum() >= max(_CELLS, moves.sum() / 2))", "True",
        f"{_SCAN}::test_it_takes_many_blocks_all_over_the_picture_in_one_order",
    ),
    Mutant(
        15, "few blocks make a film interlaced", "pipelines/interlacing/field_evidence.py",
        "many >= strictness * _LEAST\n", "True\n",
        f"{_SCAN}::test_it_takes_many_blocks_all_over_the_picture_in_one_order",
    ),
    Mutant(
        15, "faint motion shows nothing", "pipelines/interlacing/field_evidence.py",
        "or _pool_shows_fields(film, order, strictness)", "or False",
        f"{_SCAN}::test_faint_motion_tells_it_over_many_blocks",
    ),
    Mutant(
        15, "chance makes a film interlaced", "pipelines/interlacing/field_evidence.py",
        "apart.sum() >= strictness * _SURE * np.sqrt(film.spread.sum())", "True",
        f"{_SCAN}::test_all_blocks_together_must_be_far_from_chance_and_all_over_the_picture",
    ),
    Mutant(
        15, "a slight lean makes a film interlaced", "pipelines/interlacing/field_evidence.py",
        "apart.sum() >= 2 * least * alike", "True",
        f"{_SCAN}::test_all_blocks_together_must_be_far_from_chance_and_all_over_the_picture",
    ),
    Mutant(
        15, "smoothed combs overrule a flag", "pipelines/interlacing/field_evidence.py",
        "        and abs(film.apart.sum()) <= 2 * _CELL_PHASE * film.alike.sum()\n", "",
        f"{_SCAN}::test_a_flag_is_believed_where_all_blocks_together_lean_to_fields",
    ),
    Mutant(
        15, "whole frames in one corner overrule a flag", "pipelines/interlacing/field_evidence.py",
        "and film.moving_cells.sum() >= _CELLS", "",
        f"{_SCAN}::test_it_takes_more_against_a_flag",
    ),
    Mutant(
        15, "a darker field is a later one", "pipelines/interlacing/field_motion.py",
        "> max(_SAME_LIGHT, ", "> max(1e9, ",
        f"{_SCAN}::test_moving_blocks_tell_when_each_field_was_taken",
    ),
    Mutant(
        15, "a fade is taken for scan lines", "pipelines/interlacing/field_motion.py",
        "_FADING * abs(", "0 * abs(",
        f"{_SCAN}::test_a_fade_is_no_scan_lines",
    ),
    Mutant(
        15, "steps too long for the fine scale are read there", "pipelines/interlacing/field_evidence.py",
        "sum(looks, InterlaceSample()).alike >= 0", "sum(looks, InterlaceSample()).alike > -np.inf",
        f"{_SCAN}::test_steps_too_long_for_one_scale_are_read_at_the_other",
    ),
    Mutant(
        15, "leaning votes are not looked at", "pipelines/interlacing/field_evidence.py",
        "or _both_lean_to_fields(film, order, strictness)", "or False",
        f"{_SCAN}::test_votes_and_the_phase_of_all_blocks_are_enough_together_where_neither_is_alone",
    ),
    Mutant(
        15, "leaning votes are enough in a corner", "pipelines/interlacing/field_evidence.py",
        "shows.sum() >= max(_LEANING_CELLS, moves.sum() / 2)", "True",
        f"{_SCAN}::test_votes_and_the_phase_of_all_blocks_are_enough_together_where_neither_is_alone",
    ),
    Mutant(
        15, "leaning votes are enough without a phase", "pipelines/interlacing/field_evidence.py",
        "apart >= 2 * _LEANING_PHASE * film.alike.sum()", "True",
        f"{_SCAN}::test_votes_and_the_phase_of_all_blocks_are_enough_together_where_neither_is_alone",
    ),
    Mutant(
        15, "a phase near 0 overrules no flag", "pipelines/interlacing/field_evidence.py",
        "(is_even or is_chance) and _pool_shows_whole_frames(film)", "False",
        f"{_SCAN}::test_whole_frames_without_a_vote_are_known_by_the_phase_of_all_blocks",
    ),
    Mutant(
        15, "votes of one order overrule no phase", "pipelines/interlacing/field_evidence.py",
        "(is_even or is_chance) and _pool", "True and _pool",
        f"{_SCAN}::test_whole_frames_without_a_vote_are_known_by_the_phase_of_all_blocks",
    ),
    Mutant(
        15, "a doubt is not said", "pipelines/planner/field_choice.py",
        'if scan.doubt and wanted != "off":', "if False:",
        f"{_FILTERS}::test_a_doubt_is_said_with_what_to_type_and_not_acted_upon",
    ),
    Mutant(
        15, "a chunk does not see the frames beside it", "pipelines/plan/plan.py",
        "filters = 1 if self.deinterlacing is not None or self.pulldown is not None else 0", "filters = 0",
        f"{_FILTERS}::test_any_cut_gives_the_frames_of_one_graph_over_the_film",
    ),
    Mutant(
        97, "timecodes count on in frames of the source", "pipelines/output/muxer.py",
        "if plan.rate != info.rate:", "if False:",
        f"{_TELECINE}::test_a_timecode_goes_on_in_film_frames",
    ),
    Mutant(
        97, "a moment without a film frame shows nothing", "pipelines/diagnostics/preview.py",
        "    while plan.results(stop) == plan.results(start):", "    while False:",
        "tests/pipelines/diagnostics/test_preview.py::test_telecined_film_is_shown_in_film_frames",
    ),
    Mutant(
        97, "a frame that shows nothing hides telecine", "pipelines/interlacing/scan_detection.py",
        '            if agree + seen.count("u") == len(seen) and', "            if agree == len(seen) and",
        f"{_SCAN}::test_frames_that_show_nothing_do_not_hide_the_rhythm_of_telecine",
    ),
    Mutant(
        97, "the first frame after a break is judged by the one before", "pipelines/interlacing/cadence.py",
        "total[best] + _BREAK + alone[frame]", "total[best] + _BREAK + costs[frame]",
        f"{_CADENCE}::test_a_break_costs_no_film_frame_that_has_both_fields",
    ),
    Mutant(
        97, "the top field comes first", "pipelines/codec/field_weaving.py",
        "    own = 0 if top else 1", "    own = 0",
        f"{_WEAVING}::test_a_letter_weaves_a_first_field_with_the_second_one_before",
    ),
    Mutant(
        97, "captions of frames that give none are lost", "pipelines/codec/field_weaving.py",
        "captions = _joined(captions, frame.captions)", "captions = frame.captions",
        f"{_WEAVING}::test_captions_of_a_frame_that_gives_none_come_with_the_next",
    ),
    Mutant(
        97, "a deinterlacer begins without the frame before", "pipelines/codec/field_weaving.py",
        "            if before is not None:\n                self._next", "            if False:\n                self._next",
        f"{_WEAVING}::test_a_deinterlacer_sees_the_neighbours_of_those_that_are_requested",
    ),
    Mutant(
        97, "film frames are shown when their first field was", "pipelines/plan/pulldown.py",
        '"B": 1,', '"B": 0,',
        f"{_PULLDOWN}::test_four_film_frames_are_as_far_apart_as_they_were_on_film",
    ),
    Mutant(
        97, "a part begins when its first film frame does", "pipelines/plan/pulldown.py",
        "            times[first] = PARTS * pts[start]\n", "",
        f"{_PULLDOWN}::test_a_part_begins_and_ends_with_its_frames_whatever_field_comes_first",
    ),
    Mutant(
        97, "a network is shown as many source frames as it wants results", "pipelines/plan/pulldown.py",
        "max(before, back) if before else 0", "before",
        f"{_PULLDOWN}::test_what_a_network_looks_at_is_there_wherever_a_chunk_begins",
    ),
    Mutant(
        97, "a chunk may have no frame of the result", "pipelines/planner/plan_builder.py",
        "chunks if pulldown is None else _with_results(chunks, pulldown)", "chunks",
        f"{_TELECINE}::test_any_cut_gives_the_same_frames",
    ),
    Mutant(
        97, "what is deinterlaced sees no frame behind its chunk", "pipelines/plan/plan.py",
        "if self.deinterlacing is not None or self.pulldown is not None else 0", "if self.deinterlacing is not None else 0",
        f"{_TELECINE}::test_any_cut_gives_the_same_frames",
    ),
    Mutant(
        97, "a weave that combs is kept", "pipelines/interlacing/cadence.py",
        "_RESIDUAL, _RESIDUAL_BLOCKS = 0.012, 4", "_RESIDUAL, _RESIDUAL_BLOCKS = 2.0, 4",
        f"{_TELECINE}::test_text_that_crawls_over_film_is_not_left_combed",
    ),
    Mutant(
        97, "a strange frame breaks the cadence", "pipelines/interlacing/cadence.py",
        "_BREAK = 2.5", "_BREAK = 0.1",
        f"{_CADENCE}::test_one_strange_frame_breaks_nothing",
    ),
    Mutant(
        97, "texture and noise are taken for combs", "pipelines/interlacing/field_matching.py",
        "comb > _RATIO * neighbours + _FLOOR", "comb > _FLOOR",
        f"{_CADENCE}::test_every_phase_is_found_through_noise",
    ),
    Mutant(
        97, "facts are those of a batch", "pipelines/interlacing/field_matching.py",
        "del kept[: len(kept) - 2 * MARGIN_FRAMES]\n            done = MARGIN_FRAMES", "kept.clear()",
        f"{_CADENCE}::test_facts_do_not_depend_on_where_a_look_begins",
    ),
    Mutant(
        97, "a film that is telecined in part is taken for film", "pipelines/planner/field_choice.py",
        "        if share >= _WHOLE_FILM:", "        if share > 0:",
        f"{_FIELDS}::test_auto_says_that_a_part_is_telecined_and_what_to_type",
    ),
    Mutant(
        97, "Euro pulldown is woven", "pipelines/planner/field_choice.py",
        "    if _is_euro(info, found):", "    if False:",
        f"{_FIELDS}::test_euro_pulldown_is_refused",
    ),
    Mutant(
        15, "every field order is top field first", "pipelines/codec/filter_graph.py",
        '"bottom": "bff"', '"bottom": "tff"',
        f"{_FILTERS}::test_any_cut_gives_the_frames_of_one_graph_over_the_film",
    ),
    Mutant(
        15, "a result is compared with both fields", "pipelines/codec/filter_graph.py",
        "        origin = [field_alone(p, int(bottom)) for p in source.planes]", "        pass",
        f"{_FILTERS}::test_a_cut_between_two_fields_does_not_look_like_a_swapped_frame",
    ),
    Mutant(
        15, "a field in the middle of a hole", "pipelines/plan/timeline.py",
        "duration if duration <= 2 * usual else usual", "duration",
        f"{_FILTERS}::test_bob_shows_every_field_at_its_own_time",
    ),
    Mutant(
        16, "decode times by the average step", "pipelines/output/film_packets.py",
        "shown[number - lead] if number >= lead else shown[0] - (lead - number) * step",
        "shown[0] + (number - lead) * step",
        f"{_JOB}::test_decode_times_ascend_where_ten_milliseconds_meet_five_hundred",
    ),
    Mutant(
        16, "decode times lag by no frame", "pipelines/output/film_packets.py",
        "lead = max(lead, *(j - rank[p] for j, p in enumerate(pts)))", "lead = 0",
        f"{_ASSEMBLE}::test_decode_times_ascend_and_come_before_showing_whatever_the_spacing",
    ),
    Mutant(
        17, "headers are not compared", "pipelines/output/muxer.py",
        "    if len(headers) != 1:", "    if not headers:",
        f"{_ASSEMBLE}::test_a_chunk_with_another_header_is_noticed_before_anything_is_muxed",
    ),
    Mutant(
        18, "the witness looks away", "pipelines/workers/frame_order_check.py",
        "if bent or (moved > self._MOVED and", "if (moved > 999 and",
        f"{_VERIFY}::test_a_frame_that_shows_a_neighbour_is_caught_though_count_and_times_are_right",
    ),
    Mutant(
        18, "seams are not compared with the source", "pipelines/output/picture_verification.py",
        "    if difference:\n        other =", "    if False:\n        other =",
        f"{_VERIFY}::test_a_chunk_that_holds_the_pictures_of_another_is_caught_in_the_result",
    ),
    Mutant(
        42, "an input may change while it is read", "pipelines/run/job.py",
        "if _state(source) != seen:", "if False:",
        f"{_FAULTS}::test_an_input_that_is_still_being_written_gives_no_result",
    ),
    Mutant(
        47, "nothing stops a run that puts its result together", "pipelines/output/stream_copy.py",
        "    if stop is not None and stop.is_set():\n        raise Interrupted(", "    if False:\n        raise Interrupted(",
        f"{_FAULTS}::test_a_stop_at_any_step_keeps_what_is_done[mux-2-130]",
    ),
    Mutant(
        54, "memory that runs out in numpy or FFmpeg is taken for a bug", "pipelines/pool/interface.py",
        "if isinstance(error, MemoryError) or (", "if (",
        f"{_FAULTS}::test_what_fails_once_is_done_again_with_the_same_bytes[StarvingOnce-memory ran out]",
    ),
    Mutant(
        54, "tiles shrink though chunks are done", "pipelines/run/chunk_loop.py",
        "if not journal.is_empty:", "if False:",
        f"{_TILES}::test_behind_the_first_chunk_it_is_too_late_and_what_to_do_is_said",
    ),
    Mutant(
        54, "a rerun begins with the large tiles again", "pipelines/run/job.py",
        "begun.asked in plan.ids and begun.id != plan.id", "False",
        f"{_TILES}::test_an_interrupted_run_goes_on_with_the_tiles_it_had_come_to",
    ),
    Mutant(
        54, "a GPU that is too small is taken for a broken one", "pipelines/cluster/scheduler.py",
        "if begun and not gone and not isinstance(why, NoMemoryError):", "if begun and not gone:",
        f"{_CLUSTER}::test_a_gpu_that_is_too_small_gets_smaller_tiles_and_is_not_taken_for_broken",
    ),
    Mutant(
        56, "a chunk is tried nine times", "pipelines/pool/interface.py",
        "ATTEMPTS = 3", "ATTEMPTS = 9",
        f"{_FAULTS}::test_what_fails_every_time_is_given_up_after_three_attempts",
    ),
    Mutant(
        57, "the time in which a run was suspended is a worker's silence", "pipelines/pool/process_pool.py",
        "_WAITS = 90", "_WAITS = 1",
        f"{_FAULTS}::test_a_run_that_was_suspended_for_long_goes_on_as_if_nothing_was",
    ),
    Mutant(
        57, "a silent worker is waited for", "pipelines/pool/process_pool.py",
        'raise _ChildLostError(f"its worker said nothing for {SILENCE_SECONDS:.0f} s")', "pass",
        f"{_FAULTS}::test_what_fails_once_is_done_again_with_the_same_bytes[HangingOnce-said nothing for 8 s]",
    ),
    Mutant(
        38, "a result that has its name already is in the way of its own run", "pipelines/run/publishing.py",
        "        write_atomically(mark, _mark(plan.id, journal.result).encode())\n", "",
        f"{_CRASH}::test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over",
    ),
    Mutant(
        98, "a result of a run killed before its report was moved gets its name again", "pipelines/run/job.py",
        "            complete_naming(target, self.planned.plan)\n", "",
        f"{_CRASH}::test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over",
    ),
    Mutant(
        62, "the unfinished result lies beside the output", "pipelines/output/journal.py",
        'return self.folder / "result"', 'return self.folder.with_name(f".{os.getpid()}.partial")',
        f"{_CRASH}::test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over",
    ),
    Mutant(
        62, "work whose result is there already is forgotten", "pipelines/run/job.py",
        "journal.remove() if journal.is_over else journal.close()", "journal.close()",
        f"{_CRASH}::test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over",
    ),
    Mutant(
        44, "a file is not flushed before it is renamed", "pipelines/storage/atomic_file.py",
        "            os.fsync(file.fileno())\n            return\n", "            return\n",
        f"{_CRASH}::test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over",
    ),
    Mutant(
        39, "a task that failed is begun beside others", "pipelines/pool/task_queue.py",
        "if beside and (failed_on or any(task.key in self._failures for task in beside)):", "if False:",
        f"{_LOCAL}::test_what_was_next_to_a_deadly_task_is_then_alone_and_not_given_up_for_it",
    ),
    Mutant(
        39, "what fails at its end is blamed on the next task, too", "pipelines/pool/process_pool.py",
        "self._lose(failure.why, [failure.task])", "self._lose(failure.why, self.held)",
        f"{_LOCAL}::test_a_task_that_fails_at_its_end_is_not_blamed_on_the_one_begun_next_to_it",
    ),
    Mutant(
        39, "what fails at its end is blamed on the next task, too", "pipelines/cluster/scheduler.py",
        "begun if failed is None else [failed]", "begun",
        f"{_CLUSTER}::test_a_task_that_fails_at_its_end_is_not_blamed_on_the_one_begun_next_to_it",
    ),
    Mutant(
        39, "the task that waited behind a deadly one is blamed, too", "pipelines/cluster/scheduler.py",
        "        begun = actor.begun\n", "        begun = list(actor.runs)\n",
        f"{_CLUSTER}::test_the_task_that_waited_behind_a_poisonous_one_is_not_blamed",
    ),
    Mutant(
        40, "the loss of a machine is its task's fault", "pipelines/cluster/scheduler.py",
        "for run in [] if gone else", "for run in",
        f"{_CLUSTER}::test_the_loss_of_a_machine_does_not_use_up_an_attempt",
    ),
    Mutant(
        40, "machines that are lost late are not waited for", "pipelines/cluster/scheduler.py",
        "if len(c.task_queue) or c.running]:", "if len(c.task_queue) and not c.running]:",
        f"{_MACHINES}::test_machines_that_are_lost_long_after_a_call_began_are_waited_for_as_well[False]",
    ),
    Mutant(
        39, "an actor's calls begin as they arrive", "pipelines/cluster/actor.py",
        "(number == self._next and not (alone and self._inside))", "not (alone and self._inside)",
        f"{_ACTOR}::test_calls_go_in_the_order_of_their_numbers_whatever_order_they_arrive_in",
    ),
    Mutant(
        39, "a worker is made anew while a task is at its end", "pipelines/cluster/actor.py",
        "and not (alone and self._inside))", ")",
        f"{_ACTOR}::test_the_next_call_begins_where_the_last_one_frees_the_way_and_a_lone_one_waits_for_its_end",
    ),
    Mutant(
        39, "two encoders are in memory on a CPU", "pipelines/workers/stage_threads.py",
        "            if after is not None:", "            if False:",
        f"{_WORKER}::test_a_chunk_begins_while_the_encoder_of_the_last_one_drains[cpu-1]",
    ),
    Mutant(
        39, "any number of encoders drain", "pipelines/workers/chunk_worker.py",
        "            self._draining.join()", "            pass",
        f"{_WORKER}::test_a_chunk_begins_while_the_encoder_of_the_last_one_drains[cuda-2]",
    ),
    Mutant(
        57, "time in which the driver was stopped is silence of its workers", "pipelines/cluster/hang_detector.py",
        "min(now - self._watched, _STOPPED_SECONDS)", "now - self._watched",
        f"{_CLUSTER}::test_time_in_which_the_driver_itself_was_stopped_is_no_silence_of_its_workers",
    ),
    Mutant(
        57, "a child that hangs while it loads is left", "pipelines/pool/process_pool.py",
        "            self.close()  # one that hangs", "            pass  # one that hangs",
        f"{_LOCAL}::test_a_child_that_hangs_while_it_makes_its_worker_is_ended_before_the_next_begins",
    ),
    Mutant(
        57, "nothing is said while a worker only decodes", "pipelines/workers/chunk_worker.py",
        "                yield from advance_buffer(buffer, start, ahead, reports)\n", "",
        f"{_WORKER}::test_a_worker_that_only_decodes_for_long_reports_as_long_as_the_decoder_gives_frames",
    ),
    Mutant(
        57, "a decoder that hangs is reported for", "pipelines/workers/progress_reports.py",
        "if self._decoded > self._told_decoded:", "if True:",
        f"{_WORKER}::test_a_decoder_that_gives_nothing_is_not_reported_for",
    ),
    Mutant(
        57, "a source that fails is taken for a worker that hangs", "pipelines/pool/process_pool.py",
        "        except BaseException as error:  # noqa: BLE001 - raised where the child is listened to", "        except ZeroDivisionError as error:",
        f"{_LOCAL}::test_a_failing_feed_ends_the_run_with_its_error[error1]",
    ),
    Mutant(
        57, "a source that fails is taken for a result that does", "pipelines/output/muxer.py",
        "packets = packets_of(source, info.path)", "packets = source.demux()",
        f"{_SOURCE}::test_a_source_that_can_t_be_read_to_its_end_is_named_and_what_is_done_is_kept[pipelines.output.muxer-3]",
    ),
    Mutant(
        57, "a worker whose caller reads nothing is hung", "pipelines/cluster/hang_detector.py",
        "elif actor not in unheard:", "else:",
        f"{_CLUSTER}::test_a_worker_to_whom_nobody_listens_is_not_taken_for_hung",
    ),
    Mutant(
        40, "attempts on machines that are lost count", "pipelines/pool/task_queue.py",
        "if machines is None or device[0] in machines", "if True",
        f"{_LEDGER}::test_three_failures_use_a_task_s_attempts_up_unless_their_machine_is_lost",
    ),
    Mutant(
        41, "a chunk that comes twice is taken twice", "pipelines/run/chunk_loop.py",
        "        if chunk.index in self._records:", "        if False:",
        f"{_SPANS}::test_of_a_chunk_that_comes_twice_the_first_counts",
    ),
    Mutant(
        41, "frames that are done again are counted again", "pipelines/run/chunk_loop.py",
        "first result counts\n            self._frames -= count\n", "first result counts\n",
        f"{_SPANS}::test_frames_that_are_done_again_are_counted_once",
    ),
    Mutant(
        55, "a broken GPU uses up a task's attempts", "pipelines/pool/task_queue.py",
        "if device in failed_on and any(d not in failed_on for d in devices):", "if False:",
        f"{_LEDGER}::test_a_task_that_failed_is_tried_on_another_device_first",
    ),
    Mutant(
        55, "a broken GPU is given work on and on", "pipelines/cluster/nodes.py",
        "self._strikes[actor.device] >= ATTEMPTS", "False",
        f"{_MACHINES}::test_a_gpu_that_fails_three_times_in_a_row_gets_no_more_work",
    ),
    Mutant(
        55, "success is not remembered", "pipelines/cluster/nodes.py",
        "        self._strikes.pop(actor.device, None)", "        pass",
        f"{_MACHINES}::test_a_gpu_that_did_its_work_in_between_is_kept",
    ),
    Mutant(
        55, "a machine where nothing starts is tried on and on", "pipelines/cluster/nodes.py",
        "if self._starts[actor.node] >= ATTEMPTS:", "if False:",
        f"{_MACHINES}::test_a_machine_where_no_worker_starts_is_given_up_and_named",
    ),
    Mutant(
        45, "a result whose frames were counted is taken for another command's", "pipelines/run/kept_work.py",
        'not plan.ids.isdisjoint({report["plan"], report.get("asked")})', 'plan.id == report["plan"]',
        f"{_JOURNAL}::test_the_same_command_knows_its_result_whose_frames_had_to_be_counted",
    ),
    Mutant(
        49, "what could not be written whole stays under another name", "pipelines/storage/atomic_file.py",
        "                temporary.unlink(missing_ok=True)\n", "                pass\n",
        f"{_ATOMIC}::test_a_failed_write_leaves_the_old_file_and_nothing_next_to_it",
    ),
    Mutant(
        74, "a file may be read by whom the umask shuts out", "pipelines/storage/atomic_file.py",
        "    path.chmod(mode)", "    path.chmod(0o644)",
        f"{_ATOMIC}::test_permissions_are_those_that_the_umask_leaves",
    ),
    Mutant(
        44, "a folder is not flushed after a rename", "pipelines/storage/atomic_file.py",
        "        sync_folder(path.parent)\n", "",
        f"{_ATOMIC}::test_content_and_name_are_flushed_in_this_order",
    ),
    Mutant(
        51, "a range beyond a missing picture is cut short", "pipelines/media/image_sequence.py",
        "until <= count / rate", "until <= count / rate + 1",
        "tests/pipelines/media/test_image_sequence.py::test_the_images_on_both_sides_of_a_missing_one_can_be_taken_as_its_message_says",
    ),
    Mutant(
        51, "a part is aligned with a film that it was not made of", "pipelines/quality/output_reports.py",
        'r if r.get("source_fingerprint") in sources else {}', "r",
        "tests/pipelines/quality/test_comparison.py::test_a_part_is_compared_with_what_it_was_made_of_by_its_report",
    ),
    Mutant(
        51, "pictures outside a range go", "pipelines/media/image_sequence.py",
        "    size = 0\n    for number", "    for stale in set(target.numbers()) - set(numbers):\n        target.path(stale).unlink()\n    size = 0\n    for number",
        f"{_LOST}::test_a_part_done_again_replaces_its_pictures_and_no_other",
    ),
    Mutant(
        42, "chunks of another plan are thrown away", "pipelines/output/journal.py",
        "    if not kept:\n        return\n", "    if True:\n        return\n",
        f"{_LOST}::test_a_device_that_is_not_seen_this_time_costs_no_chunk",
    ),
    Mutant(
        42, "chunks of another class are thrown away", "pipelines/run/chunk_loop.py",
        "        if self._records:\n", "        if self._records and self._journal.clear():  # type: ignore[func-returns-value]\n",
        f"{_SPANS}::test_what_other_bits_a_worker_would_give_is_said",
    ),
    Mutant(
        62, "a work directory goes with what others put there", "pipelines/output/journal.py",
        "for path in self.folder.iterdir() if _OURS.fullmatch(path.name)]", "for path in self.folder.iterdir()]",
        f"{_LOST}::test_what_others_put_into_a_work_directory_stays",
    ),
    Mutant(
        51, "what came to be there during the run is replaced", "pipelines/run/publishing.py",
        "        refuse_taken(target, plan, may_replace=may_replace)  # hours may have passed\n", "",
        f"{_LOST}::test_what_takes_the_result_s_name_during_the_run_stays",
    ),
    Mutant(
        51, "a link that leads nowhere is nothing", "pipelines/run/publishing.py",
        "if not os.path.lexists(target) if", "if not target.exists() if",
        f"{_LOST}::test_a_link_that_leads_nowhere_is_something_too",
    ),
    Mutant(
        51, "any file is taken for a report", "pipelines/run/publishing.py",
        "if os.path.lexists(report) and not _is_report(report):", "if False:",
        f"{_LOST}::test_a_file_in_the_place_of_the_report_is_not_replaced",
    ),
    Mutant(
        52, "one picture is compared with the input's", "pipelines/planner/container_choice.py",
        "numbers = [n for n in wanted.numbers() if n in made]", "numbers = wanted.numbers()[:1]",
        f"{_LOST}::test_input_pictures_that_the_output_s_pattern_means_too_are_never_replaced",
    ),
    Mutant(
        52, "a report may be written over an input", "pipelines/plan/output_names.py",
        "and os.path.samefile(path, target)", "and False",
        f"{_LOST}::test_no_report_is_written_over_an_input",
    ),
    Mutant(
        51, "any page is taken for a preview's", "pipelines/diagnostics/preview.py",
        "    if not is_ours:\n", "    if False:\n",
        f"{_LOST}::test_a_page_that_is_no_preview_s_is_not_replaced",
    ),
    Mutant(
        42, "a log without its checkpoint is begun anew", "pipelines/training/train.py",
        'for name in ("checkpoint.pt", "log.jsonl"))', 'for name in ("checkpoint.pt",))',
        f"{_LOST}::test_a_log_without_its_checkpoint_is_not_begun_anew",
    ),
    Mutant(
        42, "a data set of other settings is replaced", "pipelines/datasets/builder.py",
        "    if digest != unit.digest:\n", "    if False:\n",
        "tests/pipelines/datasets/test_builder.py::test_pairs_of_other_settings_are_not_replaced",
    ),
    Mutant(
        51, "what came to be elsewhere during the run is replaced", "pipelines/run/remote_job.py",
        "if not trip.job.may_replace and RemoteFile(Url(where), write=True).version() is not None:", "if False:",
        "tests/pipelines/run/test_object_store.py::test_what_came_to_be_there_during_the_run_is_not_replaced",
    ),
    Mutant(
        42, "chunks of two builds of an encoder go into one film", "pipelines/inference/device.py",
        '"numba": _numba(), **encoder_builds()}', '"numba": _numba()}',
        f"{_DEVICE}::test_the_numerics_class_names_all_that_shapes_bits_besides_input_and_settings",
    ),
    Mutant(
        42, "a CPU whose 8-bit sums overflow computes on integers", "pipelines/inference/device.py",
        'kind != "cpu" or not int8_is_exact()', 'kind != "cpu"',
        f"{_INT8}::test_a_cpu_that_is_not_exact_is_refused",
    ),
    Mutant(
        42, "a CPU that lacks the integers of an earlier run is not told", "pipelines/output/plan_differences.py",
        'if old.get("precision") == "int8" != new.get("precision"):', "if False:",
        f"{_LOST}::test_an_int8_run_resumes_on_a_cpu_with_int8_and_another_cpu_gets_the_reason",
    ),
    Mutant(
        42, "sums of 8-bit products are taken for exact untried", "models/layers/int8.py",
        "    return bool((found == torch.from_numpy(expected.astype(np.float32))[:, None, None]).all())", "    return True",
        "tests/models/layers/test_int8.py::test_bits_do_not_depend_on_the_kind_of_cpu_or_on_threads[AVX2]",
    ),
    Mutant(
        42, "grain is taken for the same on every CPU", "pipelines/plan/plan.py",
        'self.precision == "int8" and not self.grain and not self.is_filtered', 'self.precision == "int8"',
        f"{_INT8}::test_the_numerics_class_names_no_cpu_where_none_shapes_bits",
    ),
    Mutant(
        42, "networks on integers see zeros instead of black beyond the picture", "pipelines/inference/fused_cpu.py",
        "out[[0, -1]] = out[:, [0, -1]] = self._neutral", "out[[0, -1]] = out[:, [0, -1]] = 0",
        f"{_INT8}::test_every_sample_is_that_of_whole_numbers",
    ),
    Mutant(
        42, "a network that loses much by it runs on integers unasked", "pipelines/planner/precision_choice.py",
        "        and max(costs) <= _MOST_COST_DB\n", "",
        f"{_AUTO}::test_integers_are_taken_where_they_cost_next_to_nothing",
    ),
    Mutant(
        42, "nodes that nobody knows are taken for CPUs that multiply bytes", "pipelines/planner/precision_choice.py",
        '        and (settings.cluster is None or settings.cluster.startswith("local") or settings.device == "cpu")\n', "",
        f"{_AUTO}::test_nodes_elsewhere_compute_as_they_can",
    ),
    Mutant(
        42, "a CPU without 8-bit products is asked for them", "pipelines/planner/precision_choice.py",
        "        and multiplies_bytes()\n", "",
        f"{_AUTO}::test_a_cpu_without_8_bit_products_computes_as_before",
    ),
    Mutant(
        42, "the range of integers ends at what the frames have", "pipelines/model_files/quantization.py",
        "torch.maximum(_USUAL * highest, _EXTREME * extreme[name])", "_USUAL * highest",
        "tests/pipelines/model_files/test_quantization.py::test_the_integer_range_has_room_for_edges_sharper_than_any_in_the_frames",
    ),
    Mutant(
        22, "rounding softens what a network adds", "pipelines/model_files/quantization.py",
        '(made["scale"] / strength).float()', 'made["scale"]',
        "tests/pipelines/model_files/test_quantization.py::test_the_residual_is_neither_smaller_nor_larger_than_the_float_networks",
    ),
    Mutant(
        22, "the rounding of earlier layers is not made up for", "pipelines/model_files/quantization.py",
        "    return fitted\n", "    return wanted\n",
        "tests/pipelines/model_files/test_quantization.py::test_layers_make_up_for_the_rounding_of_those_before_them",
    ),
    Mutant(
        22, "layers are fitted to any part of a picture", "pipelines/model_files/quantization.py",
        "divmod(int(means.argmax())", "divmod(int(means.argmin())",
        "tests/pipelines/model_files/test_quantization.py::test_layers_are_rounded_with_the_sharpest_part_of_a_picture",
    ),
    Mutant(
        42, "weights of a kernel are rounded each for itself", "models/layers/unit_rounding.py",
        "    whole -= rank < surplus\n", "",
        "tests/models/layers/test_unit_rounding.py::test_the_sum_of_each_kernel_is_within_half_a_step",
    ),
    Mutant(
        42, "10-bit samples go into integers that show bands", "models/catalog/card.py",
        "(bits == 10 and ramps >= _LEAST_RAMPS_DB)", "bits == 10",
        "tests/pipelines/planner/test_precision_choice.py::test_ten_bits_are_computed_on_integers_that_are_near_enough_on_ramps",
    ),
    Mutant(
        42, "10-bit samples are cut to 8 bits, not rounded", "pipelines/inference/fused_cpu.py",
        "(codes.astype(np.int64) - offset) + span) // (2 * span)", "(codes.astype(np.int64) - offset)) // (2 * span)",
        f"{_INT8}::test_ten_bits_keep_their_own_next_to_a_residual_from_eight",
    ),
    Mutant(
        42, "what a former version did not note is held against its chunks", "pipelines/output/journal.py",
        "for key in sorted(old)\n            if old[key] !=", "for key in sorted({*old, *facts})\n            if old.get(key) !=",
        f"{_JOURNAL}::test_numerics_that_a_former_version_did_not_note_are_assumed_once_and_then_held",
    ),
    Mutant(
        42, "what was assumed of chunks is not said", "pipelines/run/chunk_loop.py",
        "        if unknown:\n", "        if False:\n",
        f"{_SPANS}::test_what_an_earlier_run_did_not_note_of_its_libraries_is_said_and_its_chunks_are_kept",
    ),
    Mutant(
        42, "a card's hash shapes no bits", "pipelines/plan/plan_id.py",
        '    "sha256",\n    "architecture",', '    "architecture",',
        f"{_PLAN_ID}::test_of_a_card_the_id_covers_what_shapes_bits",
    ),
    Mutant(
        42, "where weights lie shapes bits", "pipelines/plan/plan_id.py",
        '    "recurrent",\n)', '    "recurrent",\n    "path",\n)',
        f"{_PLAN_ID}::test_the_same_weights_elsewhere_go_on_with_what_is_done",
    ),
    Mutant(
        42, "a card without a hash is known by none", "models/catalog/lookup.py",
        "return [_with_hash(card) for card in found]", "return found",
        f"{_PLAN_ID}::test_a_hash_is_computed_for_a_named_network_too",
    ),
    Mutant(
        38, "chunks of a former version are another plan's", "pipelines/output/journal.py",
        'if old is not None and plan_id in {old.get("id"), _own_id(old)}:', 'if old is not None and old.get("id") == plan_id:',
        f"{_PLAN_ID}::test_a_journal_of_a_former_version_goes_on",
    ),
    Mutant(
        45, "a result of a former version is another command's", "pipelines/plan/plan.py",
        "return frozenset({self.id, former_id(self.to_json())})", "return frozenset({self.id})",
        f"{_PLAN_ID}::test_a_result_of_a_former_version_is_known",
    ),
    Mutant(
        60, "the id is computed for each chunk", "pipelines/plan/plan.py",
        "    @functools.cached_property\n    def id(self)", "    @property\n    def id(self)",
        f"{_PLAN_ID}::test_the_id_is_computed_once",
    ),
    Mutant(
        46, "any trouble with a lock is taken for another run", "pipelines/output/journal.py",
        "except FileNotFoundError:\n            is_ours = False", "except OSError:\n            is_ours = False",
        f"{_JOURNAL}::test_a_disk_without_locks_is_not_taken_for_another_run",
    ),
    Mutant(
        43, "a kept chunk is not hashed", "pipelines/output/chunk_record.py",
        'return bool(hashlib.sha256(path.read_bytes()).hexdigest() == table["sha256"])', "return True",
        f"{_JOURNAL}::test_a_chunk_that_is_not_what_its_manifest_says_is_made_again",
    ),
    Mutant(
        43, "a chunk is not hashed again when it is joined", "pipelines/output/chunk_record.py",
        "        if hashlib.sha256(data).hexdigest() != self.sha256:", "        if not data:",
        f"{_JOURNAL}::test_a_chunk_changed_while_the_run_goes_on_never_reaches_the_result",
    ),
    Mutant(
        69, "playlists and http are allowed", "pipelines/media/demuxer.py",
        '    "protocol_whitelist": "file",\n    "format_whitelist": FORMATS,\n', '    "protocol_whitelist": "file,http,tcp,crypto,data",\n',
        f"{_SOURCE}::test_a_playlist_reaches_no_server_whatever_its_name",
    ),
    Mutant(
        70, "any demuxer may be chosen", "pipelines/media/demuxer.py",
        '    "format_whitelist": FORMATS,\n', "",
        f"{_SOURCE}::test_a_concat_list_opens_nothing",
    ),
    Mutant(
        27, "SAR is not baked in", "pipelines/planner/plan_checks.py",
        "        width, height = square_size(width, height, upright_sar(info))", "        pass",
        "tests/pipelines/probe/test_black_bars.py::test_the_display_aspect_is_kept_or_baked_in",
    ),
    Mutant(
        30, "BT.2020 by BT.709's weights", "pipelines/media/cicp.py",
        "    Matrix.BT2020_NCL: (0.2627, 0.0593),", "    Matrix.BT2020_NCL: (0.2126, 0.0722),",
        f"{_EXACT}::test_yuv_becomes_rgb_and_rgb_becomes_yuv_by_the_tags[2020nc-8]",
    ),
    Mutant(
        30, "out of R'G'B' by BT.709 always", "pipelines/inference/cascade.py",
        "            luma, chroma = rgb_to_yuv(out, self._matrix)", "            luma, chroma = rgb_to_yuv(out, Matrix.BT709)",
        f"{_EXACT}::test_patches_look_the_same_through_every_matrix_range_depth_and_subsampling[2020nc-rgb]",
    ),
    Mutant(
        31, "untagged is always BT.709", "pipelines/plan/color_tags.py",
        "_LAST_SD_LINE = 576", "_LAST_SD_LINE = 0",
        f"{_EXACT}::test_untagged_sd_leaves_with_tags_that_are_true[rgb]",
    ),
    Mutant(
        32, "chroma siting is not read", "pipelines/probe/probe.py",
        "siting=chroma_siting(stream, look.first)", "siting=0",
        f"{_EXACT}::test_chroma_stays_where_it_lies[libx264-topleft-rgb]",
    ),
    Mutant(
        32, "a turned picture's chroma is not turned", "pipelines/plan/plan.py",
        "            vertical, horizontal, down, across = horizontal, vertical, across, down\n", "            pass\n",
        f"{_EXACT}::test_a_turned_picture_s_chroma_stays_where_it_lies[lanczos]",
    ),
    Mutant(
        33, "a foreign network ends in bf16", "models/catalog/third_party.py",
        "            called[-1].forward = _in_fp32(called[-1].forward)", "            pass",
        f"{_EXACT}::test_a_foreign_network_in_bf16_ends_in_fp32",
    ),
    Mutant(
        34, "dithered at random", "pipelines/frames/color_conversion.py",
        "(values.float() * span).add_(offset)", "(values.float() * span).add_(offset).add_(torch.rand(values.shape) - 0.5)",
        f"{_EXACT}::test_ten_bits_brought_down_to_eight_are_the_same_however_the_work_is_cut",
    ),
    Mutant(
        35, "encoders are not told of HDR metadata", "pipelines/media/hdr_metadata.py",
        "    if not metadata or encoder not in _WORDS:", "    if True:",
        "tests/pipelines/media/test_hdr_metadata.py::test_hdr_metadata_is_written_in_the_option_syntax_of_each_encoder",
    ),
    Mutant(
        35, "containers are not told of HDR metadata", "pipelines/output/muxer.py",
        "        if plan.hdr or box:\n", "        if False:\n",
        "tests/pipelines/media/test_hdr_metadata.py::test_hdr10_keeps_its_tags_depth_and_metadata_in_every_chunk",
    ),
    Mutant(
        36, "Dolby Vision without a base layer is upscaled", "pipelines/probe/refusals.py",
        "    if look.dolby_vision_only or seen.dynamic_hdr.facts.dolby_vision == 5:", "    if False:",
        "tests/pipelines/media/test_hdr_metadata.py::test_dolby_vision_without_a_base_layer_is_refused",
    ),
    Mutant(
        36, "HDR10+ metadata goes by the order of packets", "pipelines/codec/dynamic_metadata.py",
        "found = self._waiting.pop(frame.pts, None)", "found = self._waiting.pop(next(iter(self._waiting), 0), None)",
        f"{_DYNAMIC}::test_metadata_stays_at_its_frames_wherever_a_film_is_cut",
    ),
    Mutant(
        36, "packets of films without times are not numbered", "pipelines/codec/dynamic_metadata.py",
        "replace(packet, pts=number) if self._by_number else packet", "packet",
        f"{_DYNAMIC}::test_frames_that_are_known_by_their_order_alone_keep_their_metadata",
    ),
    Mutant(
        36, "HDR10+ in front of a temporal unit's first frame", "pipelines/media/dynamic_hdr.py",
        "            at = begin\n", "            at = at or begin\n",
        f"{_DYNAMIC}::test_hdr10_plus_of_av1_is_carried_over",
    ),
    Mutant(
        36, "long messages have one byte of length", "pipelines/media/bitstream.py",
        'b"\\xff" * (len(message) // 255)', 'b""',
        f"{_DYNAMIC}::test_hdr10_plus_goes_with_every_frame_byte_for_byte",
    ),
    Mutant(
        36, "HDR10+ of parts of the picture is kept", "pipelines/probe/dynamic_hdr_look.py",
        "if hdr10_plus_windows(found.hdr10_plus) != 1:", "if False:",
        f"{_DYNAMIC}::test_hdr10_plus_of_parts_of_the_picture_is_left_out",
    ),
    Mutant(
        36, "Dolby Vision into any pixel format", "pipelines/planner/dynamic_hdr_choice.py",
        "if plan.out_pix_fmt != _RPU_FORMAT:", "if False:",
        f"{_DYNAMIC}::test_dolby_vision_that_can_not_be_kept_is_said_to_be_lost_before_work",
    ),
    Mutant(
        36, "RPUs that need others are carried over", "pipelines/media/dolby_vision.py",
        "    if rpu.is_chained:", "    if False:",
        f"{_DYNAMIC}::test_metadata_that_can_not_be_carried_over_in_mid_film_ends_the_run_with_a_way_on",
    ),
    Mutant(
        36, "a wrong CRC-32 of an RPU is passed over", "pipelines/media/dolby_vision.py",
        "    if payload[-5:-1] != _crc32(payload[:-5]):", "    if False:",
        f"{_DYNAMIC}::test_dolby_vision_that_can_not_be_kept_is_said_to_be_lost_before_work",
    ),
    Mutant(
        95, "metadata of the result is not compared", "pipelines/output/verification.py",
        "            if found != wanted:\n", "            if False:\n",
        f"{_DYNAMIC}::test_metadata_that_is_lost_when_a_result_is_put_together_is_noticed",
    ),
    Mutant(
        96, "a player is not told of Dolby Vision", "pipelines/output/result_contents.py",
        "if record and configuration_of(self.video) != record:", "if False:",
        f"{_DYNAMIC}::test_a_result_that_does_not_say_that_it_is_dolby_vision_is_noticed",
    ),
    Mutant(
        25, "formats that FFmpeg does not know are not described", "pipelines/output/muxer.py",
        "_describe(target, source, info.stream_index, written)", "pass",
        f"{_MOV_BOXES}::test_a_track_of_a_format_that_ffmpeg_does_not_know_keeps_its_description",
    ),
    Mutant(
        25, "track IDs of references stay those of the source", "pipelines/containers/mov_boxes.py",
        "new_ids[number] for number in old if number in new_ids", "number.to_bytes(4, 'big') for number in old",
        f"{_MOV_BOXES}::test_a_track_of_a_format_that_ffmpeg_does_not_know_keeps_its_description",
    ),
    Mutant(
        25, "lost descriptions are not noticed", "pipelines/output/result_contents.py",
        "if box_within(tracks[entry.output_index], *way) != box_within(entry.description, *way):", "if False:",
        f"{_MOV_BOXES}::test_a_description_that_was_lost_is_noticed",
    ),
    Mutant(
        23, "MOV takes tracks that nothing describes", "pipelines/containers/container_support.py",
        "and not description_box(source, track)", "and False",
        f"{_MOV_BOXES}::test_what_only_its_own_container_describes_is_refused_for_mov",
    ),
    Mutant(
        85, "a TS that ends after two bytes of a packet is broken", "pipelines/file_parsing/container_check.py",
        "spared=is_nameless or bool(flags & 0x4000)", "spared=bool(flags & 0x4000) and not is_nameless",
        "tests/pipelines/file_parsing/test_container_check.py"
        "::test_a_ts_that_ends_inside_a_packet_is_taken_where_its_last_frame_is_whole",
    ),
    Mutant(
        23, "LATM is passed on as it is", "pipelines/output/stream_copy.py",
        "yield from _unwrapped(packet, self._latm.setdefault(packet.stream_index, LatmReader()))", "yield packet",
        "tests/pipelines/containers/test_latm.py::test_the_access_units_of_latm_are_kept_bit_for_bit",
    ),
    Mutant(
        23, "lengths of 255 bytes and more are cut", "pipelines/containers/latm.py",
        "length += part", "length += 0",
        "tests/pipelines/containers/test_latm.py"
        "::test_explicit_sbr_two_units_and_packets_without_a_configuration_are_read",
    ),
    Mutant(
        85, "any number of workers is begun", "pipelines/settings/option_values.py",
        "0 < int(count) <= _MOST_LOCAL_WORKERS", "0 < int(count)",
        "tests/vsr/cli/test_usage_errors.py::test_numbers_that_are_none_or_beyond_all_measure_are_refused",
    ),
    Mutant(
        85, "frames of a pixel are made, and fail at the end", "pipelines/settings/run_settings.py",
        "if min(size) < _LEAST_SIDE:", "if min(size) < 1:",
        "tests/vsr/cli/test_usage_errors.py::test_numbers_that_are_none_or_beyond_all_measure_are_refused",
    ),
    Mutant(
        96, "chunks of a MOV stay where they were", "pipelines/containers/mov_boxes.py",
        "struct.pack_into(kind, table, at, place + by if place > index else place)", "pass",
        f"{_DYNAMIC}::test_a_dolby_vision_record_stands_next_to_whatever_else_a_track_has",
    ),
    Mutant(
        96, "active areas are not scaled", "pipelines/codec/dynamic_metadata.py",
        "return (2 * offset * out + size) // (2 * size)", "return offset",
        f"{_DYNAMIC}::test_the_active_area_of_dolby_vision_grows_with_the_picture",
    ),
    Mutant(
        96, "a changed RPU keeps its CRC-32", "pipelines/media/dolby_vision.py",
        "return wrap(body + _crc32(body) + payload[-1:])", "return wrap(body + payload[-5:])",
        f"{_DYNAMIC}::test_the_active_area_of_dolby_vision_grows_with_the_picture",
    ),
    Mutant(
        96, "what stands in for a damaged frame has no metadata", "pipelines/codec/expected_frames.py",
        "corrupt=True, dynamic_hdr=last.dynamic_hdr)", "corrupt=True)",
        f"{_DYNAMIC}::test_what_stands_in_for_a_damaged_frame_has_the_metadata_of_what_it_shows",
    ),
    Mutant(
        96, "an active area of AV1 is written at a byte's start", "pipelines/media/dolby_vision.py",
        "^ change << shift)", "^ change << shift // 8 * 8)",
        f"{_DYNAMIC}::test_dolby_vision_of_av1_goes_with_every_frame",
    ),
    Mutant(
        36, "one damaged RPU ends a run that conceals damage", "pipelines/codec/dynamic_metadata.py",
        'if plan.on_corrupt == "conceal":', "if False:",
        f"{_DYNAMIC}::test_a_damaged_rpu_is_left_out_where_damage_is_concealed",
    ),
    Mutant(
        36, "the second layer of a disc is passed on", "pipelines/planner/dynamic_hdr_choice.py",
        "if unit and parse_rpu(unit).profile in _LAYERED:", "if False:",
        f"{_DYNAMIC}::test_the_second_layer_of_a_disc_is_left_out_and_said",
    ),
    Mutant(
        95, "chunks that lost metadata are kept", "pipelines/workers/stage_threads.py",
        "        if wrong is not None:\n", "        if False:\n",
        f"{_DYNAMIC}::test_a_chunk_that_lost_the_metadata_of_a_frame_is_noticed",
    ),
    Mutant(
        37, "PQ in 8 bits", "pipelines/encoders/encoder_options.py",
        "    if transfer in HDR_TRANSFERS and encoder.pixels.bits < _HDR_BITS:", "    if False:",
        "tests/pipelines/media/test_hdr_metadata.py::test_pq_and_hlg_are_never_brought_down_to_eight_bits",
    ),
    Mutant(
        60, "frames and their side data hold each other", "pipelines/media/hdr_metadata.py",
        "    return SideDataContainer(frame)  #", "    return frame.side_data  #",
        "tests/pipelines/codec/test_decoder.py::test_a_decoded_picture_goes_with_the_last_reference_to_it",
    ),
    Mutant(
        53, "workers that share memory go on sharing it", "pipelines/run/job.py",
        "with_fewer_workers(own, self.planned.plan) if self.workers is None else None", "None",
        "tests/pipelines/planner/test_smaller_tiles.py::test_workers_that_share_memory_are_made_fewer_before_tiles_are_made_smaller",
    ),
    Mutant(
        53, "memory that runs out ends the run", "pipelines/inference/cuda/cuda_pipeline.py",
        "        except torch.OutOfMemoryError as error:\n", "        except ZeroDivisionError as error:\n",
        "tests/pipelines/inference/cuda/test_cuda_pipeline.py::test_out_of_memory_anywhere_ends_the_run_and_changes_no_batch",
    ),
    Mutant(
        1, "tiles that stand still leave smaller batches", "pipelines/inference/cuda/cuda_pipeline.py",
        "batch = [(n, n in wanted) for n in numbers]", "batch = [(n, True) for n in numbers if n in wanted]",
        "tests/pipelines/inference/cuda/test_cuda_pipeline.py::test_tiles_of_a_shape_go_in_batches_of_one_size_whatever_stands_still",
    ),
    Mutant(
        1, "the last batch is smaller", "pipelines/inference/cuda/cuda_pipeline.py",
        "*group[-1:] * (size - len(group))", "*group[:0]",
        "tests/pipelines/inference/cuda/test_cuda_pipeline.py::test_tiles_of_a_shape_go_in_batches_of_one_size_whatever_stands_still",
    ),
    Mutant(
        53, "computed before it is up", "pipelines/inference/cuda/transfer_ring.py",
        "                accelerator.wait(slot.uploaded)\n", "                pass\n",
        "tests/pipelines/inference/cuda/test_transfer_ring.py::test_results_are_right_and_in_order_however_the_streams_run",
    ),
    Mutant(
        53, "comes down before it is computed", "pipelines/inference/cuda/transfer_ring.py",
        "            accelerator.wait(slot.computed)\n", "            pass\n",
        "tests/pipelines/inference/cuda/test_transfer_ring.py::test_results_are_right_and_in_order_however_the_streams_run",
    ),
    Mutant(
        53, "a slot is filled again before it came down", "pipelines/inference/cuda/transfer_ring.py",
        "        slot.downloaded.synchronize()\n", "        slot.uploaded.synchronize()\n",
        "tests/pipelines/inference/cuda/test_transfer_ring.py::test_results_are_right_and_in_order_however_the_streams_run",
    ),
    Mutant(
        55, "a device that failed is a bug of ours", "pipelines/pool/interface.py",
        'if "CUDA error" in str(error) or', "if",
        "tests/pipelines/inference/test_output_checks.py::test_a_worker_whose_device_failed_an_assertion_is_replaced",
    ),
    Mutant(
        59, "non-finite values pass", "pipelines/inference/output_checks.py",
        "    if not all(math.isfinite(t.checksum) for t in tiles):", "    if False:",
        "tests/pipelines/inference/test_output_checks.py::test_where_fp32_does_not_help_the_run_ends",
    ),
    Mutant(
        59, "black where the source is not passes", "pipelines/inference/output_checks.py",
        "    if any(t.brightest <= _BLACK and t.before > _LIT for t in tiles):", "    if False:",
        "tests/pipelines/inference/test_output_checks.py::test_a_frame_that_can_not_be_is_computed_again_in_fp32",
    ),
    Mutant(
        63,
        "a slice that is cut is taken for whole where nothing else tells",
        "pipelines/codec/cut_slice.py",
        "return is_broken or pictures != _pictures([*group, longer], setup)[0]",
        "return is_broken",
        f"{_CUT_SLICE}::test_a_stream_cut_inside_its_last_slice_is_distinguished_from_a_whole_one[HEVC]",
    ),
    Mutant(
        63,
        "a slice whose header is cut is taken for none",
        "pipelines/codec/cut_slice.py",
        "return is_broken or pictures",
        "return pictures",
        f"{_CUT_SLICE}::test_a_stream_cut_inside_its_last_slice_is_distinguished_from_a_whole_one",
    ),
    Mutant(
        63, "a file that ends early is taken for whole", "pipelines/planner/video_planner.py",
        '    if info.flaw and part[1] > info.flaw_from and settings.on_corrupt == "fail":', "    if False:",
        "tests/pipelines/file_parsing/test_container_check.py::test_a_film_that_is_cut_short_is_refused_or_upscaled_as_far_as_it_goes[mkv-0.5]",
    ),
    Mutant(
        65, "HEVC hides broken slices", "pipelines/codec/decoder.py",
        "if strict and setup.codec in _HIDES_DAMAGE", "if False",
        "tests/pipelines/file_parsing/test_container_check.py::test_flipped_bits_are_named_by_frame_or_concealed_with_every_frame_kept[libx265-mp4]",
    ),
    Mutant(
        75, "headers of any size", "pipelines/media/demuxer.py",
        "_MOST_HEADER_BYTES = 512 << 20", "_MOST_HEADER_BYTES = 1 << 62",
        "tests/pipelines/media/test_untrusted_files.py::test_a_file_that_claims_more_than_a_machine_has_is_refused_before_it_gets_it[_huge_tag_mp4]",
    ),
    Mutant(
        76, "any decoder", "pipelines/probe/probe.py",
        "    if context.name not in DECODERS:", "    if False:",
        "tests/pipelines/media/test_untrusted_files.py::test_a_rarely_used_decoder_is_not_opened[magicyuv]",
    ),
    Mutant(
        77, "a file of a network's name is taken for it", "models/catalog/lookup.py",
        "    if not found and (path.suffix in", "    if path.exists() or (path.suffix in",
        "tests/models/catalog/test_safetensors_header.py::test_a_file_with_the_name_of_a_network_is_not_taken_for_it",
    ),
    Mutant(
        71, "workers have a network", "pipelines/pool/child_process.py",
        "    without_network()\n", "",
        "tests/models/test_sandbox.py::test_a_worker_here_reaches_no_network_and_takes_no_more_memory_than_there_is[cpu]",
    ),
    Mutant(
        67, "any size is tried", "pipelines/encoders/encoder_options.py",
        "    _check_size(settings, source, target.width, target.height)\n", "",
        "tests/pipelines/codec/test_encoder.py::test_what_a_codec_or_container_can_t_is_refused",
    ),
    Mutant(
        71, "a path is opened as an address", "pipelines/media/demuxer.py",
        'return "file:" + os.path.abspath(os.fspath(path))', "return os.fspath(path)",
        f"{_SOURCE}::test_a_file_with_the_name_of_an_address_is_opened_as_a_file",
    ),
    Mutant(
        72, "a path is opened as an address", "pipelines/media/demuxer.py",
        'return "file:" + os.path.abspath(os.fspath(path))', "return os.fspath(path)",
        f"{_SOURCE}::test_a_hostile_name_is_a_plain_file_in_and_out",
    ),
    Mutant(
        72, "%03d is a sequence", "pipelines/media/demuxer.py",
        '    "pattern_type": "none",', '    "pattern_type": "sequence",',
        f"{_SOURCE}::test_a_numbered_name_is_not_taken_for_a_sequence_of_pictures",
    ),
    Mutant(
        71, "an address is fetched without leave", "pipelines/run/inputs.py",
        "    if not allow_url:\n        raise MediaError(", "    if False:\n        raise MediaError(",
        "tests/pipelines/run/test_object_store.py::test_without_leave_nothing_leaves_the_process",
    ),
    Mutant(
        80, "addresses are shown with their passwords", "models/errors.py",
        '("***@" if found[2] else "")', '(found[2] or "")',
        "tests/pipelines/run/test_object_store.py::test_what_is_not_there_is_said_without_credentials",
    ),
    Mutant(
        73, "a template may hold a folder", "pipelines/settings/name_template.py",
        'if any(c in literal for c in ("/", os.sep, "\\0")):', "if False:",
        "tests/vsr/cli/test_batch.py::test_a_template_that_leads_elsewhere_is_refused_before_work",
    ),
    Mutant(
        73, "a source's own name may lead out", "pipelines/plan/output_names.py",
        'if name in {"", ".", ".."} or', "if False and",
        "tests/pipelines/plan/test_output_names.py::test_a_source_s_name_does_not_lead_out_either",
    ),
    Mutant(
        51, "two inputs get one name", "pipelines/run/batch.py",
        "            if owner is not source:", "            if False:",
        "tests/vsr/cli/test_batch.py::test_no_two_inputs_get_one_name_even_with_overwrite",
    ),
    Mutant(
        75, "a decoder is opened without limits", "pipelines/media/demuxer.py",
        'decoder.options = {**GUARDS, "max_pixels": str(most_pixels), **options}', "decoder.options = {**options}",
        f"{_LIMITS}::test_a_limit_holds_in_the_decoder_itself",
    ),
    Mutant(
        75, "a stream's own decoder is taken as it is", "pipelines/media/demuxer.py",
        "    return stream, open_decoder(stream, most_pixels", "    return stream, stream.codec_context or open_decoder(stream, most_pixels",
        f"{_LIMITS}::test_a_limit_holds_in_the_decoder_itself",
    ),
    Mutant(
        75, "one decoder goes another way", "pipelines/datasets/recompression.py",
        "decoder = open_decoder(name)", 'decoder = av.CodecContext.create(name, "r")',
        f"{_LIMITS}::test_there_is_one_way_to_a_decoder",
    ),
    Mutant(
        84, "what lies behind a key frame is decoded anew for each that looks", "pipelines/frames/film_frames.py",
        "        if place not in self._runs:\n", "        if True:\n",
        f"{_SAMPLES}::test_places_behind_one_key_frame_are_one_place",
    ),
    Mutant(
        84, "a look goes on behind frames that nobody has seen", "pipelines/frames/film_frames.py",
        "        if run is not self._current or run.taken > len(run.kept):\n", "        if False:\n",
        f"{_SAMPLES}::test_a_look_behind_that_of_another_goes_on_where_it_ended",
    ),
    Mutant(
        60, "all frames of all places are kept", "pipelines/frames/film_frames.py",
        " and size <= self._free:", ":",
        f"{_SAMPLES}::test_frames_beyond_the_limit_are_not_kept_and_come_all_the_same",
    ),
    Mutant(
        60, "sampled frames lie beside the trials of a plan", "pipelines/planner/video_planner.py",
        "    samples.close()  # trials need the memory\n", "",
        f"{_SAMPLES}::test_a_film_is_closed_before_the_trials_of_a_plan",
    ),
    Mutant(
        84, "the level depends on the number of cores", "pipelines/frames/film_frames.py",
        "        decoder.thread_count = _THREADS\n", "",
        f"{_SAMPLES}::test_what_is_read_does_not_depend_on_the_number_of_cores",
    ),
    Mutant(
        15, "a look at flags takes the times of frames away", "pipelines/interlacing/scan_detection.py",
        "            frame.pts, frame.time_base = times  # others look at it, too\n", "",
        f"{_SAMPLES}::test_a_look_at_the_flags_of_frames_leaves_them_as_they_are",
    ),
    Mutant(
        75, "a film is looked at by its container", "pipelines/frames/film_frames.py",
        "from decoded_frames(packets, self.decoder)", "from self._opened[-1].decode(self.stream)",
        f"{_LIMITS}::test_there_is_one_way_to_a_decoder",
    ),
    Mutant(
        60, "times travel as objects", "pipelines/run/chunk_tasks.py",
        "        info.pts[first:stop],\n", "        tuple(info.pts[first:stop]),\n",
        f"{_LENGTH}::test_a_task_holds_its_own_times_as_numbers",
    ),
    Mutant(
        60, "rows are dropped that a later span needs", "pipelines/run/chunk_tasks.py",
        "        least = min(least, plan.spans[key].first_row)", "        least = plan.spans[key].first_row",
        f"{_LENGTH}::test_rows_are_kept_until_the_earliest_span_behind",
    ),
    Mutant(
        4, "a key frame counts as clean although frames before it are shown behind it", "pipelines/plan/chunking.py",
        "if index.pts[row] > latest:", "if row >= 0:",
        f"{_ANY_LENGTH}::test_every_frame_of_any_film_is_promised_once_and_can_be_decoded",
    ),
    Mutant(
        1, "frames share chunks where times repeat the end of one", "pipelines/plan/chunking.py",
        "        at = end\n    return tuple(chunks)", "        at = end - (len(chunks) == 3)\n    return tuple(chunks)",
        f"{_ANY_LENGTH}::test_every_frame_of_any_film_is_promised_once_and_can_be_decoded",
    ),
    Mutant(
        4, "filters get no frames after a chunk", "pipelines/plan/chunking.py",
        "min(count, stop + context[1])", "stop",
        f"{_ANY_LENGTH}::test_every_frame_of_any_film_is_promised_once_and_can_be_decoded",
    ),
    Mutant(
        60, "the clean points are looked for from the start each time", "pipelines/plan/chunking.py",
        "max(index.pts[seen:row], default=NO_PTS)", "max((p for p in index.pts[:row]), default=NO_PTS)",
        f"{_LENGTH}::test_planning_and_starting_grow_with_the_length",
    ),
    Mutant(
        60, "pictures of a chunk are read from its manifest one by one", "pipelines/output/verification.py",
        "        place = self._place(frame.pts or 0)", "        [0 for _ in self._order]\n        place = self._place(frame.pts or 0)",
        f"{_LENGTH}::test_a_run_grows_with_the_length",
    ),
    Mutant(
        60, "packets are counted back to their chunk's start", "pipelines/output/verification.py",
        "if pictures is not None and (full or number < chunk_start + SEAM_FRAMES):", "if pictures is not None and (full or sum(1 for _ in range(chunk_start, number)) < SEAM_FRAMES):",
        f"{_LENGTH}::test_a_run_grows_with_the_length[one]",
    ),
    Mutant(
        60, "kept times are objects", "pipelines/output/journal.py",
        'path, array("q", chunk.pts), *facts', "path, chunk.pts, *facts",
        f"{_LENGTH}::test_what_was_kept_is_held_as_numbers",
    ),
    Mutant(
        60, "numbered pictures are cut by seconds alone", "pipelines/plan/chunking.py",
        "            end = min(end, at + most_frames)", "            pass",
        f"{_LENGTH}::test_numbered_pictures_are_cut_by_their_bytes",
    ),
    Mutant(
        60, "a film is cut by bytes, too", "pipelines/planner/plan_builder.py",
        "if encoder.is_sequence else None\n    parts", "if encoder else None\n    parts",
        f"{_LENGTH}::test_a_film_is_not_cut_by_bytes",
    ),
    Mutant(
        60, "pictures take a bit a sample", "pipelines/planner/size_bound.py",
        "frame = _HEADERS * encoder.picture_bytes", "frame = pixels / 8",
        f"{_LENGTH}::test_numbered_pictures_are_cut_by_their_bytes",
    ),
    Mutant(
        45, "a finished result is not looked at", "pipelines/run/job.py",
        "if done is not None and look:", "if False:",
        f"{_FULL}::test_a_damaged_one_is_found_and_made_anew_on_request",
    ),
    Mutant(
        45, "the hash of a result is not compared", "pipelines/output/verification.py",
        "if sha256 and result_hash(path, plan) != sha256:", "if False:",
        f"{_FULL}::test_a_damaged_one_is_found_and_made_anew_on_request",
    ),
    Mutant(
        45, "frames of a finished result are not counted", "pipelines/output/verification.py",
        "    if shown != frames:\n        raise", "    if False:\n        raise",
        f"{_FULL}::test_a_report_without_a_hash_is_made_up_for_by_decoding[film]",
    ),
    Mutant(
        45, "pictures of a finished result are not read", "pipelines/output/verification.py",
        "    if plan.encoder.is_picture:\n        pattern = output_pattern(path, ", "    if plan.encoder.is_picture:\n        return\n        pattern = output_pattern(path,",
        f"{_FULL}::test_a_report_without_a_hash_is_made_up_for_by_decoding[pictures]",
    ),
    Mutant(
        82, "a training in minutes keeps its first estimate", "pipelines/training/trainer.py",
        "if self.peers is None and pace.correct(", "if False and pace.correct(",
        f"{_TRAIN}::test_the_minutes_are_used_up_whatever_the_first_estimate_was",
    ),
    Mutant(
        82, "a longer training forgets what it was before", "pipelines/training/length.py",
        "        self.parts.append([step, steps])\n", "        self.parts[:] = [[0, steps]]\n",
        f"{_TRAIN}::test_more_steps_go_on_with_the_same_bits_however_often_it_is_stopped",
    ),
    Mutant(
        82, "a torn line ends the training", "pipelines/training/training_log.py",
        "            with contextlib.suppress(ValueError):", "            with contextlib.suppress(KeyError):",
        f"{_DATA}::test_a_torn_log_does_not_stop_a_training",
    ),
    Mutant(
        82, "a log that can't be written is a bug", "pipelines/training/training_log.py",
        "        except OSError as error:", "        except MemoryError as error:",
        f"{_DATA}::test_a_log_that_can_t_be_written_is_an_error_of_the_disk",
    ),
    Mutant(
        82, "shards are known by their size", "pipelines/datasets/shards.py",
        'found.st_size == shard["bytes"] and _sha256(path, found.st_size, found.st_mtime_ns) == shard["sha256"]', 'found.st_size == shard["bytes"]',
        f"{_DATA}::test_a_shard_of_the_right_size_and_other_bits_is_refused",
    ),
    Mutant(
        82, "shards are not flushed", "pipelines/datasets/shards.py",
        "            os.fsync(file.fileno())\n            digest", "            digest",
        f"{_DATA}::test_a_shard_has_its_name_only_when_it_is_on_the_disk",
    ),
    Mutant(
        83, "mixed data sets teach what one of them holds out", "pipelines/datasets/shards.py",
        'if split == "train" and len(manifests) > 1 else {}', 'if split == "none" else {}',
        f"{_DATA}::test_what_one_data_set_holds_out_no_other_teaches",
    ),
    Mutant(
        83, "shots are held out by the share's own order", "pipelines/datasets/validation_split.py",
        'f"{fingerprint} {start}"', 'f"{fingerprint} {start} {share}"',
        f"{_DATA}::test_what_a_small_share_holds_out_a_larger_one_does_too",
    ),
    Mutant(
        84, "the level is that of frames before --prefilter", "pipelines/frames/level_estimator.py",
        "shown = prefiltered(around, prefilter, bits) if prefilter else around", "shown = around",
        "tests/pipelines/probe/test_restoration_level.py::test_what_a_prefilter_makes_of_the_frames_is_judged",
    ),
    Mutant(
        84, "the level is that of the pictures alone", "pipelines/probe/restoration_level.py",
        "if self._prefilter:", "if True:",
        "tests/pipelines/probe/test_quantisers.py::test_what_its_pictures_hide_a_film_tells_by_its_quantisers",
    ),
    Mutant(
        84, "quantisers count where a prefilter takes away what they did", "pipelines/probe/restoration_level.py",
        "if self._prefilter:", "if False:",
        "tests/pipelines/probe/test_quantisers.py::test_what_its_pictures_hide_a_film_tells_by_its_quantisers",
    ),
    Mutant(
        84, "one small picture is believed as a film is", "pipelines/probe/restoration_level.py",
        "film.level(looks, _ENOUGH_TILES) for", "film.level(looks) for",
        "tests/pipelines/probe/test_restoration_level.py::test_one_small_picture_is_too_little_to_be_sure",
    ),
    Mutant(
        84, "a level changes where it is not clearly another", "pipelines/probe/restoration_level.py",
        "_LEAST_STEP = 0.2", "_LEAST_STEP = 0.02",
        "tests/pipelines/probe/test_restoration_level.py::test_shots_of_one_source_have_one_level",
    ),
    Mutant(
        84, "a film is read through from where it was looked at last", "pipelines/probe/restoration_level.py",
        "(at or self._has_moved)", "at",
        "tests/pipelines/probe/test_restoration_level.py::"
        "test_a_film_of_two_sources_has_two_levels_that_meet_at_the_cut[few-key-frames]",
    ),
    Mutant(
        84, "a level changes at a key frame, not at the cut", "pipelines/probe/restoration_level.py",
        "_Look(cut, 0.0, [], [])", "_Look(looks[0].frame, 0.0, [], [])",
        "tests/pipelines/probe/test_restoration_level.py::"
        "test_a_film_of_two_sources_has_two_levels_that_meet_at_the_cut[here-and-there]",
    ),
    Mutant(
        84, "one damaged part does not count", "pipelines/planner/network_choice.py",
        "max(level for _, level in levels) < _RESTORED_FROM", "levels[0][1] < _RESTORED_FROM",
        "tests/pipelines/planner/test_video_planner.py::"
        "test_one_part_that_is_damaged_is_enough_for_a_network_that_restores",
    ),
    Mutant(
        84, "tiles of one level are taken over for the next", "pipelines/inference/shot_upscaler.py",
        "self.stills.forget()  # of another network", "pass",
        "tests/pipelines/inference/test_shot_upscaler.py::"
        "test_a_frame_has_the_level_of_its_shot_wherever_a_chunk_begins[whole]",
    ),
    Mutant(
        84, "clean sources are made crisp", "pipelines/settings/run_settings.py",
        "min(1.0, level / _CRISP_FROM_LEVEL)", "1.0",
        "tests/pipelines/planner/test_video_planner.py::"
        "test_networks_are_crisp_only_as_far_as_there_is_something_to_restore",
    ),
    Mutant(
        84, "all parts have the detail of the first", "pipelines/inference/shot_upscaler.py",
        "self._details.get(level, stage.detail)", "stage.detail",
        "tests/pipelines/inference/test_shot_upscaler.py::"
        "test_a_frame_has_the_level_of_its_shot_wherever_a_chunk_begins[whole]",
    ),
    Mutant(
        84, "the plan has one detail for all parts", "pipelines/planner/plan_builder.py",
        "tuple(details) if varied and len(set(details)) > 1 else ()", "()",
        "tests/pipelines/planner/test_video_planner.py::test_parts_have_the_detail_of_their_level",
    ),
    Mutant(
        84, "a level begins one frame late", "pipelines/inference/shot_upscaler.py",
        "bisect.bisect_right(self._starts, number)", "bisect.bisect_left(self._starts, number)",
        "tests/pipelines/inference/test_shot_upscaler.py::"
        "test_a_frame_has_the_level_of_its_shot_wherever_a_chunk_begins[whole]",
    ),
    Mutant(
        84, "frames of a chunk do not know their numbers", "pipelines/inference/temporal_windows.py",
        "0, number == first, number)", "0, number == first)",
        "tests/pipelines/run/test_shot_levels.py::"
        "test_every_frame_has_the_level_of_its_part_however_a_film_is_cut_into_chunks_and_ranges",
    ),
    Mutant(
        84, "a restoring network without crisp weights is taken before one that has them", "pipelines/planner/network_choice.py",
        " and c.crisp == is_crisp", "",
        "tests/pipelines/planner/test_video_planner.py::"
        "test_beyond_the_crisp_network_its_result_is_scaled_classically_up_to_twice[x3]",
    ),
    Mutant(
        84, "samples between two stages are rounded like those of a result", "pipelines/frames/plane_resizer.py",
        "_FINER_BITS = 6", "_FINER_BITS = 0",
        f"{_DIRECT}::test_integers_between_the_stages_are_the_long_way_in_floats",
    ),
    Mutant(
        84, "a plan does not say how it rounds between its stages", "pipelines/plan/plan.py",
        "        if self.is_direct and len(self.computed) > 1:\n", "        if False:\n",
        f"{_DIRECT}::test_plans_that_round_between_their_stages_say_so_and_others_keep_their_id",
    ),
    Mutant(
        84, "the layout of a result is not asked for before integers come between two stages", "pipelines/plan/plan.py",
        "                for card in networks\n            )\n            and self.keeps_layout\n",
        "                for card in networks\n            )\n",
        f"{_DIRECT}::test_plans_that_round_between_their_stages_say_so_and_others_keep_their_id",
    ),
    Mutant(
        84, "the second network takes finer samples for those of the source", "pipelines/inference/fused_cpu.py",
        "Packer(bits, full=full, dtype=dtype, finer=finer[0])", "Packer(bits, full=full, dtype=dtype)",
        f"{_DIRECT}::test_two_networks_and_a_scaler_are_the_long_way_in_floats",
    ),
    Mutant(
        84, "the last network gives finer samples than the result has", "pipelines/inference/upscaler.py",
        "* (len(networks) - 1), 0]", "* len(networks)]",
        f"{_DIRECT}::test_the_last_of_several_networks_gives_samples_of_the_result",
    ),
    Mutant(
        84, "a second network compares its input with the first one's", "pipelines/inference/upscaler.py",
        "TileCache() if number else self.stills", "self.stills",
        f"{_DIRECT}::test_every_network_takes_over_what_has_not_changed_before_it",
    ),
    Mutant(
        84, "a changed frame is resized as the one before", "pipelines/inference/upscaler.py",
        "if self._direct[-1].has_changed or self._resized is None:", "if self._resized is None:",
        f"{_DIRECT}::test_a_frame_that_has_not_changed_is_taken_over_and_one_that_has_is_not",
    ),
    Mutant(
        84, "samples of more bits are checked as if they had fewer", "pipelines/inference/output_checks.py",
        "some = made[::_EVERY] >> finer[1]", "some = made[::_EVERY]",
        f"{_DIRECT}::test_integers_between_the_stages_are_the_long_way_in_floats",
    ),
    Mutant(
        84, "rows of a band begin with what another one left", "pipelines/frames/plane_resizer.py",
        "ready = row_first[top]", "ready = row_first[top] + 1",
        "tests/pipelines/frames/test_plane_resizer.py::test_bits_do_not_depend_on_bands_and_threads",
    ),
    Mutant(
        84, "samples of 16 bits come from a GPU with a sign", "pipelines/inference/cuda/transfer_ring.py",
        "[_unsigned(buffer.numpy()) for", "[buffer.numpy() for",
        f"{_DIRECT}::test_a_device_with_frames_in_flight_gives_what_the_cpu_gives[yuv420p10le]",
    ),
    Mutant(
        84, "a scaler has no size where a GPU is tried", "pipelines/inference/arithmetic_trial.py",
        "max(1, rows * stage.height // above[0])", "rows * stage.card.scale",
        f"{_DIRECT}::test_a_gpu_is_tried_with_a_classical_scaler_behind_its_network",
    ),
    Mutant(
        84, "quantisers of 10 bits count as they are", "pipelines/probe/quantisers.py",
        "6 * (bits - 8)", "0 * (bits - 8)",
        "tests/pipelines/probe/test_quantisers.py::test_ten_bits_count_as_eight_do",
    ),
    Mutant(
        30, "chroma goes through networks without its middle", "pipelines/inference/cascade.py",
        "[plane + 0.5, neutral]", "[plane, neutral]",
        "tests/pipelines/inference/test_pixel_formats.py::test_full_chroma_goes_through_the_networks_plane_by_plane",
    ),
    Mutant(
        30, "even colour goes through networks", "pipelines/inference/cascade.py",
        "if (spare_flat or part.in_bar) and", "if part.in_bar and",
        "tests/pipelines/inference/test_pixel_formats.py::test_even_colour_is_not_worth_a_network",
    ),
    Mutant(
        30, "chroma that the result halves goes through networks", "pipelines/planner/plan_builder.py",
        "for p in (source, result)\n", "for p in (source,)\n",
        "tests/pipelines/planner/test_video_planner.py::"
        "test_full_chroma_goes_through_networks_where_the_result_has_it_and_the_plan_says_what_it_costs",
    ),
    Mutant(
        84, "unasked, pictures are judged as coded films, too", "pipelines/quality/evaluation.py",
        'pictures=bool(settings.cases) or case == "clean"', "pictures=True",
        "tests/pipelines/quality/test_metrics.py::test_films_without_options_are_judged_at_a_few_qualities_and_pictures_clean",
    ),
    Mutant(
        84, "means are over all items", "pipelines/quality/evaluation.py",
        "seen = self.counts.get(key, 0)", "seen = self.count",
        f"{_DATA}::test_a_mean_is_over_the_items_that_have_the_score",
    ),
    Mutant(
        84, "pictures are named by the file alone", "pipelines/diagnostics/preview.py",
        "while label.casefold() in {", "while False and label.casefold() in {",
        f"{_DATA}::test_files_of_one_name_get_pictures_of_their_own",
    ),
    Mutant(
        72, "a sequence's names must be text", "pipelines/media/image_sequence.py",
        "os.fsencode(self.path(number).name) +", "self.path(number).name.encode() +",
        f"{_DATA}::test_names_that_are_no_text_are_taken_as_they_are",
    ),
    Mutant(
        20, "side data does not travel", "pipelines/media/packet_reader.py",
        "        return (*self._lasting.items(), *own)", "        return ()",
        f"{_FACTS}::test_a_second_header_in_mid_stream_is_obeyed[in.flv-flv-False]",
    ),
    Mutant(
        20, "palettes do not travel", "pipelines/media/packet_reader.py",
        'LASTING_SIDE_DATA = ("new_extradata", "palette", "param_change")', 'LASTING_SIDE_DATA = ("new_extradata", "param_change")',
        f"{_FACTS}::test_palettes_and_their_changes_reach_the_decoder",
    ),
    Mutant(
        20, "only the packet that brings a header has it", "pipelines/media/packet_reader.py",
        "        return (*self._lasting.items(), *own)", "        return (*(self._lasting.items() if self.is_changed else ()), *own)",
        f"{_FACTS}::test_a_decoder_that_begins_behind_a_change_is_given_what_is_in_force",
    ),
    Mutant(
        20, "what the container decodes is not compared", "pipelines/codec/decoder.py",
        "expected != checksum(planes)", "False",
        f"{_FACTS}::test_frames_that_the_container_decodes_otherwise_are_refused",
    ),
    Mutant(
        20, "the container's decoder is never asked", "pipelines/run/chunk_tasks.py",
        "None if info.linear else ContainerDecoder", "None if True else ContainerDecoder",
        f"{_FACTS}::test_every_chunk_has_frames_that_the_container_decoded",
    ),
    Mutant(
        20, "counted frames are not compared", "pipelines/probe/frame_times.py",
        "        checks=tuple(seen.checks),\n", "",
        f"{_FACTS}::test_frames_known_by_order_are_compared_too",
    ),
    Mutant(
        20, "a changed colour passes", "pipelines/codec/mid_stream_changes.py",
        "        if before != after:", "        if False:",
        f"{_FACTS}::test_what_changes_in_mid_stream_is_refused_before_work[in.ts-mpegts-matrix]",
    ),
    Mutant(
        20, "a changed shape of samples passes", "pipelines/codec/mid_stream_changes.py",
        "if found.sar != first.sar and not", "if False and not",
        f"{_FACTS}::test_what_changes_in_mid_stream_is_refused_before_work[in.ts-mpegts-shape]",
    ),
    Mutant(
        20, "changed HDR metadata passes", "pipelines/codec/mid_stream_changes.py",
        '        return "the HDR metadata changes"', "        pass",
        f"{_FACTS}::test_other_codecs_in_a_broadcast_are_refused_alike[light]",
    ),
    Mutant(
        20, "a changed rotation passes", "pipelines/codec/mid_stream_changes.py",
        "        found.orientation is not None or alone\n", "        False\n",
        f"{_FACTS}::test_a_rotation_that_comes_later_is_refused",
    ),
    Mutant(
        20, "the probe says nothing of a change", "pipelines/planner/plan_checks.py",
        "        if plan.start_frame <= place < plan.stop_frame:", "        if False:",
        f"{_FACTS}::test_what_changes_in_mid_stream_is_refused_before_work[in.ts-mpegts-matrix]",
    ),
    Mutant(
        20, "a change outside the range counts", "pipelines/planner/plan_checks.py",
        "        if plan.start_frame <= place < plan.stop_frame:", "        if True:",
        f"{_FACTS}::test_a_range_before_the_change_is_made",
    ),
    Mutant(
        20, "workers look at no frame's facts", "pipelines/codec/decoder.py",
        "        change = self._changes.of(raw)", '        change = ""',
        f"{_FACTS}::test_a_worker_notices_what_no_header_says",
    ),
    Mutant(
        20, "a decoder's shape is taken for the frame's", "pipelines/codec/mid_stream_changes.py",
        "sar != first.sar and not _has_shape(raw, sar)", "False",
        f"{_FACTS}::test_what_changes_in_mid_stream_is_refused_before_work[in.ts-mpegts-shape]",
    ),
    Mutant(
        8, "hidden frames come out of the decoder", "pipelines/codec/decoder.py",
        "            if raw.pts is not None and raw.pts > _HIDDEN >> 1:", "            if False:",
        f"{_FACTS}::test_films_of_several_edits_show_what_ffmpeg_shows[libx264-back]",
    ),
    Mutant(
        8, "sound that an edit list skips is passed on", "pipelines/output/stream_copy.py",
        "        if packet.is_discard and now < self._last.get(packet.stream_index, now):", "        if False:",
        f"{_FACTS}::test_several_edits_come_out_of_a_run",
    ),
    Mutant(
        27, "the bitstream's shape comes first", "pipelines/probe/probe.py",
        "    sar = shape if setup.sar_of_container or facts is None else facts.sar", "    sar = facts.sar if facts is not None else shape",
        f"{_FACTS}::test_the_container_s_shape_comes_before_the_bitstream_s[film0-sar0]",
    ),
    Mutant(
        27, "a crop is looked for among all bytes of a header", "pipelines/media/chroma_siting.py",
        'at, _ = find_box(header, b"clap", entry + _VISUAL_ENTRY_BYTES, entry + size)', 'at = header.index(b"clap") - 4',
        "tests/pipelines/media/test_chroma_siting.py::test_a_crop_is_read_from_its_box_and_from_nothing_like_it",
    ),
    Mutant(
        27, "the container's crop is ignored", "pipelines/probe/probe.py",
        "if photo else container_crop(stream))", "if photo else PixelCrop())",
        f"{_FACTS}::test_what_the_container_crops_is_cut_off_and_said",
    ),
    Mutant(
        27, "a crop is said and not made", "pipelines/planner/frame_look.py",
        "return found, samples.info.crop, []", "return found, PixelCrop(), []",
        f"{_FACTS}::test_a_crop_reaches_the_result",
    ),
    Mutant(
        24, "a tile is taken for the photo", "pipelines/probe/stream_choice.py",
        "    if tiles and not any(", "    if False and not any(",
        f"{_PHOTOS}::test_what_is_no_whole_photo_is_refused_and_never_one_tile_taken",
    ),
    Mutant(
        24, "a photo's thumbnail is taken for it", "pipelines/probe/stream_choice.py",
        "not any(s.disposition & Disposition.default for s in films)", "not films",
        f"{_PHOTOS}::test_what_is_no_whole_photo_is_refused_and_never_one_tile_taken",
    ),
    Mutant(
        30, "grey goes round the classical scaler", "pipelines/inference/cascade.py",
        "        if network.classical:\n            return",
        "        if network.classical and picture.chroma is not None:\n            return",
        f"{_PIXELS}::test_every_kind_of_pixels_goes_through_every_class_of_network[gray]",
    ),
    Mutant(
        30, "chroma is half as wide as luma, or as wide", "pipelines/inference/cascade.py",
        "sub = 1 << self._source.sub_y, 1 << self._source.sub_x",
        "sub = 1 << min(1, self._source.sub_y), 1 << min(1, self._source.sub_x)",
        f"{_PIXELS}::test_boxes_that_overshoot_and_half_the_strength_are_right_for_every_kind_of_pixels[yuv411p]",
    ),
    Mutant(
        30, "chroma of four luma samples lies where that of two does", "pipelines/plan/color_tags.py",
        "(2 * s * (1 - 1 / n) for s, n in",
        "(s * (n > 1) for s, n in",
        f"{_PIXELS}::test_every_kind_of_pixels_goes_through_every_class_of_network[yuv411p]",
    ),
    Mutant(
        26, "turned planes are subsampled as they were stored", "pipelines/inference/cascade.py",
        "sub[::-1] if self._plan.orientation.transpose else sub",
        "sub",
        f"{_PIXELS}::test_chroma_is_turned_with_its_picture[yuv422p]",
    ),
    Mutant(
        26, "turned planes that no network works on keep their chroma where it was", "pipelines/inference/upscaler.py",
        "not (turned and (fmt.sub_x or fmt.sub_y))",
        "True",
        f"{_PIXELS}::test_chroma_is_turned_with_its_picture[yuv422p]",
    ),
    Mutant(
        26, "mirrored chroma of an odd side is taken for that of an even one", "pipelines/plan/color_tags.py",
        "return -siting - beyond / (2 * (sub - 1)) if beyond else -siting",
        "return -siting",
        f"{_TURNED}::test_colour_stays_where_it_was_however_a_frame_is_turned_and_sited[lanczos-2-yuv420p16le]",
    ),
    Mutant(
        30, "chroma beside an odd side of luma is stretched to it", "pipelines/inference/cascade.py",
        "out_offset=offset, ratios=ratios",
        "out_offset=offset",
        f"{_TURNED}::test_colour_stays_where_it_was_however_a_frame_is_turned_and_sited[lanczos-2.5-yuv410p]",
    ),
    Mutant(
        30, "chroma beside an odd side of luma is stretched with it", "models/layers/resampling.py",
        "offset=offset, ratios=(down, across)",
        "offset=offset",
        f"{_TURNED}::test_colour_stays_where_it_was_however_a_frame_is_turned_and_sited[lanczos-2.5-yuv410p]",
    ),
    Mutant(
        12, "pictures without a time of their own are not given one", "pipelines/probe/frame_times.py",
        "if some_lack_one and 0 <",
        "if False and 0 <",
        f"{_PROBE}::test_pictures_of_a_recording_without_a_time_of_their_own_get_the_one_they_have_by_the_rate",
    ),
    Mutant(
        12, "times of packets are believed where some have none", "pipelines/probe/frame_times.py",
        "if NO_PTS in shown:",
        "if False:",
        f"{_PROBE}::test_pictures_of_a_recording_without_a_time_of_their_own_get_the_one_they_have_by_the_rate",
    ),
    Mutant(
        30, "an animated AVIF is one picture", "pipelines/planner/frame_look.py",
        "path.suffix.lower() in PHOTO_CONTAINERS and info.frame_count == 1",
        "path.suffix.lower() in PHOTO_CONTAINERS",
        f"{_LOOK}::test_an_animated_avif_is_a_film_and_its_alpha_is_said_to_be_left_out",
    ),
    Mutant(
        30, "alpha of an animated AVIF is a track of its own", "pipelines/planner/plan_checks.py",
        "in PHOTO_CONTAINERS and info.frame_count > 1",
        "in PHOTO_CONTAINERS and info.frame_count < 1",
        f"{_LOOK}::test_an_animated_avif_is_a_film_and_its_alpha_is_said_to_be_left_out",
    ),
    Mutant(
        30, "pictures one behind the other become one file", "pipelines/planner/frame_look.py",
        "if info.is_picture and info.frame_count > 1:",
        "if False:",
        f"{_LOOK}::test_pictures_one_behind_the_other_in_a_file_are_no_picture",
    ),
    Mutant(
        30, "gain maps are lost without a word", "pipelines/probe/first_frames.py",
        'if codec == "mjpeg" and (more',
        'if codec == "" and (more',
        f"{_LOOK}::test_images_behind_the_first_one_of_a_jpeg_are_reported",
    ),
    Mutant(
        30, "alpha of a film copied to another container is lost without a word", "pipelines/probe/probe.py",
        '("alpha_mode", "ALPHA_MODE")',
        '("alpha_mode",)',
        f"{_LOOK}::test_alpha_is_reported_in_a_film_that_was_copied_to_another_container",
    ),
    Mutant(
        59, "the coarsest quality shows other pictures", "pipelines/output/picture_verification.py",
        "coarseness=plan.encoder.coarseness", "coarseness=0.0",
        f"{_PIXELS_RUN}::test_the_coarsest_quality_is_not_taken_for_other_pictures",
    ),
    Mutant(
        84, "a source with odd sides is compared with more than it shows", "pipelines/quality/paired_reader.py",
        "length = min(read[number][axis], _even(unit * read[smallest][axis]))", "length = read[number][axis]",
        "tests/pipelines/quality/test_comparison.py"
        "::test_a_source_with_odd_sides_is_compared_with_the_same_part_of_its_upscale",
    ),
    Mutant(
        1, "Matroska files have random identifiers", "pipelines/containers/container_support.py",
        '{"fflags": "+bitexact"}', "{}",
        f"{_TRACKS}::test_the_whole_file_with_all_its_tracks_has_the_same_bytes_every_time[.mkv]",
    ),
    Mutant(
        59, "the coarsest quality shows whatever it likes", "pipelines/frames/thumbnail.py",
        "(1 + (_COARSEST - 1) * coarseness)", "(1 + 99 * coarseness)",
        f"{_PIXELS_RUN}::test_another_picture_is_noticed_in_the_coarsest_quality_too",
    ),
    Mutant(
        51, "a result that lost a picture is said to be another", "pipelines/run/publishing.py",
        "not set(plan.numbers) <= set(pattern.numbers())", "False",
        "tests/pipelines/run/test_nothing_lost.py::test_a_result_that_lost_a_picture_is_not_said_to_be_another",
    ),
    Mutant(
        15, "text that rolls is taken for fields", "pipelines/interlacing/field_evidence.py",
        "if share == SHARE and _vertical_motion_contradicts(film, order):", "if False:",
        f"{_SCAN}::test_vertical_motion_of_whole_frames_outweighs_what_little_else_moves",
    ),
    Mutant(
        15, "telecined vertical motion is taken for whole frames", "pipelines/interlacing/field_evidence.py",
        "if share == SHARE and _vertical_motion_contradicts(film, order):", "if _vertical_motion_contradicts(film, order):",
        f"{_SCAN}::test_vertical_motion_of_whole_frames_outweighs_what_little_else_moves",
    ),
    Mutant(
        15, "fields in a part of the image are not found", "pipelines/interlacing/field_evidence.py",
        "or (strictness == 1 and _both_agree_in_part(film, order))", "or False",
        f"{_SCAN}::test_part_of_the_picture_is_enough_where_votes_and_phase_agree_far_from_chance",
    ),
    Mutant(
        15, "fields in any part of the image are enough", "pipelines/interlacing/field_evidence.py",
        "and shows.sum() >= max(_AGREEING_CELLS, _AGREEING_PART * moves.sum())", "",
        f"{_SCAN}::test_part_of_the_picture_is_enough_where_votes_and_phase_agree_far_from_chance",
    ),
    Mutant(
        15, "a wrong field order is believed where little moves", "pipelines/interlacing/scan_detection.py",
        "if shown != flag and shows_order(film, shown):", "if False:",
        f"{_SCAN}::test_the_order_of_flagged_fields_takes_less_than_fields_without_a_flag",
    ),
    Mutant(
        15, "a field order is believed by chance", "pipelines/interlacing/field_evidence.py",
        "and apart.sum() >= (_ORDER_SURE if is_voted else _ORDER_SURE_ALONE) * np.sqrt(film.spread.sum())", "",
        f"{_SCAN}::test_the_order_of_flagged_fields_takes_less_than_fields_without_a_flag",
    ),
    Mutant(
        15, "vertical motion is no doubt", "pipelines/interlacing/scan_detection.py",
        "else order_of_vertical_motion(film)", "else None",
        f"{_SCAN}::test_vertical_motion_alone_is_a_doubt",
    ),
    Mutant(
        15, "vertical motion is a doubt though the rest is whole", "pipelines/interlacing/field_evidence.py",
        "and (across_alike <= _DOWN_ALONE * total or across >= 2 * _PHASE * across_alike)", "",
        f"{_SCAN}::test_vertical_motion_alone_is_a_doubt",
    ),
    Mutant(
        15, "noise that is flagged as interlaced needs a smaller error", "pipelines/interlacing/field_evidence.py",
        "apart + error <= 2 * _WHOLE_REACH * alike", "apart + error <= 2 * _WHOLE_PHASE * alike",
        f"{_SCAN}::test_whole_frames_without_a_vote_are_known_by_the_phase_of_all_blocks",
    ),
    Mutant(
        15, "an uncertain phase is that of whole frames", "pipelines/interlacing/field_evidence.py",
        "and apart + error <= 2 * _WHOLE_REACH * alike", "",
        f"{_SCAN}::test_whole_frames_without_a_vote_are_known_by_the_phase_of_all_blocks",
    ),
    Mutant(
        15, "a few votes by chance are a field order", "pipelines/interlacing/field_evidence.py",
        "(is_even or is_chance) and _pool", "is_even and _pool",
        f"{_SCAN}::test_whole_frames_without_a_vote_are_known_by_the_phase_of_all_blocks",
    ),
    Mutant(
        15, "a field order is believed against the votes", "pipelines/interlacing/field_evidence.py",
        "(is_voted or for_it >= against)", "True",
        f"{_SCAN}::test_the_order_of_flagged_fields_takes_less_than_fields_without_a_flag",
    ),
    Mutant(
        30, "the strength leaves chroma alone", "pipelines/inference/cascade.py",
        "torch.lerp(plane, made.chroma, strength)",
        "made.chroma",
        f"{_PIXELS}::test_boxes_that_overshoot_and_half_the_strength_are_right_for_every_kind_of_pixels[yuv420p]",
    ),
    Mutant(
        30, "five bits a colour are shifted to eight", "pipelines/codec/decoder.py",
        "    if _WORD.fullmatch(name):", "    if False:",
        f"{_PIXELS_RUN}::test_white_in_a_word_a_pixel_stays_white",
    ),
    Mutant(
        30, "floats of a pixel that lie side by side are one plane", "pipelines/codec/decoder.py",
        '    places = _SIDE_BY_SIDE.get(name.partition("f")[0] + "f", ())', "    places = ()",
        "tests/pipelines/codec/test_linear_light.py::test_grey_light_keeps_its_alpha",
    ),
    Mutant(
        30, "alpha of grey light has a curve", "pipelines/codec/decoder.py",
        "    alpha = {2: 1, 4: 3}.get(len(stored))", "    alpha = 3",
        "tests/pipelines/codec/test_linear_light.py::test_grey_light_keeps_its_alpha",
    ),
    Mutant(
        30, "big-endian floats are read as little-endian", "pipelines/codec/decoder.py",
        '(">" if name.endswith("be") else "<") + ("f2"', '("<") + ("f2"',
        "tests/pipelines/codec/test_linear_light.py::test_floats_are_read_however_they_are_stored",
    ),
    Mutant(
        30, "R'G'B' becomes Y'CbCr in FFV1", "pipelines/encoders/pixel_format_choice.py",
        '_KEEPS_RGB = frozenset({"ffv1"})',
        "_KEEPS_RGB: frozenset[str] = frozenset()",
        f"{_PIXELS_RUN}::test_rgb_stays_rgb_in_ffv1",
    ),
    Mutant(
        30, "packed R'G'B' is none of FFV1's formats", "pipelines/encoders/pixel_format_choice.py",
        " | {\n            planar for encoder, planar in PACKED if encoder == name\n        }",
        "",
        f"{_PIXELS_RUN}::test_rgb_stays_rgb_in_ffv1[gbrp-ffv1-bgr0]",
    ),
    Mutant(
        30, "R'G'B' becomes Y'CbCr without a word", "pipelines/encoders/pixel_format_choice.py",
        'if source.family == "rgb" and target.family == "yuv" and not encoder.is_picture:',
        "if False:",
        f"{_PIXELS_RUN}::test_rgb_that_becomes_yuv_is_said",
    ),
    Mutant(
        30, "grey loses its alpha", "pipelines/encoders/encoder_options.py",
        'if source.family == "gray" and source.alpha and name in {"png", "tiff"}:',
        "if False:",
        f"{_PIXELS_RUN}::test_grey_keeps_its_alpha_where_the_result_can_hold_it_and_loses_it_with_a_word[ya8]",
    ),
    Mutant(
        30, "grey pictures keep limited range", "pipelines/plan/color_tags.py",
        'if target.family == "gray" and encoder.is_picture:',
        "if False:",
        f"{_PIXELS_RUN}::test_limited_grey_has_its_black_at_zero_in_a_picture",
    ),
    Mutant(
        30, "grey wants a matrix", "pipelines/output/verification.py",
        'found[0] if promised.family == "gray" else color.matrix',
        "color.matrix",
        f"{_PIXELS_RUN}::test_a_grey_film_goes_into_every_codec[h264]",
    ),
    Mutant(
        18, "a single picture is not looked at", "pipelines/output/verification.py",
        'check_picture(path, plan, records[0].thumbnails, 0, "the picture")',
        'read_picture(path, plan, "the picture")',
        f"{_PIXELS_RUN}::test_a_wrong_picture_is_noticed_single_or_numbered_bright_or_dim[gray-out.png-1.0]",
    ),
    Mutant(
        18, "dim pictures all look alike", "pipelines/frames/thumbnail.py",
        "(not is_clipped and deviation > _FLAT and bent > limit)",
        "False",
        f"{_PIXELS_RUN}::test_a_wrong_picture_is_noticed_single_or_numbered_bright_or_dim[gray-out.png-0.15]",
    ),
    Mutant(
        18, "dithered pictures are held to the contrast of others", "pipelines/output/picture_verification.py",
        "texture=texture, is_clipped=is_clipped", "is_clipped=is_clipped",
        f"{_TEXTURES}::test_a_right_upscale_of_fine_texture_is_not_refused[two thirds]",
    ),
    Mutant(
        18, "any contrast passes", "pipelines/frames/thumbnail.py",
        "min(max(contrast, 1 - freedom / 2), 1 + freedom / 2)", "contrast",
        f"{_TEXTURES}::test_a_wrong_picture_is_noticed_however_fine_its_texture[grey-dithered ramp]",
    ),
    Mutant(
        30, "a grey picture gets three components", "pipelines/encoders/encoder_options.py",
        'pix_fmt = "gray" if source.family == "gray" else pix_fmt', "pass",
        f"{_GREY_JPEG}::test_a_grey_picture_becomes_a_grey_jpeg[gray-out.jpg]",
    ),
    Mutant(
        30, "bytes of ones in a grey JPEG look like markers", "pipelines/codec/grey_jpeg.py",
        'self._done.append(data[:whole].replace(b"\\xff", b"\\xff\\0"))', "self._done.append(data[:whole])",
        f"{_GREY_JPEG}::test_bytes_of_ones_are_no_markers",
    ),
    Mutant(
        30, "each part of a grey JPEG begins from nothing", "pipelines/codec/grey_jpeg.py",
        "last = int(blocks[-1, 0])", "last = 0",
        f"{_GREY_JPEG}::test_every_size_is_written_whole",
    ),
    Mutant(
        101, "a refused target leaves a work directory", "pipelines/run/job.py",
        "is_refused = self.journal.is_empty", "is_refused = False",
        "tests/pipelines/run/test_crf_search.py::test_what_can_not_be_reached_is_refused_with_what_can",
    ),
    Mutant(
        85, "levels that no network takes are ignored", "vsr/cli/options.py",
        "            _refuse_without_effect(name, settings)", "            pass",
        "tests/vsr/cli/test_options.py::test_a_level_that_no_network_takes_is_refused",
    ),
    Mutant(
        30, "palettes and CMYK have alpha", "pipelines/probe/probe.py",
        "opaque=opaque,", "opaque=False,",
        f"{_OPAQUE}::test_what_has_no_alpha_gets_none[in.png-palette-False]",
    ),
    Mutant(
        30, "every palette is opaque", "pipelines/probe/opaque_files.py",
        'return pix_fmt == "pal8" and not any(_png_has_alpha(_head(file)) for file in files)',
        'return pix_fmt == "pal8"',
        f"{_OPAQUE}::test_what_has_no_alpha_gets_none[in.png-palette with transparency-True]",
    ),
    Mutant(
        30, "a lossless WebP is coded with loss", "pipelines/encoders/encoder_options.py",
        "if target.lossless_webp:", "if False:",
        f"{_OPAQUE}::test_a_lossless_webp_stays_so[RGB]",
    ),
    Mutant(
        9, "hidden sound moves the whole film in Matroska", "pipelines/output/track_shift.py",
        's.priming == "hidden" and s.begins < shift', "False",
        f"{_ASSEMBLE}::test_sound_that_an_edit_list_hides_before_0_keeps_its_time_in_matroska[sar0]",
    ),
    Mutant(
        9, "chapters stay where they were", "pipelines/output/muxer.py",
        "if window is None and not shift:", "if window is None:",
        f"{_ASSEMBLE}::test_a_film_that_begins_before_0_moves_its_chapters_with_it[.mkv]",
    ),
    Mutant(
        9, "an output that starts at 0 is held against the clock", "pipelines/quality/paired_reader.py",
        'later = self._later(number) if align == "pts" else Fraction(0)', "later = Fraction(0)",
        f"{_COMPARISON}::test_what_was_made_of_a_recording_is_compared_from_its_start[True]",
    ),
    Mutant(
        9, "without a report a recording's clock is a fault", "pipelines/quality/paired_reader.py",
        "later, why = apart if is_same else later,", "later, why = later,",
        f"{_COMPARISON}::test_what_was_made_of_a_recording_is_compared_from_its_start[False]",
    ),
    Mutant(
        18, "an output without bars is stretched", "pipelines/quality/paired_reader.py",
        "self._crop = self._crop_made()", "self._crop = None",
        f"{_COMPARISON}::test_an_output_without_black_bars_is_compared_with_what_it_was_made_of",
    ),
    Mutant(
        18, "another shape is no mismatch", "pipelines/quality/paired_reader.py",
        'self.findings.append(Misaligned("shape", name, 0, shape))', "self.notes.append(shape)",
        f"{_COMPARISON}::test_another_shape_of_samples_is_no_other_shape_of_the_image",
    ),
    Mutant(
        18, "brightness is weighted by whatever matrix the planes have", "pipelines/frames/thumbnail.py",
        "own is not None and own != wanted",
        "False",
        f"{_PIXELS_RUN}::test_thumbnails_are_of_one_luma_whatever_the_planes_are",
    ),
    Mutant(
        18, "cells of odd sizes end at whole rows", "pipelines/frames/thumbnail.py",
        "    if part.any():\n        shared = plane",
        "    if False:\n        shared = plane",
        f"{_PIXELS_RUN}::test_stripes_of_any_period_have_the_thumbnail_of_their_upscale",
    ),
    Mutant(
        18, "brightness is taken for a mix-up", "pipelines/workers/frame_order_check.py",
        "shape, *shapes = (t - mean for",
        "shape, *shapes = (t - 0 * mean for",
        f"{_PIXELS_RUN}::test_a_network_that_moves_brightness_a_little_is_not_taken_for_a_mix_up_in_a_fade",
    ),
    Mutant(
        18, "flashes are not told apart", "pipelines/workers/frame_order_check.py",
        " or (moved > self._MOVED and moved > self._RATIO * nearer)",
        "",
        f"{_PIXELS_RUN}::test_a_mix_up_is_noticed_in_motion_fades_and_flashes_though_brightness_moves[flashing-swapped-0]",
    ),
    Mutant(
        15, "a result is compared with one field of two that were woven", "pipelines/workers/frame_order_check.py",
        "cells = following if shown is frame else self._small(shown)",
        "cells = following",
        f"{_PIXELS_RUN}::test_a_strobe_of_whole_fields_is_not_taken_for_a_wrong_picture[lanczos-auto]",
    ),
    Mutant(
        57, "tiles are no sign of life", "pipelines/inference/tile_threads.py",
        "                made = work(one)\n                self.done += 1",
        "                made = work(one)",
        f"{_PULSE}::test_every_tile_counts[1]",
    ),
    Mutant(
        57, "tiles side by side are no sign of life", "pipelines/inference/tile_threads.py",
        "                made = future.result()\n                self.done += 1",
        "                made = future.result()",
        f"{_PULSE}::test_every_tile_counts[2]",
    ),
    Mutant(
        57, "layers of a large network are no sign of life", "pipelines/inference/upscaler.py",
        "layer.register_forward_hook(count)",
        "pass",
        f"{_WORKER}::test_a_large_network_that_sees_a_whole_frame_at_once_counts_its_layers",
    ),
    Mutant(
        57, "an encoder that drains gives no sign of life", "pipelines/codec/encoder.py",
        "                packet.stream = muxer.stream\n                _keep(muxer, packet, pts, carried, encoder, hdr)\n                step()",
        "                packet.stream = muxer.stream\n                _keep(muxer, packet, pts, carried, encoder, hdr)",
        f"{_PULSE}::test_every_packet_counts_also_while_the_encoder_drains",
    ),
    Mutant(
        57, "a child does not tell its worker's pulse", "pipelines/pool/child_process.py",
        "            if now != told:",
        "            if False:",
        f"{_LOCAL}::test_a_child_that_gets_on_in_silence_is_waited_for",
    ),
    Mutant(
        57, "a pulse that stands still is told", "pipelines/pool/child_process.py",
        "            if now != told:",
        "            if True:",
        f"{_PULSE}::test_a_pulse_that_stands_still_is_not_reported",
    ),
    Mutant(
        57, "a driver does not ask for a pulse", "pipelines/cluster/hang_detector.py",
        "if a.silent > SILENCE_SECONDS / _PULSES and not a.asked]",
        "if False]",
        f"{_CLUSTER}::test_a_worker_that_gets_on_in_silence_is_waited_for",
    ),
    Mutant(
        57, "any answer is a pulse", "pipelines/cluster/scheduler.py",
        "if pulse is not None and pulse != actor.pulse:",
        "if pulse is not None:",
        "tests/pipelines/cluster/test_scheduler.py::test_only_a_pulse_that_moved_on_ends_the_silence",
    ),
    Mutant(
        85, "an infinite chunk is a chunk", "pipelines/settings/run_settings.py",
        "(self.chunk_seconds > 0 and math.isfinite(self.chunk_seconds)),", "(self.chunk_seconds > 0),",
        f"{_USAGE}::test_numbers_that_are_none_or_beyond_all_measure_are_refused",
    ),
    Mutant(
        85, "a CRF beyond the scale waits for a film", "pipelines/settings/run_settings.py",
        "refuse_crf(self.crf, self.codec, self.encoder)", "pass",
        "tests/pipelines/settings/test_run_settings.py::test_what_no_encoder_takes_is_refused_before_any_film_is_looked_at",
    ),
    Mutant(
        84, "a part of a film has the level of the film's beginning", "pipelines/plan/plan.py",
        "(place for place in levels if place[0] <= start), default=levels[0])", "levels[:1])",
        "tests/pipelines/planner/test_video_planner.py::test_a_part_of_a_film_gets_the_network_and_the_levels_it_has_in_the_whole_film",
    ),
    Mutant(
        85, "a denominator of 0 is divided by", "pipelines/settings/option_values.py",
        "if match is None or not int(match[2] or 1):", "if match is None:",
        f"{_USAGE}::test_numbers_that_are_none_or_beyond_all_measure_are_refused",
    ),
    Mutant(
        85, "sides may have any number of digits", "pipelines/settings/option_values.py",
        "all(side.isdecimal() and len(side) <= _MOST_DIGITS for side", "all(side.isdecimal() for side",
        f"{_USAGE}::test_numbers_that_are_none_or_beyond_all_measure_are_refused",
    ),
    Mutant(
        85, "what an encoder does not know is passed over", "pipelines/codec/encoder.py",
        "    if unknown:\n", "    if False:\n",
        f"{_USAGE}::test_options_and_presets_an_encoder_does_not_know_are_refused",
    ),
    Mutant(
        85, "what libraries log of their parameters is passed over", "pipelines/codec/encoder.py",
        "if (found := _PASSED_OVER.search(text))", "if (found := None)",
        f"{_USAGE}::test_options_and_presets_an_encoder_does_not_know_are_refused",
    ),
    Mutant(
        85, "names may be longer than a file system takes", "pipelines/plan/output_names.py",
        "    except (FileNotFoundError, NotADirectoryError):", "    except OSError:",
        f"{_USAGE}::test_a_name_that_no_file_can_have_is_refused",
    ),
    Mutant(
        85, "a name that means no file is found when its turn comes", "pipelines/run/inputs.py",
        "    _refuse_missing(given)\n", "",
        "tests/vsr/cli/test_options.py::test_a_name_among_several_that_means_no_file_is_refused_before_any_work",
    ),
    Mutant(
        85, "a folder that can't be listed is passed over", "pipelines/run/inputs.py",
        "os.walk(folder, onerror=refuse)", "os.walk(folder)",
        f"{_USAGE}::test_a_folder_that_can_t_be_listed_is_refused_not_passed_over",
    ),
    Mutant(
        85, "a file called doctor switches a check off", "vsr/cli/main.py",
        'if context.invoked_subcommand != "doctor":', 'if "doctor" not in sys.argv and context.invoked_subcommand is None:',
        f"{_USAGE}::test_a_file_called_like_a_command_switches_no_check_off",
    ),
    Mutant(
        85, "inputs of two kinds share a folder", "vsr/views/run_summary.py",
        "    except ValueError:", "    except KeyError:",
        f"{_USAGE}::test_absolute_and_relative_inputs_go_together",
    ),
    Mutant(
        85, "the table's speed counts frames of earlier runs", "vsr/views/run_summary.py",
        "round(event.fps, 3)", "round(event.frames / event.seconds, 3)",
        "tests/vsr/views/test_run_summary.py::test_the_speed_counts_only_frames_that_this_call_made",
    ),
    Mutant(
        85, "a short run is reported as a speed", "vsr/views/text.py",
        "if seconds >= _START_SECONDS else", "if seconds >= 0 else",
        "tests/vsr/views/test_run_summary.py::test_work_that_is_mostly_startup_is_reported_in_seconds",
    ),
    Mutant(
        85, "only the pattern itself is kept from being replaced", "pipelines/planner/container_choice.py",
        "([source] if given is None else map(given.path, given.numbers()))", "[source]",
        f"{_USAGE}::test_no_result_replaces_one_of_the_numbered_pictures_it_is_made_from",
    ),
    Mutant(
        87, "text is printed as it came", "vsr/views/text.py",
        'return _NOT_PRINTABLE.sub("\\ufffd", text)', "return text",
        f"{_TERMINAL}::test_no_command_prints_what_a_terminal_would_obey",
    ),
    Mutant(
        87, "a bar's label is printed as it came", "vsr/views/progress.py",
        "self._label = printable(label)", "self._label = label",
        f"{_TERMINAL}::test_a_bar_shows_notes_and_labels_as_plain_text",
    ),
    Mutant(
        80, "a password ends at its first @", "models/errors.py",
        "([^/\\s]+@)?", "([^/\\s@]+@)?",
        "tests/models/test_errors.py::test_logins_and_signatures_in_addresses_are_left_out",
    ),
    Mutant(
        69, "web servers are listed", "pipelines/storage/object_store.py",
        'if self._scheme == "https":', "if False:",
        f"{_STORE}::test_folders_of_web_servers_are_refused",
    ),
    Mutant(
        69, "a file of unknown length is empty", "pipelines/storage/object_store.py",
        "return None if size is None else int(size), mark", "return int(size or 0), mark",
        f"{_STORE}::test_a_film_whose_length_a_server_does_not_tell_is_fetched_whole",
    ),
    Mutant(
        86, "quotas of containers count for nothing", "pipelines/hardware/resources.py",
        "max(1, min([visible, *shares]))", "visible",
        f"{_RESOURCES}::test_cores_are_the_quota_of_the_container_where_it_is_less",
    ),
    Mutant(
        86, "Ray's store is as small as Docker's /dev/shm", "pipelines/cluster/ray_session.py",
        "if room >= _LEAST_STORE_BYTES:", "if True:",
        f"{_SESSION}::test_ray_s_store_is_never_smaller_than_ray_takes",
    ),
    Mutant(
        86, "Ray's logger stays silent for good", "pipelines/cluster/ray_session.py",
        "        logger.setLevel(level)\n", "",
        f"{_SESSION}::test_a_session_that_fails_leaves_logging_and_ray_as_they_were",
    ),
    Mutant(
        27, "the shape of a sample is left to the bitstream", "pipelines/output/muxer.py",
        "shaped.codec_context.sample_aspect_ratio = plan.sar", "pass",
        f"{_SHAPE}::test_every_codec_keeps_the_shape_of_a_sample",
    ),
    Mutant(
        27, "FFmpeg's muxer is left to write no shape", "pipelines/output/muxer.py",
        "    if has_shape or delayed:\n", "    if delayed:\n",
        f"{_SHAPE}::test_matroska_tells_the_shape_of_a_sample_where_the_bitstream_does_not[ffv1-out.mkv-sar2]",
    ),
    Mutant(
        27, "the unit of a missing shape stays", "pipelines/containers/matroska_shape.py",
        "{_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT}", "{_DISPLAY_WIDTH, _DISPLAY_HEIGHT}",
        f"{_SHAPE}::test_the_shape_of_a_matroska_track_takes_no_other_place",
    ),
    Mutant(
        27, "a small picture's shape is rounded", "pipelines/containers/matroska_shape.py",
        "    if shown_width.denominator != 1 and max(width, height) < _SMALL:", "    if False:",
        f"{_SHAPE}::test_the_shape_of_a_matroska_track_takes_no_other_place",
    ),
    Mutant(
        27, "the old checksum of the tracks stays", "pipelines/containers/matroska_shape.py",
        '_element(_CRC, zlib.crc32(body).to_bytes(4, "little"))', "tracks[:6]",
        f"{_SHAPE}::test_the_shape_of_a_matroska_track_takes_no_other_place",
    ),
    Mutant(
        27, "ProRes is given full range", "pipelines/plan/color_tags.py",
        "color = replace(color, range=int(Range.LIMITED))\n", "pass\n",
        f"{_SHAPE}::test_full_range_becomes_limited_for_prores_and_that_is_said",
    ),
    Mutant(
        63, "what follows the last box is damage", "pipelines/file_parsing/container_check.py",
        'at_the_end={b"moov", b"mdat"} <= kinds and b"moof" not in kinds', "at_the_end=False",
        f"{_CUT}::test_what_a_camera_writes_behind_the_last_box_is_no_damage",
    ),
    Mutant(
        63, "what follows a fragment is no damage", "pipelines/file_parsing/container_check.py",
        ' and b"moof" not in kinds', "",
        f"{_CUT}::test_what_a_camera_writes_behind_the_last_box_is_no_damage",
    ),
    Mutant(
        29, "keys of any name are left out", "pipelines/containers/container_support.py",
        "keys = ANY_KEYS if not covers", 'keys = "" if not covers',
        f"{_TAGS}::test_keys_of_any_name_and_names_of_tracks_are_kept",
    ),
    Mutant(
        29, "a track's name is left out", "pipelines/containers/container_tags.py",
        '"title" if key == "name" and "title" not in tags else key', "key",
        f"{_TAGS}::test_keys_of_any_name_and_names_of_tracks_are_kept",
    ),
    Mutant(
        29, "lost tags are not said", "pipelines/planner/plan_checks.py",
        "    lost = lost_tags(info, container, set(left_out))\n", "    lost: list[str] = []\n",
        f"{_TAGS}::test_tags_that_a_container_can_not_hold_are_said_before_work",
    ),
    Mutant(
        29, "a result goes where its tracks do not fit", "pipelines/planner/container_choice.py",
        "    if not others or not first.lost:\n", "    if True:\n",
        f"{_TAGS}::test_a_result_goes_where_every_track_fits_and_that_is_said",
    ),
    Mutant(
        76, "screen recordings are exotic", "pipelines/media/demuxer.py",
        '"zmbv", "flashsv", "msvideo1", "fraps", "lagarith"', '"fraps"',
        "tests/vsr/cli/test_screen_recordings.py::test_recordings_of_screens_are_read",
    ),
    Mutant(
        31, "samples have at least eight bits", "pipelines/interlacing/field_motion.py",
        "2.0 ** (8 - bits)", "1 / (1 << (bits - 8))",
        "tests/vsr/cli/test_screen_recordings.py::test_recordings_of_screens_are_read",
    ),
    Mutant(
        66, "JPEG has the encoder's own quality", "pipelines/encoders/encoder_options.py",
        '{**_quantiser(2), "huffman"', '{"huffman"',
        "tests/pipelines/codec/test_encoder.py::test_quality_that_a_preset_promises_reaches_the_encoder",
    ),
    Mutant(
        63, "an MP4 without its index is any file", "pipelines/file_parsing/container_check.py",
        'and not {b"moov", b"moof", b"meta"} & {', "and False & {",
        f"{_CUT}::test_a_recording_that_ended_before_its_index_is_named_as_such_with_what_helps",
    ),
    Mutant(
        23, "subtitles that are shown at once hide each other", "pipelines/containers/subtitle_text.py",
        "end = min(stop, *(e for e, _ in self._shown))", "end = stop",
        f"{_TEXTS}::test_what_is_shown_at_once_is_one_sample_and_nothing_is_shown_twice",
    ),
    Mutant(
        38, "a job of Slurm waits for vsr through one signal only", "configs/cluster/slurm.sbatch",
        'kill -0 "$film" 2>/dev/null # a signal', "false # a signal",
        "tests/docs/test_project_files.py::test_a_job_of_slurm_waits_for_vsr_however_many_signals_come",
    ),
    Mutant(
        48, "workers end with a signal that the whole group gets", "pipelines/pool/child_process.py",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "pass",
        "tests/end_to_end/test_interruption.py::test_one_signal_drains_and_keeps_what_is_done",
    ),
    Mutant(
        72, "the wait of threads for each other counts as work of the network", "pipelines/diagnostics/run_time.py",
        "if min(computed) >= _LEAST_COMPUTED:", "if False:",
        f"{_ESTIMATE}::test_of_recorded_runs_on_a_busy_machine_the_cpu_time_is_estimated_within_15_percent",
    ),
    Mutant(
        72, "an estimate of a busy machine says nothing of it", "pipelines/diagnostics/run_time.py",
        "return given / (given + queued) if queued > 0 else 1.0", "return 1.0",
        f"{_ESTIMATE}::test_the_machine_share_is_computed_from_the_time_threads_waited_for_a_core",
    ),
    Mutant(
        72, "a bar begins with an estimate of other workers", "pipelines/diagnostics/run_time.py",
        "any(kept.get(k) != v for k, v in _conditions(settings).items())", "False",
        f"{_ESTIMATE}::test_the_bar_of_a_run_begins_with_what_plan_and_preview_estimated",
    ),
    Mutant(
        23, "tracks have no codec but those that FFmpeg knows", "pipelines/probe/stream_choice.py",
        "return {s.index: name for s, name in zip(tracks, names, strict=True)}", "return {}; return {}",
        f"{_TEXTS}::test_webvtt_by_matroska_s_own_name_which_ffmpeg_does_not_know_is_converted",
    ),
    Mutant(
        23, "Matroska takes timed text as it is", "pipelines/containers/subtitle_text.py",
        "codec in _CONVERTIBLE - _HELD[container]", 'codec in _CONVERTIBLE - _HELD[container] and container != "matroska"',
        f"{_TEXTS}::test_timed_text_becomes_subrip_in_matroska_and_webvtt_in_webm",
    ),
    Mutant(
        30, "a film of pictures has the transfer of pictures", "pipelines/plan/color_tags.py",
        "color.transfer == Transfer.SRGB:", "color.transfer == Transfer.BT709:",
        f"{_PLANNER}::test_a_film_of_pictures_is_what_televisions_and_phones_show",
    ),
    Mutant(
        2, "times that were rounded are a variable rate", "pipelines/media/video_info.py",
        "return farthest > max(", "return True or farthest > max(",
        f"{_PROBE}::test_a_constant_rate_whose_times_were_rounded_is_that_rate",
    ),
    Mutant(
        72, "a part of a film takes the name of the whole", "pipelines/planner/video_planner.py",
        "if self.settings.seconds is None or self.place.is_picture:", "if self.settings:",
        f"{_PLANNER}::test_a_range_is_in_the_name_and_one_beyond_the_end_is_said_to_end_there",
    ),
    Mutant(
        72, "a file under the usual name is found after the whole plan", "pipelines/planner/video_planner.py",
        "    if expected is not None:\n        check(expected)\n", "",
        "tests/pipelines/run/test_early_refusals.py::test_a_file_under_the_usual_name_is_refused_before_frames_are_looked_at",
    ),
    Mutant(
        72, "two outputs of one name are found when the second begins", "pipelines/run/batch.py",
        "clashes = dict(name_clashes(inputs, settings))", "clashes = dict(name_clashes([], settings))",
        "tests/vsr/cli/test_batch.py::test_a_name_that_two_outputs_would_get_is_said_at_once",
    ),
    Mutant(
        72, "two jobs get one output", "vsr/server/web/job_routes.py",
        "        services.outputs.refuse_taken(str(film), settings)\n", "",
        "tests/vsr/server/test_jobs.py::test_a_job_whose_output_another_will_have_is_refused_when_it_is_submitted",
    ),
    Mutant(
        42, "the length of earlier chunks is not named", "pipelines/output/plan_differences.py",
        "if cut is not None and (seconds", "if False and (seconds",
        "tests/pipelines/run/test_nothing_lost.py::"
        "test_the_length_of_an_earlier_run_s_chunks_is_named_as_the_option_that_goes_on_with_it",
    ),
    Mutant(
        101, "a scaler is called a network", "pipelines/plan/events.py",
        'between = "the network" if is_learned else "scaling"', 'between = "the network"',
        "tests/vsr/views/test_progress.py::test_without_a_network_none_is_said_to_limit_a_run",
    ),
    Mutant(
        101, "an estimate of a short range costs as much as its run", "pipelines/diagnostics/estimate.py",
        "most = max(_LEAST_FRAMES, count // _SHARE)", "most = count",
        "tests/pipelines/diagnostics/test_estimate.py::test_places_lie_inside_the_film_and_not_at_its_beginning",
    ),
    Mutant(
        15, "a given field order is ignored", "pipelines/planner/video_planner.py",
        "part, order=settings.field_order)", "part)",
        f"{_FILTERS}::test_a_given_field_order_reaches_the_frames",
    ),
    Mutant(
        15, "video given as progressive is deinterlaced", "pipelines/planner/field_choice.py",
        'if order == "progressive":', 'if order == "no":',
        f"{_FIELDS}::test_video_that_is_given_as_progressive_is_not_deinterlaced",
    ),
    Mutant(
        15, "contradicting words about fields are taken", "pipelines/planner/field_choice.py",
        'if order == "progressive" and wanted in', 'if order == "no" and wanted in',
        f"{_FIELDS}::test_video_that_is_given_as_progressive_is_not_deinterlaced",
    ),
    Mutant(
        101, "a long film is estimated from three places", "pipelines/diagnostics/estimate.py",
        "wanted = min(_MOST_PLACES, max(_PLACES, count // _LONG))", "wanted = _PLACES",
        f"{_ESTIMATE}::test_places_lie_inside_the_film_and_not_at_its_beginning",
    ),
    Mutant(
        101, "small frames are estimated from their stages alone", "pipelines/diagnostics/benchmark.py",
        "a_frame += _WAIT_SECONDS", "a_frame += 0.0",
        f"{_ESTIMATE}::test_small_frames_take_longer_than_their_stages_alone",
    ),
    Mutant(
        101, "a plan of many makes their folder", "vsr/cli/commands/plan.py",
        "staging=staging, makes_folder=False", "staging=staging",
        "tests/vsr/cli/commands/test_plan.py::test_a_folder_is_planned_film_by_film_with_totals",
    ),
    Mutant(
        101, "a folder that is not made yet is taken for a file", "vsr/cli/commands/plan.py",
        "one.is_mirrored and not output.exists()", "False",
        "tests/vsr/cli/commands/test_plan.py::test_a_folder_is_planned_film_by_film_with_totals",
    ),
    Mutant(
        101, "what is done already counts as frames left", "vsr/views/plan_view.py",
        "for kept, estimate in planned if not (kept.done or kept.refusal)", "for kept, estimate in planned",
        "tests/vsr/cli/commands/test_plan.py::test_json_has_a_line_for_each_input_and_one_for_all",
    ),
    Mutant(
        49, "a disk that may be too small is not spoken of", "pipelines/run/chunk_loop.py",
        "    if free < most:", "    if free < most // 16:",
        f"{_ESTIMATE}::test_a_disk_that_may_be_too_small_is_said_and_one_that_is_refused",
    ),
    Mutant(
        93, "a GPU that computes something else is taken", "pipelines/plan/arithmetic.py",
        "right = [t for t in trials if t.decibels >= _LEAST_DB and t.seconds > 0]", "right = list(trials)",
        f"{_DEVICES}::test_a_gpu_that_computes_something_else_is_refused",
    ),
    Mutant(
        93, "a GPU without one precision is used with none", "pipelines/inference/arithmetic_trial.py",
        "except (RuntimeError, NoMemoryError, VerificationError) as error:", "except ZeroDivisionError as error:",
        f"{_DEVICES}::test_a_combination_that_a_gpu_does_not_have_leaves_the_others",
    ),
    Mutant(
        93, "a GPU without room for the plan's tiles is refused", "pipelines/inference/arithmetic_trial.py",
        "except (torch.OutOfMemoryError, NoMemoryError):", "except ZeroDivisionError:",
        f"{_DEVICES}::test_tiles_too_large_for_a_gpu_are_left_to_the_run_which_makes_them_smaller",
    ),
    Mutant(
        93, "a time that is none is the shortest", "pipelines/plan/arithmetic.py",
        " and t.seconds > 0]", "]",
        f"{_DEVICES}::test_times_that_are_equal_missing_or_endless_choose_the_usual_arithmetic_or_what_is_left",
    ),
    Mutant(
        93, "what was tried on one GPU counts for another", "pipelines/planner/precision_choice.py",
        "        *visible_devices(), plan.pix_fmt", "        plan.pix_fmt",
        f"{_DEVICES}::test_what_a_gpu_computes_in_stands_in_the_plan_and_is_remembered",
    ),
    Mutant(
        93, "workers with ROCm all see the first device", "pipelines/hardware/resources.py",
        '[: 2 if _torch_build() == "rocm" else 1]', "[:1]",
        f"{_RESOURCES}::test_devices_are_those_that_variables_show_and_a_worker_sees_its_own",
    ),
    Mutant(
        93, "a device that a variable hides is used", "pipelines/hardware/resources.py",
        "itertools.takewhile(", "filter(",
        f"{_RESOURCES}::test_devices_are_those_that_variables_show_and_a_worker_sees_its_own",
    ),
    Mutant(
        93, "the noise of a timing changes the plan", "pipelines/plan/arithmetic.py",
        "fastest.seconds < _CLEARLY_FASTER * right[0].seconds", "fastest.seconds < right[0].seconds",
        f"{_DEVICES}::test_the_usual_arithmetic_stays_unless_another_is_right_and_clearly_faster",
    ),
    Mutant(
        93, "every plan measures anew", "pipelines/planner/precision_choice.py",
        "write_cached(_TABLE, key, [asdict(t) for t in trials])", "pass",
        f"{_DEVICES}::test_what_a_gpu_computes_in_stands_in_the_plan_and_is_remembered",
    ),
    Mutant(
        92, "children are thought to inherit sockets", "pipelines/pool/process_pool.py",
        '_INHERIT_SOCKETS = sys.platform != "win32" and hasattr(socket, "socketpair")', "_INHERIT_SOCKETS = True",
        f"{_SYSTEMS}::test_help_probe_plan_and_a_run_work_where_posix_is_missing",
    ),
    Mutant(
        92, "resource is thought to be everywhere", "models/sandbox.py",
        "except ModuleNotFoundError:  # Windows", "except ZeroDivisionError:",
        f"{_SYSTEMS}::test_every_module_imports_where_posix_is_missing",
    ),
    Mutant(
        99, "any token is the token", "vsr/server/web/access.py",
        'return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())', "return bool(given)",
        f"{_SERVED}::test_without_the_token_everything_is_401",
    ),
    Mutant(
        99, "tokens are compared letter by letter", "vsr/server/web/access.py",
        'return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())', "return given == self.token",
        f"{_SERVED}::test_the_token_is_compared_in_constant_time",
    ),
    Mutant(
        99, "scripts of pages can read the cookie", "vsr/server/web/access.py",
        "; HttpOnly; SameSite=Strict", "; SameSite=Strict",
        f"{_SERVED}::test_the_address_that_is_printed_becomes_a_cookie_no_script_can_read",
    ),
    Mutant(
        99, "any host name is the server's", "vsr/server/web/access.py",
        "            return name in _LOCAL_NAMES\n", "            return True\n",
        f"{_SERVED}::test_another_host_name_is_refused",
    ),
    Mutant(
        99, "a name that an attacker controls is the server's", "vsr/server/web/access.py",
        "or name in self.names or _is_address(name)", "or True",
        f"{_SERVED}::test_a_server_for_others_goes_by_its_addresses_and_names_alone",
    ),
    Mutant(
        99, "other sites' pages may ask", "vsr/server/web/access.py",
        'if origin is not None and origin.partition("://")[2] != headers["host"]:', "if origin is None and not headers:",
        f"{_SERVED}::test_another_sites_page_is_refused",
    ),
    Mutant(
        99, "a body without a length may be of any", "vsr/server/web/access.py",
        "        if self._left < 0:", "        if self._left < -(1 << 40):",
        f"{_SERVED}::test_a_huge_body_is_refused_before_it_is_read",
    ),
    Mutant(
        99, "a body may drip", "vsr/server/web/access.py",
        "async with asyncio.timeout(seconds):", "async with asyncio.timeout(None):",
        f"{_SERVED}::test_a_body_that_drips_is_cut_off",
    ),
    Mutant(
        99, "a client may take nothing for ever", "vsr/server/web/access.py",
        "async with asyncio.timeout(self._access.send_seconds):", "async with asyncio.timeout(None):",
        f"{_SERVED}::test_a_client_that_takes_nothing_is_cut_off",
    ),
    Mutant(
        99, "the head of a request may never end", "vsr/server/server_process.py",
        "self._head = self.loop.call_later(_HEADER_SECONDS, self.abort)", "self._head = self.loop.call_later(600, self.abort)",
        f"{_SERVED}::test_a_client_that_never_ends_its_head_is_cut_off",
    ),
    Mutant(
        99, "links lead out of the roots", "vsr/server/roots.py",
        "        if self.shown(real) is None:", '        if self.shown(real) == "":',
        f"{_SERVED}::test_paths_out_of_the_roots_lead_nowhere",
    ),
    Mutant(
        99, "hidden files are found", "vsr/server/roots.py",
        'or p.startswith(".")', "",
        f"{_SERVED}::test_paths_out_of_the_roots_lead_nowhere",
    ),
    Mutant(
        99, "results are written through links", "vsr/server/roots.py",
        "        if os.path.lexists(target):\n", "        if not os.path.lexists(target):\n",
        f"{_SERVED}::test_results_are_written_nowhere_else",
    ),
    Mutant(
        99, "answers have absolute paths", "vsr/server/roots.py",
        '        return _ABSOLUTE.sub(lambda found: f"…/{found[1]}", text)', "        return text",
        f"{_SERVED_QUEUE}::test_text_has_names_in_place_of_roots_and_no_other_absolute_path",
    ),
    Mutant(
        99, "the command's line is shown as it is", "vsr/server/jobs/job_process.py",
        'self._error = (self._roots.redacted(line["message"]), int(line["exit_code"]))',
        'self._error = (line["message"], int(line["exit_code"]))',
        f"{_SERVED_JOBS}::test_a_job_that_fails_says_the_commands_line_and_does_not_stop_the_next",
    ),
    Mutant(
        99, "settings may name a file", "vsr/server/settings_form.py",
        'pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.,-]{0,199}$"', "max_length=200",
        f"{_SERVED}::test_settings_name_no_files_and_no_options",
    ),
    Mutant(
        99, "an upload takes another file's place", "vsr/server/web/film_routes.py",
        "os.link(partial, target)", "os.replace(partial, target)",
        f"{_SERVED}::test_an_upload_takes_no_place_that_was_taken_while_it_came",
    ),
    Mutant(
        98, "what ran when the server was killed is forgotten", "vsr/server/jobs/job_queue.py",
        'for job in self.jobs("running"):', 'for job in self.jobs("none"):',
        f"{_SERVED_QUEUE}::test_a_new_process_finds_what_was_there_and_queues_what_ran",
    ),
    Mutant(
        98, "two jobs of one film run at a time", "vsr/server/jobs/job_queue.py",
        'if row["film"] not in busy_films:', "if True:",
        f"{_SERVED_QUEUE}::test_no_two_jobs_of_one_film_run_at_a_time",
    ),
    Mutant(
        98, "a film is queued twice", "vsr/server/jobs/job_queue.py",
        "            if same is not None:", "            if same is None and False:",
        f"{_SERVED_JOBS}::test_the_same_film_with_the_same_settings_is_queued_once",
    ),
    Mutant(
        98, "commands outlive their server", "vsr/server/child.py",
        "        os._exit(_ORPHANED)", "        pass",
        f"{_SERVED_KILLS}::test_commands_and_workers_end_with_their_server_in_the_midst_of_a_chunk",
    ),
    Mutant(
        98, "a server does not wait for an earlier one's commands", "vsr/server/server_process.py",
        "    while not lock_file(lock):", "    while not lock_file(lock) and is_said:",
        f"{_SERVED_KILLS}::test_a_server_waits_for_a_command_of_an_earlier_one",
    ),
    Mutant(
        98, "two servers work on one queue", "vsr/server/server_process.py",
        "        if not lock_file(own.fileno()):", "        if own.closed:",
        f"{_SERVED_JOBS}::test_a_second_server_of_the_same_queue_is_refused",
    ),
    Mutant(
        98, "a command that can't live is started for ever", "vsr/server/jobs/job_process.py",
        "elif job.crashes + 1 >= _MOST_CRASHES:", "elif job.crashes < 0:",
        f"{_SERVED_KILLS}::test_a_command_that_is_killed_again_and_again_fails_in_the_end",
    ),
    Mutant(
        98, "events pile up for a client that does not keep up", "vsr/server/web/event_hub.py",
        "        self._waiting.pop(key, None)\n", "        key += str(len(self._waiting))\n",
        f"{_SERVED_QUEUE}::test_a_client_that_does_not_keep_up_gets_the_latest_of_each_job_alone",
    ),
    Mutant(
        60, "chapters behind the pictures are not looked at", "pipelines/file_parsing/matroska_chapters.py",
        "        file.seek(begin if place is None else place)", "        file.seek(begin)",
        f"{_CHAPTERS}::test_what_ffmpeg_does_not_read_of_chapters_is_said",
    ),
    Mutant(
        60, "an ordered edition is dropped without a word", "pipelines/planner/video_planner.py",
        "        said += [", "        _ = [",
        "tests/vsr/cli/test_containers_and_tags.py::test_a_plan_and_the_report_name_what_is_lost",
    ),
    Mutant(
        60, "side data that PyAV can't name hide all others", "pipelines/media/hdr_metadata.py",
        "SideData._missing_ = classmethod(_further_kind)", "_ = classmethod(_further_kind)",
        f"{_JOB}::test_side_data_that_pyav_can_not_name_hides_no_captions_and_no_hdr_metadata",
    ),
    Mutant(
        60, "captions are lost in AV1", "pipelines/codec/encoder.py",
        '    elif frame.captions and codec == "av1":', "    elif False:",
        f"{_JOB}::test_captions_inside_the_video_stay_in_it",
    ),
    Mutant(
        60, "every MPEG-2 film is said to lose a window", "pipelines/probe/first_frames.py",
        "        if kind is SideData.PANSCAN and not", "        if False and not",
        f"{_FIRST_FRAMES}::test_a_pan_and_scan_window_is_reported_where_it_is_less_than_the_frame",
    ),
    Mutant(
        60, "captions that begin late are not told of", "pipelines/probe/dynamic_hdr_look.py",
        "self.captions or any(mark in data for mark in _CAPTIONS)", "self.captions",
        f"{_FIRST_FRAMES}::test_captions_that_begin_late_are_reported",
    ),
    Mutant(
        23, "teletext is called unknown", "pipelines/probe/stream_choice.py",
        "    return str(known or _name_by_muxer(stream) or", "    return str(known or",
        "tests/pipelines/output/test_other_tracks.py::test_teletext_is_called_by_its_name",
    ),
    Mutant(
        85, "a result replaces a pipe or a device", "pipelines/plan/output_names.py",
        '    if kind:\n        raise UsageError(f"{target}: is {kind}', '    if False:\n        raise UsageError(f"{target}: is {kind}',
        f"{_PLACES}::test_pipes_devices_and_sockets_are_never_replaced_by_a_file",
    ),
    Mutant(
        85, "a place where no file can be is a failing disk", "pipelines/storage/atomic_file.py",
        "    kind = UsageError if error.errno in _WRONG_PLACES else OutputError", "    kind = OutputError",
        f"{_PLACES}::test_a_link_that_leads_nowhere_or_to_itself_is_no_folder_for_results",
    ),
    Mutant(
        85, "an empty name is the current folder", "vsr/cli/option_types.py",
        "        if not os.fspath(value).strip():", "        if False:",
        f"{_PLACES}::test_an_empty_name_is_not_the_folder_one_stands_in",
    ),
    Mutant(
        85, "empty texts pass", "vsr/cli/command_group.py",
        "        if typed and any(", "        if False and any(",
        f"{_PLACES}::test_no_option_and_no_name_may_be_empty",
    ),
)  # fmt: skip


def _passes(copy: Path, test: str) -> tuple[bool, str]:
    """Whether a test passes in the copy, and its last line."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--no-header",
        "--tb=no",
        "--timeout=0",
        "-p",
        "no:cacheprovider",
        test,
    ]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("VSR_FIGURES", None)
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"no end within {_SECONDS} s"
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return done.returncode == 0, lines[-1] if lines else done.stderr.strip()[-200:]


def _verdict(copy: Path, mutant: Mutant, healthy: dict[str, tuple[bool, str]]) -> tuple[bool, str]:
    """(whether the mutant was noticed, and how). healthy: what tests said without any mutant, filled here."""
    path = copy / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return False, f"STALE: its text stands {text.count(mutant.old)} times there"
    if mutant.test not in healthy:
        healthy[mutant.test] = _passes(copy, mutant.test)
    if not healthy[mutant.test][0]:
        return False, f"FAILS WITHOUT IT: {healthy[mutant.test][1]}"
    if "skipped" in healthy[mutant.test][1] and "passed" not in healthy[mutant.test][1]:
        return False, f"SKIPPED: {healthy[mutant.test][1]}"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    alive, last = _passes(copy, mutant.test)
    path.write_text(text, encoding="utf-8")
    return not alive, "SURVIVED" if alive else f"caught: {last}"


def _copied(copy: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)


def main() -> int:
    """Run the mutants of the given cases, or all; of those, one part."""
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="1/1", metavar="K/N", help="every N-th, from the K-th on")
    parser.add_argument("cases", nargs="*", type=int)
    given = parser.parse_args()
    part, of = map(int, given.part.split("/"))
    chosen = [m for m in MUTANTS if not given.cases or m.case in given.cases][part - 1 :: of]
    survived = 0
    healthy: dict[str, tuple[bool, str]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        _copied(Path(folder))
        for mutant in chosen:
            noticed, verdict = _verdict(Path(folder), mutant, healthy)
            survived += not noticed
            print(
                f"| {mutant.case} | {mutant.what} ({mutant.file}) | {mutant.test.rpartition('::')[2]} | {verdict} |",
                flush=True,
            )
    if not survived:
        record(mutants=len(chosen))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
