"""Facts about video files: containers, bitstreams, pixel formats, colour numbers. No torch.

bitstream.py       NAL units and OBUs: random access points, captions
chroma_siting.py   chroma sample location from container and bitstream
cicp.py            numbers of ITU-T H.273: primaries, transfer, matrix, range, siting
demuxer.py         opens a file safely
dolby_vision.py    parses Dolby Vision RPUs, and adapts them to another size
dynamic_hdr.py     reads HDR10+ and Dolby Vision metadata from packets, and writes it into packets
file_types.py      suffixes of videos and images
frame_sizes.py     VP9 and AV1 frames that change the size between key frames
hdr_metadata.py    HDR10 metadata of frames, streams and containers
image_sequence.py  numbered images as a video
packet_reader.py   packets of a file, as they are sent to workers
pixel_format.py    planes of a pixel format, orientation, crop
tile_assembly.py   assembles the tiles of a photo
timestamps.py      broadcast clocks: wraps and large start times
video_info.py      VideoInfo, PacketIndex, Chunk, Frame: values about a video
"""
