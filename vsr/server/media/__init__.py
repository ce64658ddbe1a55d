"""Films, previews and comparisons, examined in child processes.

command_answers.py  plans, previews, comparisons and findings of ordinary commands
films.py            listings of the roots, facts about films, thumbnails
latest_frames.py    frames of the chunk that a running job has finished last
media_child.py      the child that reads films
side_calls.py       calls to that child and to ordinary commands, bounded in number and time
"""
