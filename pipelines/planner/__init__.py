"""Settings and the facts of a video -> `Plan`.

arithmetic_choice.py       precision and memory format of networks
container_selection.py     path and container of an output, by name, codec and tracks
dynamic_hdr_choice.py      which HDR10+ and Dolby Vision metadata is kept
encoder_options.py         encoder and options
encoder_choice.py          software or a GPU's encoder: the outcome of --encoder auto, and why
field_choice.py            deinterlacing or inverse telecine
geometry.py                target size and sample aspect ratio
hardware_options.py        options of hardware encoders, by vendor and codec
licences.py                licences of networks: refusals and notes
pixel_format_selection.py  pixel format of an output
plan_builder.py            facts and choices -> Plan
plan_checks.py             refusals and warnings
resources.py               cores, memory and devices, and the workers they allow
size_bound.py              upper bound of the disk space of a run
stage_selection.py         which networks, in which order
video_planner.py           settings and one video -> a checked plan: Planned
"""
