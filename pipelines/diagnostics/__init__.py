"""Whether and how fast a run would work here: doctor, benchmark, estimate, preview.

benchmark.py        how fast a run is, and the bound of its slowest stage
dependencies.py     versions of dependencies, and known vulnerabilities
doctor.py           whether a run would work on this machine
estimate.py         time and disk a run will take
film_still.py       frames of films as small JPEG files
offers.py           networks that could be fetched, with what they would take
partial_preview.py  what a running job has made so far, as pictures
preview.py          a few moments of a film through several networks
run_time.py         how long a run takes, and what was estimated before
shared_figures.py   what a benchmark found, as values to show to others
"""
