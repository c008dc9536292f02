"""STS: who am I? Clients and tools ask before anything else."""

from collections.abc import Mapping
from typing import Any

from duestream.local.services.context import Operation, RequestContext

#: What AWS answers for the account's root user: the ARN's last part is `root`, the user id the account's.
_ROOT = "root"


async def get_caller_identity(context: RequestContext, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one account that there is (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html)."""
    place = context.place
    return {
        "UserId": place.account_id,
        "Account": place.account_id,
        "Arn": f"arn:{place.partition}:iam::{place.account_id}:{_ROOT}",
    }


OPERATIONS: dict[str, Operation] = {"GetCallerIdentity": get_caller_identity}
