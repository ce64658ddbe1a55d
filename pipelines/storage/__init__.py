"""Files on disk and in object stores.

atomic_file.py   files written whole or not at all
object_store.py  s3, gs and https files through fsspec
"""
