"""Settings and the facts of a video -> `Plan`.

arithmetic_choice.py      in which precision and order networks compute
container_selection.py    where a result goes: path, and container by name, codec and the tracks that fit
dynamic_hdr_choice.py     which HDR10+ and Dolby Vision metadata goes with the result
encoder_options.py        which encoder and options
encoder_choice.py         software or a GPU's encoder: what --encoder auto comes to, and why
field_choice.py           what is done about fields: deinterlacing or inverse telecine
geometry.py               target size and sample aspect ratio
hardware_options.py       options of hardware encoders, by maker and codec
licences.py               on what terms networks may be used: refusals and notes
pixel_format_selection.py in which planes a result leaves
plan_builder.py           facts and choices -> Plan
plan_checks.py            refusals and warnings
resources.py              cores, memory and devices, and the workers they allow
size_bound.py             how much disk a run takes at most
stage_selection.py        which networks, in which order
video_planner.py          settings and one video -> a checked plan: Planned
"""
