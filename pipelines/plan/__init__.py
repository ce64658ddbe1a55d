"""The value `Plan` and what it is made of. No third-party packages.

arithmetic.py     precision and order of values, chosen by trials
chunking.py       frame ranges, chunks, and the packets that decode them
color_tags.py     colour tags resolved from a source, chosen for a result
encoder_spec.py   Encoder: an encoder with every option that shapes its output
events.py         events of a run, as values
name_template.py  template of result names, and its check
option_values.py  values of options as they are typed: sizes, times, rates, prefilters
output_names.py   names of results, reports and work directories
plan.py           Plan: everything that shapes the bits of a result, hashed
plan_id.py        the id of a plan: a hash over what shapes bits
pulldown.py       which fields of which frames a film frame is woven of
rate_target.py    RateTarget: a size or VMAF asked for, and the CRF found for it
settings.py       settings of a run as frozen dataclasses
settings_file.py  TOML files and KEY=VALUE texts -> settings
tiling.py         where a large frame is cut into tiles
timeline.py       output timestamps
"""
