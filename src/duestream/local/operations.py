"""Which services are served, and every operation of theirs. A service is served once it has its line here."""

from collections.abc import Mapping

from duestream.local.services import cloudwatch, dynamodb, lambda_, scheduler, ses, sesv2, sqs, streams, sts
from duestream.local.services.context import Operation

#: Services under botocore's names.
SERVICES: Mapping[str, Mapping[str, Operation]] = {
    "cloudwatch": cloudwatch.OPERATIONS,
    "dynamodb": dynamodb.OPERATIONS,
    "dynamodbstreams": streams.OPERATIONS,
    "lambda": lambda_.OPERATIONS,
    "scheduler": scheduler.OPERATIONS,
    "ses": ses.OPERATIONS,
    "sesv2": sesv2.OPERATIONS,
    "sqs": sqs.OPERATIONS,
    "sts": sts.OPERATIONS,
}

#: Operations that may only wait: cancelled when their client goes away.
LONG_POLLS = frozenset({("sqs", "ReceiveMessage")})
