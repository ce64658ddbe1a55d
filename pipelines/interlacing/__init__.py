"""Detection of interlacing and telecine, from motion and from matching fields.

cadence.py         the phase of each frame in the cycle of a pulldown
field_evidence.py  whether frames show enough evidence of interlacing
field_matching.py  which neighbouring fields were taken at one time
field_motion.py    when the fields of a frame were taken, from the motion of blocks
scan_detection.py  detects interlacing and telecine
"""
