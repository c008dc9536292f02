"""Time to Live through boto3, on a clock that moves when told to."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.conftest import START, RunningServer

from duestream.clock import ManualClock
from duestream.local.engine.expiry import Expiry

pytestmark = pytest.mark.slow

TABLE = "Sessions"
#: Moves the clock by so much.
PassTime = Callable[[timedelta], None]
NOW_S = int(START.timestamp())


@pytest.fixture
def client(manual_server: RunningServer) -> Any:
    client = manual_server.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return client


def switch(client: Any, *, enabled: bool = True, attribute: str = "ttl") -> Any:
    return client.update_time_to_live(
        TableName=TABLE, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute}
    )


def put(client: Any, key: str, **attributes: Any) -> None:
    client.put_item(TableName=TABLE, Item={"id": {"S": key}, **attributes})


def ids(client: Any) -> set[str]:
    return {item["id"]["S"] for item in client.scan(TableName=TABLE)["Items"]}


@pytest.fixture
def pass_time(manual_server: RunningServer, clock: ManualClock) -> PassTime:
    """Moves the clock, and waits until everything that has expired then is deleted."""

    def pass_time(by: timedelta) -> None:
        manual_server.call(lambda: clock.tick(by))
        manual_server.run(Expiry(manual_server.local.store, clock).run_once())

    return pass_time


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_an_item_goes_in_the_second_that_it_names(client: Any, pass_time: PassTime) -> None:
    switch(client)
    put(client, "soon", ttl={"N": str(NOW_S + 60)})
    put(client, "later", ttl={"N": str(NOW_S + 61)})
    pass_time(timedelta(seconds=59))
    assert ids(client) == {"soon", "later"}
    pass_time(timedelta(seconds=1))
    assert ids(client) == {"later"}


def test_what_is_no_moment_never_expires(client: Any, pass_time: PassTime) -> None:
    switch(client)
    put(client, "text", ttl={"S": str(NOW_S + 1)})
    put(client, "none")
    put(client, "long-past", ttl={"N": str(NOW_S - 6 * 365 * 86_400)})  # AWS leaves these alone
    put(client, "milliseconds", ttl={"N": str((NOW_S + 1) * 1000)})
    put(client, "past", ttl={"N": str(NOW_S - 5)})
    pass_time(timedelta(seconds=2))
    assert ids(client) == {"text", "none", "long-past", "milliseconds"}


def test_a_moved_time_counts_and_the_old_one_does_not(client: Any, pass_time: PassTime) -> None:
    switch(client)
    put(client, "moved", ttl={"N": str(NOW_S + 60)})
    put(client, "taken-away", ttl={"N": str(NOW_S + 60)})
    client.update_item(
        TableName=TABLE,
        Key={"id": {"S": "moved"}},
        UpdateExpression="SET #t = :later",
        ExpressionAttributeNames={"#t": "ttl"},
        ExpressionAttributeValues={":later": {"N": str(NOW_S + 600)}},
    )
    put(client, "taken-away")
    pass_time(timedelta(seconds=60))
    assert ids(client) == {"moved", "taken-away"}
    pass_time(timedelta(seconds=540))
    assert ids(client) == {"taken-away"}


def test_items_that_were_there_before_expire_too(client: Any, pass_time: PassTime) -> None:
    for number in range(450):
        put(client, f"old-{number}", ttl={"N": str(NOW_S + 10)})
    put(client, "stays")
    switch(client)
    pass_time(timedelta(seconds=10))
    assert ids(client) == {"stays"}
    described = client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


def test_its_stream_record_says_who_deleted(client: Any, manual_server: RunningServer, pass_time: PassTime) -> None:
    switch(client)
    put(client, "gone", ttl={"N": str(NOW_S + 1)})
    pass_time(timedelta(seconds=1))
    streams = manual_server.client("dynamodbstreams")
    arn = client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    put_record, removed = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert "userIdentity" not in put_record
    assert removed["eventName"] == "REMOVE"
    assert removed["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert removed["dynamodb"]["OldImage"]["id"] == {"S": "gone"}


def test_switched_off_nothing_expires(client: Any, pass_time: PassTime) -> None:
    switch(client)
    put(client, "kept", ttl={"N": str(NOW_S + 1)})
    switch(client, enabled=False)
    pass_time(timedelta(seconds=5))
    assert ids(client) == {"kept"}
    assert client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    switch(client, attribute="other")
    put(client, "by-the-other", other={"N": str(NOW_S + 6)})
    pass_time(timedelta(seconds=5))
    assert ids(client) == {"kept"}


def test_switching_it_to_what_it_is_is_refused(client: Any) -> None:
    assert refusal(lambda: switch(client, enabled=False)) == ("ValidationException", "TimeToLive is already disabled")
    switch(client)
    assert refusal(lambda: switch(client)) == ("ValidationException", "TimeToLive is already enabled")
    assert refusal(lambda: switch(client, attribute="other")) == (
        "ValidationException",
        "TimeToLive is active on a different AttributeName: current AttributeName is ttl",
    )


def test_a_missing_table_is_not_found(client: Any) -> None:
    code, _ = refusal(lambda: client.describe_time_to_live(TableName="NoSuchTable"))
    assert code == "ResourceNotFoundException"


def test_a_deleted_table_expires_nothing_of_its_successor(client: Any, pass_time: PassTime) -> None:
    switch(client)
    put(client, "gone", ttl={"N": str(NOW_S + 1)})
    client.delete_table(TableName=TABLE)
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    put(client, "gone", ttl={"N": str(NOW_S + 1)})
    pass_time(timedelta(seconds=5))
    assert ids(client) == {"gone"}


def test_point_in_time_recovery_is_kept_as_declared(client: Any) -> None:
    def described() -> Any:
        answer = client.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
        return answer["PointInTimeRecoveryDescription"]

    assert described() == {"PointInTimeRecoveryStatus": "DISABLED"}
    client.update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    assert described() == {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35}
    code, message = refusal(lambda: client.describe_continuous_backups(TableName="NoSuchTable"))
    assert (code, message) == ("TableNotFoundException", "Table not found: NoSuchTable")
