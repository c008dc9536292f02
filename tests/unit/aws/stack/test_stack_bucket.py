"""The bucket for bundles: made shut and encrypted, filled once for the same bytes, and emptied."""

import json
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream.aws.stack.bucket import (
    Bucket,
    bucket_exists,
    bucket_for,
    bundle_key,
    delete_bucket_if_empty,
    delete_objects,
    make_bucket,
    object_url,
    put_object,
    stack_objects,
)
from duestream.aws.stack.session import AwsError, Identity

IDENTITY = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")
OURS = bucket_for(IDENTITY, "eu-central-1", None)
THEIRS = Bucket("releases", is_ours=False)


def access(region: str = "eu-central-1", **answers: Any) -> tuple[Any, ScriptedClient]:
    client = ScriptedClient(**answers)
    return ScriptedAccess({"s3": client}, region), client


def test_ours_is_named_after_account_and_region() -> None:
    assert Bucket("duestream-123456789012-eu-central-1", is_ours=True) == OURS
    assert bucket_for(IDENTITY, "eu-central-1", "releases") == THEIRS
    assert len(bucket_for(IDENTITY, "ap-southeast-99", None).name) <= 63


def test_the_same_code_has_the_same_key_and_other_code_another() -> None:
    assert bundle_key("clinic", b"a") == bundle_key("clinic", b"a")
    assert bundle_key("clinic", b"a") != bundle_key("clinic", b"b")
    assert bundle_key("clinic", b"a").startswith("clinic/")


@pytest.mark.parametrize(
    ("region", "place"),
    [("us-east-1", {}), ("eu-central-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}})],
)
def test_a_bucket_is_made_shut_and_encrypted(region: str, place: dict[str, Any]) -> None:
    answers: dict[str, Any] = {"create_bucket": {}, "put_public_access_block": {}, "put_bucket_encryption": {}}
    here, client = access(region, **answers, put_bucket_policy={})
    make_bucket(here, OURS, IDENTITY)
    assert client.called("create_bucket") == [{"Bucket": OURS.name, **place}]
    (blocked,) = client.called("put_public_access_block")
    assert set(blocked["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(client.called("put_bucket_encryption")) == 1
    (put,) = client.called("put_bucket_policy")
    (statement,) = json.loads(put["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{OURS.name}", f"arn:aws:s3:::{OURS.name}/*"]


def test_where_there_is_no_tls_it_is_not_demanded() -> None:
    here, client = access(create_bucket={}, put_public_access_block={}, put_bucket_encryption={})
    here.endpoint_url = "http://127.0.0.1:4566"
    make_bucket(here, OURS, IDENTITY)
    assert client.called("put_bucket_policy") == []


def test_a_bucket_that_was_named_is_never_made() -> None:
    here, client = access()
    with pytest.raises(AwsError, match="there is no bucket releases"):
        make_bucket(here, THEIRS, IDENTITY)
    assert client.calls == []


def test_somebody_elses_bucket_is_not_written_to() -> None:
    here, _ = access(create_bucket=refusal("BucketAlreadyExists"))
    with pytest.raises(AwsError, match="is taken by another account"):
        make_bucket(here, OURS, IDENTITY)
    here, client = access(head_bucket=refusal("403"))
    with pytest.raises(AwsError, match="is not this account's"):
        bucket_exists(here, OURS, IDENTITY)
    assert client.called("head_bucket")[0]["ExpectedBucketOwner"] == "123456789012"
    here, _ = access(head_bucket=refusal("404"))
    assert not bucket_exists(here, OURS, IDENTITY)


def test_what_is_there_is_not_uploaded_again() -> None:
    here, client = access(head_object={})
    assert not put_object(here, OURS, "k", b"code", IDENTITY)
    assert client.called("put_object") == []
    here, client = access(head_object=refusal("404"), put_object={})
    assert put_object(here, OURS, "k", b"code", IDENTITY)
    assert client.called("put_object")[0]["Body"] == b"code"


def test_an_objects_url_is_where_cloudformation_reads_it() -> None:
    here, _ = access()
    assert object_url(here, OURS, "k") == f"https://{OURS.name}.s3.eu-central-1.amazonaws.com/k"
    here.endpoint_url = "http://127.0.0.1:4566/"
    assert object_url(here, OURS, "k") == f"http://127.0.0.1:4566/{OURS.name}/k"


def test_only_the_stacks_own_objects_are_listed_and_what_s3_keeps_is_told() -> None:
    here, client = access(list_objects_v2={"Contents": [{"Key": "clinic/a"}]})
    assert stack_objects(here, OURS, "clinic") == ["clinic/a"]
    assert client.called("list_objects_v2")[0]["Prefix"] == "clinic/"
    here, _ = access(list_objects_v2=refusal("NoSuchBucket"))
    assert stack_objects(here, OURS, "clinic") == []
    here, _ = access(delete_objects={"Errors": [{"Key": "clinic/a", "Code": "AccessDenied", "Message": "no"}]})
    with pytest.raises(AwsError, match="clinic/a was not deleted: AccessDenied: no"):
        delete_objects(here, OURS, ["clinic/a"])


def test_objects_are_deleted_a_thousand_at_a_time() -> None:
    here, client = access(delete_objects={})
    delete_objects(here, OURS, [str(number) for number in range(2001)])
    assert [len(call["Delete"]["Objects"]) for call in client.called("delete_objects")] == [1000, 1000, 1]


def test_the_bucket_goes_only_if_it_is_ours_and_empty() -> None:
    here, client = access(delete_bucket={})
    assert not delete_bucket_if_empty(here, THEIRS)
    assert client.calls == []
    assert delete_bucket_if_empty(here, OURS)
    here, _ = access(delete_bucket=refusal("BucketNotEmpty"))
    assert not delete_bucket_if_empty(here, OURS)
