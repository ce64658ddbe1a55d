"""MP4 boxes and Matroska elements, read without FFmpeg.

container_check.py  finds truncated and damaged containers
encryption.py       which tracks can't be decoded without a key
file_bytes.py       random access to bytes of a file, and flaws of a file
heif_items.py       tiles, rotation, crop and colour of a HEIC or AVIF photo
jpeg_segments.py    counts the images of a JPEG file, such as gain maps
matroska.py         checks Matroska files, and reads their elements and codec names
matroska_chapters.py  finds chapters, editions and linked files that FFmpeg does not read
"""
