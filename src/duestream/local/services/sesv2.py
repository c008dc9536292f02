"""SES, the second version of its API (REST-JSON). See `ses_mail` for who may send."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from duestream.core.address import InvalidParameterValue
from duestream.core.email import MAX_SIZE_BYTES_V2, OutgoingEmail, check_size, from_send_email_v2
from duestream.core.email_template import (
    EmailTemplate,
    InvalidRenderingParameterException,
    InvalidTemplateException,
    MissingRenderingAttributeException,
    TemplateDoesNotExistException,
    without_template,
)
from duestream.errors import ServiceError
from duestream.local.services import ses_mail, ses_templates
from duestream.local.services.context import Operation, RequestContext
from duestream.local.store import emails
from duestream.local.store.emails import Identity
from duestream.local.store.writer import Transaction

MAX_PAGE_SIZE = 1000
#: SES's most tags of a resource.
MAX_TAGS = 50

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any]


class BadRequestException(ServiceError):
    """The request is not one that SES would carry out."""


class NotFoundException(ServiceError):
    """There is no such identity."""

    status = 404


class AlreadyExistsException(ServiceError):
    """There is such an identity already."""


async def send_email(context: RequestContext, parameters: Parameters) -> Answer:
    """Send an email with Simple or Raw content, or one made from a template; attachments are refused.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
    """
    with _in_words_of_v2():
        parameters = without_template(parameters, ses_templates.lookup_of(context))
    return {"MessageId": await ses_mail.accept_email(context, _read_email(parameters))}


@contextmanager
def _in_words_of_v2() -> Iterator[None]:
    """Errors that the first version of the API has names for."""
    try:
        yield
    except TemplateDoesNotExistException as error:
        raise NotFoundException(error.message) from error
    except ses_templates.AlreadyExistsException as error:
        raise AlreadyExistsException(error.message) from error
    except (
        InvalidParameterValue,
        InvalidTemplateException,
        InvalidRenderingParameterException,
        MissingRenderingAttributeException,
    ) as error:
        raise BadRequestException(error.message) from error


async def create_email_template(context: RequestContext, parameters: Parameters) -> Answer:
    """Make a template."""
    with _in_words_of_v2():
        await ses_templates.add(context, parameters["TemplateName"], _template_of(parameters))
    return {}


async def update_email_template(context: RequestContext, parameters: Parameters) -> Answer:
    """Replace a template."""
    with _in_words_of_v2():
        await ses_templates.replace(context, parameters["TemplateName"], _template_of(parameters))
    return {}


async def get_email_template(context: RequestContext, parameters: Parameters) -> Answer:
    """A template."""
    with _in_words_of_v2():
        stored = ses_templates.get(context, parameters["TemplateName"])
    parts = {"Subject": stored.template.subject, "Text": stored.template.text, "Html": stored.template.html}
    content = {name: part for name, part in parts.items() if part is not None}
    return {"TemplateName": stored.name, "TemplateContent": content}


async def list_email_templates(context: RequestContext, parameters: Parameters) -> Answer:
    """Templates by name."""
    with _in_words_of_v2():
        return ses_templates.page(
            context, token=parameters.get("NextToken"), limit=parameters.get("PageSize"), name_key="TemplateName"
        )


async def delete_email_template(context: RequestContext, parameters: Parameters) -> Answer:
    """Delete a template."""
    name = parameters["TemplateName"]
    if not await ses_templates.delete(context, name):
        raise NotFoundException(f"Template {name} does not exist")
    return {}


def _template_of(parameters: Parameters) -> EmailTemplate:
    content = parameters["TemplateContent"]
    return EmailTemplate(content.get("Subject"), content.get("Text"), content.get("Html"))


async def create_email_identity(context: RequestContext, parameters: Parameters) -> Answer:
    """Make an identity of an address or a domain; it is verified at once."""
    try:
        identity = ses_mail.new_identity(context, parameters["EmailIdentity"])
    except InvalidParameterValue as error:
        raise BadRequestException(error.message) from error
    tags = _with_tags({}, parameters.get("Tags") or ())
    declaration = {"tags": tags, "configuration_set": parameters.get("ConfigurationSetName")}
    identity = replace(identity, declaration=declaration)

    def create(tx: Transaction) -> None:
        if emails.get_identity(tx.connection, identity.name) is not None:
            raise AlreadyExistsException(f"Email identity {identity.name} already exist.")
        emails.put_identity(tx, identity)

    await context.store.write(create)
    return {
        "IdentityType": _type_of(identity),
        "VerifiedForSendingStatus": True,
        "DkimAttributes": _dkim_of(identity),
    }


async def get_email_identity(context: RequestContext, parameters: Parameters) -> Answer:
    """An identity's facts."""
    identity = _identity(emails.get_identity(context.store.reader, parameters["EmailIdentity"]), parameters)
    answer: dict[str, Any] = {
        "IdentityType": _type_of(identity),
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": True,
        "VerificationStatus": "SUCCESS",
        "DkimAttributes": _dkim_of(identity),
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
        "Policies": {},
        "Tags": _tags_of(identity),
    }
    configuration_set = identity.declaration.get("configuration_set")
    return answer if configuration_set is None else {**answer, "ConfigurationSetName": configuration_set}


async def list_email_identities(context: RequestContext, parameters: Parameters) -> Answer:
    """Identities by name."""
    limit = max(1, min(parameters.get("PageSize") or MAX_PAGE_SIZE, MAX_PAGE_SIZE))
    try:
        page, token = ses_mail.page_of_identities(context, token=parameters.get("NextToken"), limit=limit)
    except InvalidParameterValue as error:
        raise BadRequestException(error.message) from error
    answer: dict[str, Any] = {
        "EmailIdentities": [
            {
                "IdentityType": _type_of(identity),
                "IdentityName": identity.name,
                "SendingEnabled": True,
                "VerificationStatus": "SUCCESS",
            }
            for identity in page
        ]
    }
    return answer if token is None else {**answer, "NextToken": token}


async def delete_email_identity(context: RequestContext, parameters: Parameters) -> Answer:
    """Delete an identity."""
    name = parameters["EmailIdentity"]
    if not await context.store.write(partial(emails.delete_identity, name=name)):
        raise _not_found(name)
    return {}


async def get_account(context: RequestContext, parameters: Parameters) -> Answer:
    """The account: out of the sandbox, healthy, with quotas to which nobody is held."""
    return {
        "DedicatedIpAutoWarmupEnabled": False,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": True,
        "SendingEnabled": True,
        "SendQuota": {
            "Max24HourSend": ses_mail.MAX_24_HOUR_SEND,
            "MaxSendRate": ses_mail.MAX_SEND_RATE,
            "SentLast24Hours": ses_mail.sent_last_24_hours(context),
        },
        "SuppressionAttributes": {"SuppressedReasons": []},
    }


async def tag_resource(context: RequestContext, parameters: Parameters) -> Answer:
    """Add tags to an identity, or replace their values."""
    name = _name_of(parameters)

    def tag(tx: Transaction) -> None:
        identity = _identity(emails.get_identity(tx.connection, name), {"EmailIdentity": name})
        tags = _with_tags(identity.declaration.get("tags", {}), parameters["Tags"])
        emails.put_identity(tx, replace(identity, declaration={**identity.declaration, "tags": tags}))

    await context.store.write(tag)
    return {}


async def untag_resource(context: RequestContext, parameters: Parameters) -> Answer:
    """Take tags from an identity; fine if missing."""
    name = _name_of(parameters)

    def untag(tx: Transaction) -> None:
        identity = _identity(emails.get_identity(tx.connection, name), {"EmailIdentity": name})
        tags = {
            key: value
            for key, value in identity.declaration.get("tags", {}).items()
            if key not in parameters["TagKeys"]
        }
        emails.put_identity(tx, replace(identity, declaration={**identity.declaration, "tags": tags}))

    await context.store.write(untag)
    return {}


async def list_tags_for_resource(context: RequestContext, parameters: Parameters) -> Answer:
    """An identity's tags."""
    name = _name_of(parameters)
    identity = _identity(emails.get_identity(context.store.reader, name), {"EmailIdentity": name})
    return {"Tags": _tags_of(identity)}


def _read_email(parameters: Parameters) -> OutgoingEmail:
    destination = parameters.get("Destination") or {}
    for addresses in destination.values():
        if any(not address.strip() for address in addresses):
            # Seen by a user of SES's (domdomegg/aws-ses-v2-local#44).
            raise BadRequestException("Invalid email address .")
    try:
        email = from_send_email_v2(parameters)
        check_size(email, MAX_SIZE_BYTES_V2)
    except InvalidParameterValue as error:
        raise BadRequestException(error.message) from error
    return email


def _identity(found: Identity | None, parameters: Parameters) -> Identity:
    if found is None:
        raise _not_found(parameters["EmailIdentity"])
    return found


def _not_found(name: str) -> NotFoundException:
    return NotFoundException(f"Email identity {name} does not exist.")


def _type_of(identity: Identity) -> str:
    return "DOMAIN" if identity.is_domain else "EMAIL_ADDRESS"


def _dkim_of(identity: Identity) -> Answer:
    if not identity.is_domain:
        return {"SigningEnabled": False, "Status": "NOT_STARTED", "SigningAttributesOrigin": "AWS_SES"}
    return {
        "SigningEnabled": True,
        "Status": "SUCCESS",
        "Tokens": ses_mail.dkim_tokens(identity.name),
        "SigningAttributesOrigin": "AWS_SES",
    }


def _tags_of(identity: Identity) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in identity.declaration.get("tags", {}).items()]


def _with_tags(tags: Mapping[str, str], added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    together = {**tags, **{tag["Key"]: tag["Value"] for tag in added}}
    if len(together) > MAX_TAGS:
        raise BadRequestException(f"A resource can have at most {MAX_TAGS} tags.")
    return together


def _name_of(parameters: Parameters) -> str:
    """The identity's name out of ``arn:aws:ses:REGION:ACCOUNT:identity/NAME``."""
    arn: str = parameters["ResourceArn"]
    _, separator, name = arn.partition(":identity/")
    if not arn.startswith("arn:") or not separator or not name:
        raise BadRequestException(f"Invalid resource ARN <{arn}>: only identities have tags here.")
    return name


OPERATIONS: dict[str, Operation] = {
    "CreateEmailIdentity": create_email_identity,
    "CreateEmailTemplate": create_email_template,
    "DeleteEmailIdentity": delete_email_identity,
    "DeleteEmailTemplate": delete_email_template,
    "GetAccount": get_account,
    "GetEmailIdentity": get_email_identity,
    "GetEmailTemplate": get_email_template,
    "ListEmailIdentities": list_email_identities,
    "ListEmailTemplates": list_email_templates,
    "ListTagsForResource": list_tags_for_resource,
    "SendEmail": send_email,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "UpdateEmailTemplate": update_email_template,
}
