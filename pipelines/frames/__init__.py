"""Decoded frames as sample values, in memory.

color_conversion.py    YUV <-> R'G'B', range and bit depth, in float
compiled_loops.py      compiles loops over samples to machine code, with numba
crf_trial.py           size and VMAF of upscaled excerpts, encoded at several CRFs
ffmpeg_metrics.py      VMAF, XPSNR and SSIM by FFmpeg, frame by frame
film_frames.py         decodes frames at selected positions of a film
images.py              PNG and JPEG files, contact sheets
level_estimator.py     estimates how degraded frames are, 0 to 1 (the restoration level)
plane_resizer.py       integer planes resized by a classical kernel (numba)
reference_upscaler.py  a short clip through a network in plain fp32: for training, judging and tests
sample_values.py       sample values: integers, floats, planes, R'G'B'
shot_detection.py      cuts between shots
thumbnail.py           downscaled luma, to compare frames
video_reader.py        decoded frames of a video or image, in order
"""
