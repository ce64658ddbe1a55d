"""Runs: one video or many, from inputs to published results.

batch.py         several videos, overlapping on a cluster
chunk_loop.py    runs the chunks that are missing; retries with fewer workers or smaller tiles
chunk_tasks.py   cuts a plan into tasks and feeds them with packets
execution.py     who makes chunks, where, and what ends it early
folder_changes.py  waits for changes in a folder
inputs.py        files, folders, patterns and addresses -> inputs
job.py           one video from file to file; yields events
publishing.py    mux, verify, rename, report
rate_estimate.py what samples say of a whole film at a CRF, and the CRF for a target
rate_options.py  CRFs that encoders have, and plans with one that was found
rate_search.py   finds the CRF for a size or VMAF from samples
remote_job.py    fetch, upscale, upload
watch.py         films that arrive in a folder
watched_folder.py  which files of a folder stopped growing
worker_pools.py  opens child processes or Ray actors
"""
