"""What a stream's shard and records are called, wherever they are shown."""

import hashlib

from duestream.local.store.streams import Stream


def shard_id(stream: Stream) -> str:
    """The id of a stream's one shard, in AWS's form: its moment of creation, and eight hexadecimal digits."""
    return f"shardId-{stream.created_at_ms:020d}-{stream.id:08x}"


def event_id(stream: Stream, sequence: int) -> str:
    """32 hexadecimal digits that are the same at every read of the record, and of no other record."""
    return hashlib.blake2b(f"{stream.arn}|{sequence}".encode(), digest_size=16).hexdigest()
