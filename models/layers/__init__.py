"""Building blocks of networks.

activations.py    ReLU and PReLU in place
convolution.py    3x3 convolution with ReLU, fused where the CPU library can
int8.py           3x3 convolutions on 8-bit integers, with the same bits on every CPU
resampling.py     separable resampling kernels: nearest, bilinear, bicubic, Lanczos, area
unit_rounding.py  8-bit integer layers as a pure function of float weights and activation units
yuv_residual.py   packs 4:2:0 planes into one tensor; adds a network's residual to a bicubic upscale
"""
