"""The output file: journal of finished chunks, muxing, verification.

chunk_record.py          a finished chunk, and all that a result is made of
container_support.py     which streams a container can hold
film_packets.py          packets of the chunks, with their times in the result
journal.py               work directory: which chunks of a plan are done, and its lock
mov_boxes.py             a box in the sample entry of a finished MOV
muxer.py                 chunks and passed-through streams -> the output file
passed_size.py           what the other tracks take in the result
picture_verification.py  pictures of a result, compared with what their source shows
plan_differences.py      what differs between two plans, in words
result_contents.py       tracks, times and packets of a result, compared with what was promised
stream_copy.py           packets passed through unchanged
subtitle_text.py         text subtitles in the form that another container holds
track_times.py           times of passed-through packets: none missing, none that steps back
trial.py                 the result in small, made and checked before work starts
verification.py          compares an output file with its plan and its source
"""
