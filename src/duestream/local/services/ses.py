"""SES, the first version of its API (query protocol). See `ses_mail` for who may send."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from duestream.clock import from_ms
from duestream.core.address import InvalidParameterValue
from duestream.core.email import MAX_SIZE_BYTES, check_size, from_send_email, from_send_raw_email
from duestream.local.services import ses_mail, ses_templates
from duestream.local.services.context import Operation, RequestContext
from duestream.local.store import emails

#: GetSendStatistics covers two weeks in quarters of an hour.
STATISTICS_MS = 14 * ses_mail.DAY_MS
STATISTICS_PERIOD_MS = 15 * 60 * 1000
MAX_IDENTITIES = 1000

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any]


async def send_email(context: RequestContext, parameters: Parameters) -> Answer:
    """Send an email of text, HTML or both.

    https://docs.aws.amazon.com/ses/latest/APIReference/API_SendEmail.html. Configuration sets are not looked at.
    """
    email = from_send_email(parameters)
    check_size(email, MAX_SIZE_BYTES)
    return {"MessageId": await ses_mail.accept_email(context, email)}


async def send_raw_email(context: RequestContext, parameters: Parameters) -> Answer:
    """Send a whole MIME message.

    https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html
    """
    email = from_send_raw_email(parameters)
    check_size(email, MAX_SIZE_BYTES)
    return {"MessageId": await ses_mail.accept_email(context, email)}


async def verify_email_identity(context: RequestContext, parameters: Parameters) -> Answer:
    """Make an identity of an address; it is verified at once."""
    address = parameters["EmailAddress"]
    if "@" not in address:
        raise InvalidParameterValue(f"Invalid email address<{address}>.")
    await context.store.write(partial(emails.put_identity, identity=ses_mail.new_identity(context, address)))
    return {}


async def verify_domain_identity(context: RequestContext, parameters: Parameters) -> Answer:
    """Make an identity of a domain; it is verified at once."""
    domain = parameters["Domain"]
    if "@" in domain:
        raise InvalidParameterValue(f"Invalid domain name <{domain}>.")
    identity = ses_mail.new_identity(context, domain)
    await context.store.write(partial(emails.put_identity, identity=identity))
    return {"VerificationToken": ses_mail.verification_token(identity.name)}


async def list_identities(context: RequestContext, parameters: Parameters) -> Answer:
    """Names of identities, by name; the filter is IdentityType."""
    kind = parameters.get("IdentityType")
    page, token = ses_mail.page_of_identities(
        context,
        token=parameters.get("NextToken"),
        limit=max(1, min(parameters.get("MaxItems") or MAX_IDENTITIES, MAX_IDENTITIES)),
        is_domain=None if kind is None else kind == "Domain",
    )
    answer: dict[str, Any] = {"Identities": [identity.name for identity in page]}
    return answer if token is None else {**answer, "NextToken": token}


async def list_verified_email_addresses(context: RequestContext, parameters: Parameters) -> Answer:
    """Names of the identities that are addresses."""
    identities = emails.list_identities(context.store.reader)
    return {"VerifiedEmailAddresses": [identity.name for identity in identities if not identity.is_domain]}


async def get_identity_verification_attributes(context: RequestContext, parameters: Parameters) -> Answer:
    """``Success`` for each identity that there is; others are left out, as SES does."""
    attributes = {}
    for name in parameters["Identities"]:
        identity = emails.get_identity(context.store.reader, name)
        if identity is None:
            continue
        attributes[name] = {"VerificationStatus": "Success"}
        if identity.is_domain:
            attributes[name]["VerificationToken"] = ses_mail.verification_token(name)
    return {"VerificationAttributes": attributes}


async def delete_identity(context: RequestContext, parameters: Parameters) -> Answer:
    """Delete an identity; fine if missing."""
    await context.store.write(partial(emails.delete_identity, name=parameters["Identity"]))
    return {}


async def get_send_quota(context: RequestContext, parameters: Parameters) -> Answer:
    """Quotas of a usual account, to which nobody is held, and how many emails were sent in the last 24 hours."""
    return {
        "Max24HourSend": ses_mail.MAX_24_HOUR_SEND,
        "MaxSendRate": ses_mail.MAX_SEND_RATE,
        "SentLast24Hours": ses_mail.sent_last_24_hours(context),
    }


async def get_send_statistics(context: RequestContext, parameters: Parameters) -> Answer:
    """Emails sent in the last two weeks, by quarters of an hour. Nothing bounces here."""
    since_ms = context.clock.now_ms() - STATISTICS_MS
    periods = emails.count_emails_by_period(context.store.reader, since_ms=since_ms, period_ms=STATISTICS_PERIOD_MS)
    return {
        "SendDataPoints": [
            {"Timestamp": from_ms(start), "DeliveryAttempts": count, "Bounces": 0, "Complaints": 0, "Rejects": 0}
            for start, count in periods
        ]
    }


async def get_account_sending_enabled(context: RequestContext, parameters: Parameters) -> Answer:
    """Sending is always enabled."""
    return {"Enabled": True}


OPERATIONS: dict[str, Operation] = {
    **ses_templates.OPERATIONS,
    "DeleteIdentity": delete_identity,
    "GetAccountSendingEnabled": get_account_sending_enabled,
    "GetIdentityVerificationAttributes": get_identity_verification_attributes,
    "GetSendQuota": get_send_quota,
    "GetSendStatistics": get_send_statistics,
    "ListIdentities": list_identities,
    "ListVerifiedEmailAddresses": list_verified_email_addresses,
    "SendEmail": send_email,
    "SendRawEmail": send_raw_email,
    "VerifyDomainIdentity": verify_domain_identity,
    "VerifyEmailAddress": verify_email_identity,
    "VerifyEmailIdentity": verify_email_identity,
}
