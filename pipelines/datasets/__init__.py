"""Training pairs: planned, degraded, stored, loaded.

batch_loader.py      batches of random crops
builder.py           footage -> a data set
crop_selection.py    places of a frame worth learning from
damage.py            damage of a degraded clip, as its restoration level
degradation.py       a clean clip -> the clip a network will meet
degrading.py         a clean clip as a record of its degradation says
events.py            events of a build, as values
gpu_loader.py        pairs in a device's memory
pair_maker.py        a place in a film -> a pair of clips
pair_planner.py      scans footage for places that pairs are made of
recompression.py     a clip encoded and decoded by a real codec
settings.py          DatasetSettings
shards.py            pairs on disk
validation_split.py  what is held out for validation
"""
