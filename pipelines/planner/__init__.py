"""Settings and the facts of a video -> `Plan`.

arithmetic_choice.py    in which precision and order a GPU computes, by trying
container_selection.py  which container, by name, codec and the tracks that fit
dynamic_hdr_choice.py   which HDR10+ and Dolby Vision metadata goes with the result
encoder_options.py      which encoder, pixel format and options
encoder_choice.py       software or a GPU's encoder: what --encoder auto comes to, and why
geometry.py             target size and sample aspect ratio
hardware_options.py     options of hardware encoders, by maker and codec
licences.py             on what terms networks may be used: refusals and notes
plan_builder.py         facts and choices -> Plan
precision_selection.py  what networks compute in
resources.py            cores, memory and devices, and the workers they allow
size_bound.py           how much disk a run takes at most
stage_selection.py      which networks, in which order
video_planner.py        settings and one video -> a checked plan: Planned
"""
