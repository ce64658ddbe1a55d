"""Files on disk and in object stores, the user's cache, and calls in a process of their own.

atomic_file.py   files written whole or not at all
cache_folder.py  where what can be made again is kept
child_call.py    a function called in a process of its own
download.py      a file at an https address, with a known hash
file_lock.py     one lock for every system
object_store.py  s3, gs and https files through fsspec
"""
