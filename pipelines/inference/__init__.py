"""Networks on batches of frames: tiles, devices, colour, transfers. No media files.

arithmetic_trial.py  times and checks a network on a device, for the plan
cascade.py           networks one after another on any pixel format, in float
code_padding.py      integer samples turned upright, padded to the sizes that networks accept
cuda/                CUDA graphs, streams and pinned buffers
device.py            device, precision, numerics class
direct_stage.py      one YUV-native network between integer planes, tile by tile
fused_cpu.py         a YUV-native network between integer samples on a CPU (numba)
grain_synthesis.py   synthesises film grain for an output
output_checks.py     finds non-finite, black or shifted network output
shot_upscaler.py     runs the networks of a plan with the restoration level of each shot
stage_loading.py     loads the networks of a plan's stages
stage_tiles.py       the tiles of a stage, or its scaler between integer planes
temporal_windows.py  frames with their neighbours, shot by shot
tile_cache.py        reuses results of tiles that did not change
tile_threads.py      threads that run a network on several tiles at once
upscaler.py          runs the networks of a plan on batches of frames
"""
