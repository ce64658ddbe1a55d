"""The parallel map on Ray.

actor.py            the Ray actor that holds a worker
code_version.py     digest of our code, equal on all nodes
hang_detector.py    detects actors that have not reported for too long
input_feeder.py     sends long inputs to actors, part by part
nodes.py            nodes of a cluster, and the actors placed on them
object_refs.py      inputs of tasks in Ray's object store
pending_answers.py  references that are waited for, and their handlers
pending_calls.py    state of one call of the map
ray_internals.py    everything that is used beyond Ray's public interface
ray_pool.py         the map over Ray actors
ray_session.py      starts, joins and ends Ray
scheduler.py        the thread that gives tasks to actors and collects results
"""
