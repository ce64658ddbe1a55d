"""The commands, related ones in one module.

clean.py         clean
compare.py       compare
evaluate.py      evaluate
known_models.py  models search, info, get; downloads networks that a command names
machine.py       doctor, bench, probe, presets, --version
models.py        models and its subcommands, export, quantize
plan.py          plan
preview.py       preview
run.py           run
server.py        serve, submit, jobs
training.py      dataset, train
watch.py         watch
"""
