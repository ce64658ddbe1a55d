"""Packets to frames and frames to packets.

container_decoder.py   the container's own decoder, to compare what workers decode with
cut_slice.py           whether a byte stream breaks off inside its last slice
decoder.py             packets -> frames
dynamic_metadata.py    frames with the HDR10+ and Dolby Vision metadata of their packets
encoder.py             frames -> an encoded chunk
encoder_builds.py      builds of FFmpeg and the encoders, for the numerics class
encoder_check.py       whether an encoder gives back what it was given: the self-test of hardware
ffmpeg_log.py          what FFmpeg says on its log meanwhile
field_weaving.py       film frames of a telecined source, woven as the plan says
filter_graph.py        FFmpeg filters between decoder and network
graphics_driver.py     GPU models and drivers, for the numerics class of hardware encoders
promised_frames.py     frames of a decoder, checked against the packet index
mid_stream_changes.py  what holds for all frames of a film, and changes of it in mid-stream
packet_damage.py       damage inside packets that decoders pass over in silence
prefilters.py          what cleans a source before the networks, frame by frame
stream_tags.py         colour tags and siting of an encoded chunk
"""
