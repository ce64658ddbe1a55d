"""The queue on disk, and its jobs as child processes.

job_process.py  one job as a child process
job_queue.py    the jobs in SQLite
scheduler.py    starts queued jobs, and ends running ones on request
"""
