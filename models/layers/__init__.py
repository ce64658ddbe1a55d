"""Building blocks of networks.

activations.py   ReLU and PReLU in place
convolution.py   3x3 convolution with ReLU, fused where the CPU library can
resampling.py    separable resampling kernels: nearest, bilinear, bicubic, Lanczos, area
yuv_residual.py  packs 4:2:0 planes into one tensor; adds a network's residual to a bicubic upscale
"""
