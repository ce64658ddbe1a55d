"""Events and results as text and JSON on a terminal.

benchmark_view.py  a benchmark as text and as a timeline
json_lines.py      events as JSON lines
plan_view.py       a plan and its estimate as text
probe_view.py      facts about a file, as text
progress.py        progress bar of a run
progress_bar.py    a bar on a terminal, lines elsewhere
remaining_time.py  time left, from recent progress
report_words.py    the report of a result in words
run_summary.py     table and file at the end of a batch
text.py            sizes and durations as text
training_view.py   events of data sets and training as text
"""
