"""A bounded, fault-tolerant parallel map over worker processes. No third-party packages.

child_process.py    the child's side of it
interface.py        Task, Outcome, Worker and the map over workers, as an interface
malloc.py           malloc settings of worker processes
pipe_connection.py  messages over the pipes of a child, for systems without inherited sockets
process_pool.py     the map over child processes
task_queue.py       pending tasks, and how often each failed
"""
