"""What runs inside a worker process.

chunk_worker.py       a chunk from packets to packets
frame_order_check.py  results show the frames they were made from
hardware_report.py    what a machine computes, encodes and decodes with, by trying it
messages.py           what travels to a worker and comes back
preview_crop.py       parts of a frame with the context a network needs
preview_worker.py     the worker behind vsr preview
progress_reports.py   progress messages
span_frames.py        a span, decoded, checked and filtered
stage_threads.py      decode, upscale and encode overlap
stage_timer.py        each stage of a chunk alone, timed
"""
