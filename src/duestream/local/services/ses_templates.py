"""Email templates, in both versions of SES's API: one set of them, whichever version made them."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from duestream.clock import from_ms
from duestream.core.email import MAX_SIZE_BYTES, InvalidParameterValue, check_size, from_send_email
from duestream.core.email_template import (
    EmailTemplate,
    Lookup,
    TemplateDoesNotExistException,
    from_send_templated_email,
)
from duestream.errors import ServiceError
from duestream.local.services import ses_mail
from duestream.local.services.context import Operation, RequestContext
from duestream.local.store import email_templates
from duestream.local.store.email_templates import StoredTemplate

#: SES's names of templates (API reference, CreateTemplate): letters, digits, - and _, up to 64 of them.
MAX_NAME_LENGTH = 64
#: So many on a page unless the request says otherwise, and at the most.
DEFAULT_PAGE, MAX_PAGE = 10, 100

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any]


class AlreadyExistsException(ServiceError):
    """There is a template of this name."""


def lookup_of(context: RequestContext) -> Lookup:
    """Find templates by name."""

    def lookup(name: str) -> EmailTemplate | None:
        stored = email_templates.get_template(context.store.reader, name)
        return None if stored is None else stored.template

    return lookup


async def add(context: RequestContext, name: str, template: EmailTemplate) -> None:
    """Store a template under a name that is free.

    Raises:
        ServiceError: it is not free or no name, or the template cannot be rendered.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidParameterValue(f"Invalid template name: {name[:MAX_NAME_LENGTH]}")
    checked, now_ms = template.check(), context.clock.now_ms()
    if not await context.store.write(lambda tx: email_templates.add_template(tx, name, checked, now_ms=now_ms)):
        raise AlreadyExistsException(f"Template {name} already exists for account id 000000000000")


async def replace(context: RequestContext, name: str, template: EmailTemplate) -> None:
    """Replace a template.

    Raises:
        TemplateDoesNotExistException: there is none of this name.
        InvalidTemplateException: the new one cannot be rendered.
    """
    checked = template.check()
    if not await context.store.write(lambda tx: email_templates.replace_template(tx, name, checked)):
        raise TemplateDoesNotExistException(name)


def get(context: RequestContext, name: str) -> StoredTemplate:
    """One template.

    Raises:
        TemplateDoesNotExistException: there is none of this name.
    """
    stored = email_templates.get_template(context.store.reader, name)
    if stored is None:
        raise TemplateDoesNotExistException(name)
    return stored


async def delete(context: RequestContext, name: str) -> bool:
    """Delete a template; False: there was none."""
    return await context.store.write(lambda tx: email_templates.delete_template(tx, name))


def page(context: RequestContext, *, token: str | None, limit: int | None, name_key: str) -> dict[str, Any]:
    """A page of templates by name, and the token of the next.

    Raises:
        InvalidParameterValue: the token is none of ours.
    """
    wanted = max(1, min(limit or DEFAULT_PAGE, MAX_PAGE))
    found = email_templates.list_templates(context.store.reader, after=_after(token), limit=wanted + 1)
    answer: dict[str, Any] = {
        "TemplatesMetadata": [
            {name_key: stored.name, "CreatedTimestamp": from_ms(stored.created_at_ms)} for stored in found[:wanted]
        ]
    }
    if len(found) > wanted:
        answer["NextToken"] = base64.urlsafe_b64encode(found[wanted - 1].name.encode()).decode("ascii")
    return answer


def _after(token: str | None) -> str:
    try:
        return base64.b64decode(token or "", altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidParameterValue("Invalid NextToken.") from None


# The first version ---------------------------------------------------------------------------------------------


def _template_of(part: Parameters) -> EmailTemplate:
    return EmailTemplate(part.get("SubjectPart"), part.get("TextPart"), part.get("HtmlPart"))


async def create_template(context: RequestContext, parameters: Parameters) -> Answer:
    """Make a template."""
    part = parameters["Template"]
    await add(context, part["TemplateName"], _template_of(part))
    return {}


async def update_template(context: RequestContext, parameters: Parameters) -> Answer:
    """Replace a template."""
    part = parameters["Template"]
    await replace(context, part["TemplateName"], _template_of(part))
    return {}


async def get_template(context: RequestContext, parameters: Parameters) -> Answer:
    """A template."""
    stored = get(context, parameters["TemplateName"])
    parts = {
        "SubjectPart": stored.template.subject,
        "TextPart": stored.template.text,
        "HtmlPart": stored.template.html,
    }
    return {
        "Template": {"TemplateName": stored.name, **{name: part for name, part in parts.items() if part is not None}}
    }


async def list_templates(context: RequestContext, parameters: Parameters) -> Answer:
    """Templates by name."""
    return page(context, token=parameters.get("NextToken"), limit=parameters.get("MaxItems"), name_key="Name")


async def delete_template(context: RequestContext, parameters: Parameters) -> Answer:
    """Delete a template; fine if missing."""
    await delete(context, parameters["TemplateName"])
    return {}


async def send_templated_email(context: RequestContext, parameters: Parameters) -> Answer:
    """Send an email made from a template.

    https://docs.aws.amazon.com/ses/latest/APIReference/API_SendTemplatedEmail.html
    """
    email = from_send_email(from_send_templated_email(parameters, lookup_of(context)))
    check_size(email, MAX_SIZE_BYTES)
    return {"MessageId": await ses_mail.accept_email(context, email)}


OPERATIONS: dict[str, Operation] = {
    "CreateTemplate": create_template,
    "DeleteTemplate": delete_template,
    "GetTemplate": get_template,
    "ListTemplates": list_templates,
    "SendTemplatedEmail": send_templated_email,
    "UpdateTemplate": update_template,
}
