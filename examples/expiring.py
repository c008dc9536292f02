"""Items that are gone when their time comes, to the moment.

    duestream up examples/expiring.py

`ttl` is a number of seconds since 1970, as for DynamoDB's own Time to Live, which may take days. An item whose
`ttl` is moved at the last moment lives on: it is deleted only if `ttl` still is what it was.
"""

from duestream import App, DeleteItem

app = App("sessions")
sessions = app.table("Session-Table", partition_key="PK", sort_key="SK")
sessions.rule("ttl", DeleteItem())
