"""What a container can hold, and how tracks and boxes are written into one.

container_support.py  which streams a container can hold
container_tags.py     which tags, flags and timecodes it can hold, and how they are copied
copied_tracks.py      tracks for packets copied from the source
latm.py               access units of AAC in LATM, as in broadcasts
matroska_shape.py     writes aspect ratio and codec delays into a finished Matroska file
mov_boxes.py          edits the index of a finished MP4 or MOV
range_cut.py          packets of the other tracks that belong to a range
subtitle_text.py      converts text subtitles for another container
track_times.py        times of copied packets: completed, kept from stepping back, cut to a range
"""
