"""HTTP: access control, routes, events.

access.py       authentication, and limits of requests
answers.py      requests and answers as pydantic models
app.py          the ASGI application
event_hub.py    server-sent events
failures.py     failures as answers
film_routes.py  routes about films, the machine, plans and previews
job_routes.py   routes about jobs
job_views.py    jobs and previews as sent over HTTP
"""
