"""Whether and how fast a run would work on this machine: doctor, benchmark, estimate, preview.

benchmark.py        speed of a run, and the bound of its slowest stage
dependencies.py     versions of dependencies, and known vulnerabilities
doctor.py           whether a run would work on this machine
estimate.py         time and disk space of a run
film_still.py       frames of films as small JPEG files
offers.py           networks that could be downloaded, with their expected cost
partial_preview.py  finished chunks of a running job, as images
preview.py          sample frames of a film through several networks
preview_frames.py   which frames of a film a preview shows
run_time.py         time of a run, and earlier estimates
shared_figures.py   benchmark results as values to share
"""
