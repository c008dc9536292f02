"""Bytes to requests and answers to bytes. No service, no database."""
