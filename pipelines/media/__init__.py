"""What a video file is: containers, bitstreams, pixel formats, colour numbers. No torch.

bitstream.py        NAL units and OBUs: random access points, captions
chroma_siting.py    chroma sample location from container and bitstream
cicp.py             numbers of ITU-T H.273: primaries, transfer, matrix, range, siting
container_check.py  finds truncated and damaged containers
demuxer.py          opens a file safely
dolby_vision.py     RPUs of Dolby Vision: what they say, and for another size
dynamic_hdr.py      HDR10+ and Dolby Vision metadata out of packets and into packets
file_bytes.py       bytes of a file by place, and flaws of a file
file_types.py       suffixes of videos and pictures
hdr_metadata.py     HDR10 metadata of frames, streams and containers
image_sequence.py   numbered images as a video
matroska.py         whether a Matroska file is whole, its elements and its names of codecs
packet_reader.py    packets of a file, as they travel to workers
pixel_format.py     planes of a pixel format, orientation, crop
timestamps.py       broadcast clocks: wraps and large start times
video_info.py       VideoInfo, PacketIndex, Chunk, Frame: values about a video
"""
