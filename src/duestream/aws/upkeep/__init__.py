"""What tends an app that is deployed: status, logs, backfill, reconcile, cost."""
