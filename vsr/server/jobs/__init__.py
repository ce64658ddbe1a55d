"""The queue on disk, and its jobs as child processes.

expected_outputs.py  refuses a job that would get the output of another
job_process.py       one job as a child process
job_queue.py         the jobs in SQLite
scheduler.py         starts queued jobs, and ends running ones on request
"""
