"""Films, previews and comparisons, looked at in child processes.

command_answers.py  plans, previews, comparisons and findings of ordinary commands
films.py            what lies below the roots, facts and small pictures
latest_frames.py    frames of the chunk that a running job has finished last
media_child.py      the child that looks into films
side_calls.py       calls to that child and to ordinary commands, bounded in number and time
"""
