"""The command line.

command_group.py  CommandGroup: order and suggestions
commands/         the commands, related ones in one module
main.py           the group of commands; errors become exit codes
option_types.py   types of option values: paths, numbers within bounds, codecs
options.py        options shared by several commands
signals.py        SIGINT and SIGTERM as a request to stop
terminal.py       prints text without terminal control sequences
"""
