"""File -> `VideoInfo`, and what is measured of a film before it is planned.

black_bars.py         detects black bars that stand all through a film
cadence.py            where each frame stands in the cycle of a pulldown
dynamic_hdr_look.py   which HDR10+ and Dolby Vision metadata the packets of a film have
field_evidence.py     whether what frames show of their fields is evidence enough
field_matching.py     which neighbouring fields are of one moment
field_motion.py       when the fields of a frame were taken, by how blocks move
film_end.py           whether the end of a film is there
first_frames.py       side data, orientation and HDR metadata of the first decoded frames
frame_times.py        timestamps and durations of frames
grain_measurement.py  measures film grain
interlacing.py        detects interlacing and telecine
packet_index.py       one pass over all packets
probe.py              file -> VideoInfo
quantisers.py         how damaged a film is at least, by what its encoder rounded to
restoration_level.py  how damaged a film is, shot by shot, by its decoded frames and its quantisers
stream_choice.py      which stream is the film, and what the others are
"""
