"""`vsr serve`: a queue of films and its page, in a process that loads neither torch nor a parser of media.

child.py           the ordinary command as a child process that ends with the server
client.py          `vsr submit` and `vsr jobs`: calls to a server
roots.py           folders by name, and text without absolute paths
server_process.py  a server from its first lock to its last job
services.py        everything a running server consists of
settings_form.py   settings of a run that may come over HTTP

jobs/              the queue on disk, and its jobs as child processes
media/             films, previews and comparisons, examined in child processes
web/               HTTP: access control, routes, events
"""
