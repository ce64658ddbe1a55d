"""The code that runs inside a worker process.

chunk_worker.py       a chunk from packets to packets
frame_order_check.py  checks that results show the frames they were made from
hardware_report.py    tests a machine's devices, encoders and decoders
messages.py           messages to and from a worker
preview_crop.py       parts of a frame with the context that a network needs
preview_worker.py     the worker behind vsr preview
progress_reports.py   progress messages
span_frames.py        a span, decoded, checked and filtered
stage_threads.py      threads for decoding, upscaling and encoding
stage_timer.py        times each stage of a chunk alone
"""
