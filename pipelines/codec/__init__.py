"""Packets to frames and frames to packets.

chunk_frames.py        frames of an encoded chunk, with their true times
container_decoder.py   the container's own decoder, as a reference for the decoding in workers
cut_slice.py           whether a byte stream ends inside its last slice
decoder.py             packets -> frames
dynamic_metadata.py    frames with the HDR10+ and Dolby Vision metadata of their packets
encoder.py             frames -> an encoded chunk
encoder_builds.py      builds of FFmpeg and the encoders, for the numerics class
expected_frames.py     frames of a decoder, checked against the packet index
ffmpeg_log.py          captures FFmpeg's log messages
field_weaving.py       film frames of a telecined source, woven as the plan says
filter_graph.py        FFmpeg filters between decoder and network
grey_jpeg.py           JPEG of one component
mid_stream_changes.py  properties common to all frames of a film, and changes of them in mid-stream
packet_damage.py       damage inside packets that decoders don't report
prefilters.py          filters that clean a source before the networks, frame by frame
stream_tags.py         colour tags and siting of an encoded chunk
"""
