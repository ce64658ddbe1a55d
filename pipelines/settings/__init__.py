"""Settings of a run, and the values that options accept. No third-party packages.

crf_target.py     CrfTarget: a requested size or VMAF, and the CRF found for it
encoder_spec.py   Encoder: an encoder with every option that affects its output
name_template.py  template of output names, and its check
option_values.py  parsers of option values: sizes, times, rates, prefilters
run_settings.py   settings of a run as frozen dataclasses
settings_file.py  TOML files and KEY=VALUE texts -> settings
"""
