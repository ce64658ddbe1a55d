"""Runs: one video or many, from inputs to finished outputs.

batch.py           several videos, in parallel on a cluster
chunk_loop.py      makes missing chunks; retries with fewer workers or smaller tiles
chunk_tasks.py     splits a plan into tasks and feeds them with packets
crf_estimate.py    estimates from samples, and the CRF for a target
crf_search.py      finds the CRF for a size or VMAF from samples
execution.py       which workers make chunks, and what stops them early
folder_changes.py  waits for changes in a folder
inputs.py          files, folders, patterns and URLs -> inputs
job.py             one video from file to file; yields events
kept_work.py       what earlier runs have left for a plan
publishing.py      mux, verify, rename, report
remote_job.py      download, upscale, upload
watch.py           watch
watched_folder.py  which files of a folder stopped growing
worker_pools.py    opens child processes or Ray actors
"""
