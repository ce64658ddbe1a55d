"""The resources of this machine: cores, memory, GPUs and their drivers.

graphics_driver.py  GPU models and drivers, for the numerics class of hardware encoders
resources.py        cores, memory and devices, and the workers they allow
"""
