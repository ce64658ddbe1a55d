"""File -> `VideoInfo`, and measurements of a film before it is planned.

black_bars.py         detects black bars that are present throughout a film
dynamic_hdr_look.py   which HDR10+ and Dolby Vision metadata the packets of a film have
film_end.py           whether a film is complete
first_frames.py       side data, orientation and HDR metadata of the first decoded frames
frame_times.py        timestamps and durations of frames
grain_measurement.py  measures film grain
opaque_files.py       whether files that are decoded with alpha have none
packet_index.py       one pass over all packets
probe.py              file -> VideoInfo
quantisers.py         a lower bound of a film's degradation, from its quantisers
refusals.py           refuses films of which no frame can be shown, with the reason
restoration_level.py  how damaged a film is, shot by shot, by its decoded frames and its quantisers
stream_choice.py      which stream is the film, and what the others are
"""
