"""The output file: journal of finished chunks, muxing, verification.

chunk_record.py          a finished chunk, and all parts of an output
copied_size.py           size of the other tracks in the output
film_packets.py          packets of the chunks, with their times in the output
journal.py               work directory: which chunks of a plan are done, and its lock
muxer.py                 chunks and copied streams -> the output file
picture_verification.py  frames of an output, compared with their source
plan_differences.py      the differences between two plans, in words
result_contents.py       tracks, times and packets of an output, compared with the expected ones
stream_copy.py           packets copied unchanged
track_shift.py           shift of all tracks, and the copied part of them
trial.py                 a small output, made and checked before work starts
verification.py          compares an output file with its plan and its source
"""
