"""Training pairs: planned, degraded, stored, loaded.

batch_loader.py      batches of random crops
builder.py           footage -> a data set
crop_selection.py    detailed crops of a frame
damage.py            degradation of a clip, as its restoration level
degradation.py       random degradations, and their records
degrading.py         applies a recorded degradation to a clean clip
events.py            events of a build, as values
gpu_loader.py        pairs in a device's memory
pair_maker.py        a place in a film -> a pair of clips
pair_planner.py      scans footage for places of pairs
recompression.py     a clip encoded and decoded by a real codec
settings.py          DatasetSettings
shards.py            pairs on disk
validation_split.py  split into training and validation
"""
