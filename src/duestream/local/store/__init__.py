"""The SQLite side: items, stream records, schedules, queues, emails, outcomes. No HTTP."""
