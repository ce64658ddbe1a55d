"""The value `Plan` and its parts. No third-party packages.

arithmetic.py    precision and memory format, chosen by trials
chunking.py      frame ranges, chunks, and the packets that decode them
color_tags.py    colour tags resolved from a source, chosen for an output
events.py        events of a run, as values
output_names.py  names of outputs, reports and work directories
plan.py          Plan: everything that affects the bits of an output, hashed
plan_id.py       the id of a plan: a hash over everything that affects bits
pulldown.py      which fields of which frames a film frame is woven from
tiling.py        how a large frame is split into tiles
timeline.py      output timestamps
"""
