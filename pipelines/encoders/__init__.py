"""The choice of an encoder, its options and its pixel format.

encoder_check.py        the self-test of encoders, for hardware
encoder_choice.py       software or a GPU's encoder: the outcome of --encoder auto, and why
encoder_crf.py          CRFs of encoders, and plans with another CRF
encoder_options.py      encoder and options
hardware_options.py     options of hardware encoders, by vendor and codec
pixel_format_choice.py  pixel format of an output
"""
