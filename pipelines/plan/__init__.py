"""The value `Plan` and its parts. No third-party packages.

arithmetic.py     precision and memory format, chosen by trials
chunking.py       frame ranges, chunks, and the packets that decode them
color_tags.py     colour tags resolved from a source, chosen for an output
encoder_spec.py   Encoder: an encoder with every option that shapes its output
events.py         events of a run, as values
name_template.py  template of output names, and its check
option_values.py  parsers of option values: sizes, times, rates, prefilters
output_names.py   names of outputs, reports and work directories
plan.py           Plan: everything that shapes the bits of an output, hashed
plan_id.py        the id of a plan: a hash over what shapes bits
pulldown.py       which fields of which frames a film frame is woven from
rate_target.py    RateTarget: a requested size or VMAF, and the CRF found for it
settings.py       settings of a run as frozen dataclasses
settings_file.py  TOML files and KEY=VALUE texts -> settings
tiling.py         how a large frame is split into tiles
timeline.py       output timestamps
"""
