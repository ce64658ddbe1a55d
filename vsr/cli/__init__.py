"""The command line, a family of commands a file.

command_group.py  CommandGroup: order and suggestions
commands/         the commands, a family a module
main.py           the group of commands; errors become exit codes
option_types.py   types of option values: paths, numbers within bounds, codecs
options.py        options shared by several commands
signals.py        SIGINT and SIGTERM as a request to stop
terminal.py       what people read, without what a terminal would obey
"""
