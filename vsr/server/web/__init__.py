"""HTTP: access control, routes, events.

access.py       who may talk to the server, how much and how long
answers.py      requests and answers as pydantic models
app.py          the ASGI application
event_hub.py    server-sent events
failures.py     failures as answers
film_routes.py  routes about films, the machine, plans and previews
job_routes.py   routes about jobs
job_views.py    jobs and previews as they go over HTTP
"""
