"""What runs inside the processes of Lambda functions. Started as files, never imported by the server."""
