"""The command line, a family of commands a file.

clean.py          clean
command_group.py  CommandGroup: order and suggestions
compare.py        compare
evaluate.py       evaluate
machine.py        doctor, bench, probe, --version
known_models.py   models search, info, get; offering to fetch what a command names
main.py           the group of commands; errors become exit codes
models.py         models and its subcommands, export, quantize
options.py        options shared by several commands
preview.py        preview
run.py            run, plan, presets
server.py         serve, submit, jobs
signals.py        SIGINT and SIGTERM as a request to stop
terminal.py       what people read, without what a terminal would obey
training.py       dataset, train
watch.py          watch
"""
