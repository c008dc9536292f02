"""The rules whose sweeps are measured: items that are deleted, and items that a message is sent for."""

from duestream import App, DeleteItem, QueueMessage, Sweep

app = App("shop")
offers = app.table("Offers", partition_key="id")
offers.rule("EXPIRES_AT", DeleteItem(), name="expire", via=Sweep("ByExpiry", shards=10))
calls = app.table("Calls", partition_key="id")
calls.rule("CALL_AT", QueueMessage("calls", "text"), name="call", via=Sweep("ByTime", shards=10))
