"""The loops: poller (stream to plan to store), timer (what is due), delivery and its targets."""
