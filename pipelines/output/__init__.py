"""The output file: journal of finished chunks, muxing, verification.

container_support.py     which streams a container can hold
journal.py               work directory: which chunks of a plan are done, and its lock
mov_boxes.py             a box in the sample entry of a finished MOV
muxer.py                 chunks and passed-through streams -> the output file
picture_verification.py  pictures of a result, compared with what their source shows
stream_copy.py           packets passed through unchanged
subtitle_text.py         text subtitles in the form that another container holds
trial.py                 the result in small, made and checked before work starts
verification.py          compares an output file with its plan and its source
"""
