"""Settings and the facts of a video -> `Plan`.

container_choice.py    path and container of an output, by name, codec and tracks
dynamic_hdr_choice.py  which HDR10+ and Dolby Vision metadata is kept
field_choice.py        deinterlacing or inverse telecine
frame_look.py          what frames decide: networks, restoration, black bars, grain
geometry.py            target size and sample aspect ratio
licences.py            licences of networks: refusals and notes
network_choice.py      which networks, in which order
plan_builder.py        facts and choices -> Plan
plan_checks.py         refusals and warnings
precision_choice.py    precision and memory format of networks
size_bound.py          upper bound of the disk space of a run
video_planner.py       settings and one video -> a checked plan: Planned
"""
