"""Files on disk and in object stores, the user's cache, and calls in a separate process.

atomic_file.py   files written completely or not at all
cache_folder.py  a cache for data that can be made again
child_call.py    a function called in a separate process
download.py      a file at an https URL, with a known hash
file_lock.py     one lock for every system
object_store.py  s3, gs and https files through fsspec
"""
