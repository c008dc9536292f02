"""The bucket that a stack's code is read from: made when it is needed, shut to the public, emptied with the stack."""

import hashlib
import json
from dataclasses import dataclass

from botocore.exceptions import ClientError

from duestream.aws.stack.session import DENIED, Access, AwsError, Identity, code_of, message_of

_MISSING = frozenset({"404", "NoSuchBucket", "NotFound", "NoSuchKey"})
_EXISTS = frozenset({"BucketAlreadyOwnedByYou"})
#: Here S3 wants to hear no region, for reasons of its history.
_FIRST_REGION = "us-east-1"
#: Of objects that one request deletes.
MAX_BATCH = 1000
MAX_NAME_LENGTH = 63


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket for bundles.

    Args:
        name: of the bucket.
        is_ours: its name is the one that we give, so that it may be made and deleted.
    """

    name: str
    is_ours: bool


def bucket_for(identity: Identity, region: str, named: str | None) -> Bucket:
    """The bucket that was named, or ours for this account and region: ``duestream-<account>-<region>``."""
    ours = f"duestream-{identity.account_id}-{region}"
    return Bucket(named or ours, named is None or named == ours)


def bundle_key(stack_name: str, bundle: bytes) -> str:
    """Where a bundle lies: told from its bytes, so that the same code is the same key."""
    return f"{stack_name}/bundle-{hashlib.sha256(bundle).hexdigest()[:32]}.zip"


def template_key(stack_name: str, template: bytes) -> str:
    """Where a template lies that is larger than a request takes."""
    return f"{stack_name}/template-{hashlib.sha256(template).hexdigest()[:32]}.json"


def bucket_exists(access: Access, bucket: Bucket, identity: Identity) -> bool:
    """Whether the bucket is there, and is the caller's own.

    Raises:
        AwsError: it is somebody else's.
        ClientError: S3 refuses the question.
    """
    try:
        access.client("s3").head_bucket(Bucket=bucket.name, ExpectedBucketOwner=identity.account_id)
    except ClientError as error:
        if code_of(error) in _MISSING:
            return False
        if code_of(error) in {"403", *DENIED}:
            raise AwsError(
                f"the bucket {bucket.name} is not this account's, or may not be used by {identity.arn}",
                remedy="Name another one with --bucket.",
                code=code_of(error),
            ) from error
        raise
    return True


def make_bucket(access: Access, bucket: Bucket, identity: Identity) -> None:
    """Make the bucket: public access blocked, everything in it encrypted, access by policies alone, and with TLS.

    Raises:
        AwsError: it is not to be made by us, or the name is taken.
    """
    if not bucket.is_ours:
        raise AwsError(f"there is no bucket {bucket.name}", remedy="Make it, or leave --bucket out to have one made.")
    s3, region = access.client("s3"), access.region
    place = {} if region == _FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket.name, **place)  # without ACLs, as S3 makes every bucket since April 2023
    except ClientError as error:
        if code_of(error) == "BucketAlreadyExists":
            raise AwsError(
                f"the name {bucket.name} is taken by another account", remedy="Name a bucket of yours with --bucket."
            ) from error
        if code_of(error) not in _EXISTS:
            raise
    s3.put_public_access_block(
        Bucket=bucket.name,
        PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        ),
    )
    s3.put_bucket_encryption(
        Bucket=bucket.name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]
        },
    )
    if (access.endpoint_url or "").startswith("http:"):
        return  # an implementation on this machine, say: nobody would get in any more
    policy = _only_with_tls(f"arn:{identity.partition}:s3:::{bucket.name}")
    s3.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))


def _only_with_tls(arn: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyWithTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def put_object(access: Access, bucket: Bucket, key: str, body: bytes, identity: Identity) -> bool:
    """Put an object whose key tells its contents; False: it was there already."""
    s3 = access.client("s3")
    owner = {"Bucket": bucket.name, "ExpectedBucketOwner": identity.account_id}
    try:
        s3.head_object(Key=key, **owner)
        return False
    except ClientError as error:
        if code_of(error) not in {*_MISSING, "403"}:  # without ListBucket, S3 says 403 of what is not there
            raise
    s3.put_object(Key=key, Body=body, **owner)
    return True


def object_url(access: Access, bucket: Bucket, key: str) -> str:
    """An object's URL, as CloudFormation takes it."""
    if access.endpoint_url:
        return f"{access.endpoint_url.rstrip('/')}/{bucket.name}/{key}"
    suffix = "amazonaws.com.cn" if access.region.startswith("cn-") else "amazonaws.com"
    return f"https://{bucket.name}.s3.{access.region}.{suffix}/{key}"


def stack_objects(access: Access, bucket: Bucket, stack_name: str) -> list[str]:
    """The keys of a stack's objects; none if there is no such bucket."""
    try:
        pages = (
            access.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=f"{stack_name}/")
        )
        return [shown["Key"] for page in pages for shown in page.get("Contents", ())]
    except ClientError as error:
        if code_of(error) in _MISSING:
            return []
        raise


def delete_objects(access: Access, bucket: Bucket, keys: list[str]) -> None:
    """Delete objects.

    Raises:
        AwsError: S3 kept some.
    """
    for start in range(0, len(keys), MAX_BATCH):
        batch = [{"Key": key} for key in keys[start : start + MAX_BATCH]]
        answer = access.client("s3").delete_objects(Bucket=bucket.name, Delete={"Objects": batch, "Quiet": True})
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise AwsError(f"s3://{bucket.name}/{first['Key']} was not deleted: {first['Code']}: {first['Message']}")


def delete_bucket_if_empty(access: Access, bucket: Bucket) -> bool:
    """Delete the bucket, if it is ours and nothing is left in it; whether it is gone."""
    if not bucket.is_ours:
        return False
    try:
        access.client("s3").delete_bucket(Bucket=bucket.name)
    except ClientError as error:
        if code_of(error) in {"BucketNotEmpty", *_MISSING, *DENIED}:
            return False
        raise AwsError(f"the bucket {bucket.name} was not deleted: {message_of(error)}") from error
    return True
