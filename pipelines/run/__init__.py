"""Runs: one video or many, from inputs to published results.

batch.py         several videos, overlapping on a cluster
chunk_loop.py    runs the chunks that are missing; retries with fewer workers or smaller tiles
chunk_tasks.py   cuts a plan into tasks and feeds them with packets
inputs.py        files, folders, patterns and addresses -> inputs
job.py           one video from file to file; yields events
publishing.py    mux, verify, rename, report
remote_job.py    fetch, upscale, upload
worker_pools.py  opens child processes or Ray actors
"""
