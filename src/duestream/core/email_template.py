"""SES's email templates: checked when they are made, rendered when they are sent.

A template's tags are names in double braces, with dots into objects and numbers in brackets into lists:
``{{name}}``, ``{{order.lines.[0].title}}``. Values go in as they are: SES does not escape HTML either (developer
guide, "Personalized email"). Blocks, partials and helpers of Handlebars' are refused when the template is made.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from duestream.errors import ServiceError

#: SES developer guide, "Service quotas".
MAX_TEMPLATE_BYTES = 500 * 1024
MAX_DATA_BYTES = 256 * 1024

_TAG = re.compile(r"\{\{\{([^{}]*)\}\}\}|\{\{([^{}]*)\}\}")
_PATH = re.compile(r"(?:this\.)?(?:[^\s.\[\]{}#/^>&!'\"()=|]+|\[\d+\])(?:\.(?:[^\s.\[\]{}#/^>&!'\"()=|]+|\[\d+\]))*")


class InvalidTemplateException(ServiceError):
    """The template cannot be rendered, whatever the data."""


class InvalidRenderingParameterException(ServiceError):
    """The data is not a JSON object."""


class MissingRenderingAttributeException(ServiceError):
    """The data lacks what the template names."""


class TemplateDoesNotExistException(ServiceError):
    """There is no template of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Template {name} does not exist")


@dataclass(frozen=True, slots=True)
class EmailTemplate:
    """A template, or what became of it.

    Raises:
        InvalidTemplateException: a part of it cannot be rendered.
    """

    subject: str | None
    text: str | None = None
    html: str | None = None

    def check(self) -> "EmailTemplate":
        """The template itself, if it can be rendered.

        Raises:
            InvalidTemplateException: it has no body, is too large, or has tags that are not rendered here.
        """
        parts = [part for part in (self.subject, self.text, self.html) if part is not None]
        if self.text is None and self.html is None:
            raise InvalidTemplateException("A template must have a text part, an HTML part or both.")
        if sum(len(part.encode()) for part in parts) > MAX_TEMPLATE_BYTES:
            raise InvalidTemplateException(f"A template has at most {MAX_TEMPLATE_BYTES} bytes.")
        for part in parts:
            for found in _TAG.finditer(part):
                _check_tag(found)
            if "{{" in _TAG.sub("", part):
                raise InvalidTemplateException("A tag of the template is not closed: }} is missing.")
        return self

    def rendered(self, data: str | None) -> "EmailTemplate":
        """Its texts with the data's values in the place of the tags.

        Args:
            data: a JSON object.

        Raises:
            InvalidRenderingParameterException: `data` is none.
            MissingRenderingAttributeException: a tag has no value. SES's API accepts such an email and then does not
                send it (a "rendering failure" event); here the sender is told.
        """
        values = _read(data)
        parts = (None if part is None else _rendered(part, values) for part in (self.subject, self.text, self.html))
        return EmailTemplate(*parts)


#: A stored template by its name; None: there is none.
Lookup = Callable[[str], EmailTemplate | None]


def without_template(parameters: Mapping[str, Any], lookup: Lookup) -> Mapping[str, Any]:
    """Parameters of SES v2's SendEmail with Simple content in the place of a template.

    Raises:
        TemplateDoesNotExistException: it names one that there is not.
        ServiceError: it cannot be rendered.
    """
    content = parameters.get("Content")
    if not isinstance(content, Mapping) or content.get("Template") is None:
        return parameters
    asked = _object(content["Template"], "Content.Template")
    inline = asked.get("TemplateContent")
    if inline is not None:
        inline = _object(inline, "TemplateContent")
        template = EmailTemplate(inline.get("Subject"), inline.get("Text"), inline.get("Html")).check()
    else:
        template = _found(_name_of(asked), lookup)
    simple = _message(template.rendered(asked.get("TemplateData")))
    for member in ("Headers", "Attachments"):
        if asked.get(member):
            simple[member] = asked[member]
    return {**parameters, "Content": {"Simple": simple}}


def from_send_templated_email(parameters: Mapping[str, Any], lookup: Lookup) -> Mapping[str, Any]:
    """Parameters of SES v1's SendTemplatedEmail as those of SendEmail.

    Raises:
        TemplateDoesNotExistException: it names one that there is not.
        ServiceError: it cannot be rendered.
    """
    name = parameters.get("Template")
    template = _found(name if isinstance(name, str) else "", lookup)
    others = {key: value for key, value in parameters.items() if key not in ("Template", "TemplateArn", "TemplateData")}
    return {**others, "Message": _message(template.rendered(parameters.get("TemplateData")))}


def _message(rendered: EmailTemplate) -> dict[str, Any]:
    body = {"Text": rendered.text, "Html": rendered.html}
    return {
        "Subject": {"Data": rendered.subject or ""},
        "Body": {name: {"Data": part} for name, part in body.items() if part is not None},
    }


def _found(name: str, lookup: Lookup) -> EmailTemplate:
    template = lookup(name)
    if template is None:
        raise TemplateDoesNotExistException(name)
    return template


def _name_of(asked: Mapping[str, Any]) -> str:
    name = asked.get("TemplateName") or str(asked.get("TemplateArn") or "").rpartition(":template/")[2]
    return name if isinstance(name, str) else ""


def _object(value: object, member: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRenderingParameterException(f"{member} must be an object")
    return value


def _read(data: object) -> Mapping[str, Any]:
    if data is None:
        return {}
    try:
        values = json.loads(data) if isinstance(data, str) and len(data) <= MAX_DATA_BYTES else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise InvalidRenderingParameterException("Template rendering data is invalid")
    return values


def _check_tag(found: re.Match[str]) -> None:
    tag = (found[1] if found[1] is not None else found[2]).strip()
    if not tag.startswith("!") and _PATH.fullmatch(tag) is None:
        raise InvalidTemplateException(
            f"The tag {found[0][:200]} is not rendered by this server: names such as {{{{order.id}}}} are, "
            "blocks, partials and helpers are not."
        )


def _rendered(part: str, values: Mapping[str, Any]) -> str:
    return _TAG.sub(lambda found: _value(found[1] if found[1] is not None else found[2], values), part)


def _value(tag: str, values: Mapping[str, Any]) -> str:
    path = tag.strip()
    if path.startswith("!"):  # a comment
        return ""
    value: Any = values
    for step in path.removeprefix("this.").split("."):
        key: Any = int(step[1:-1]) if step.startswith("[") else step
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise MissingRenderingAttributeException(
                f"Attribute '{path}' is not present in the rendering data."
            ) from None
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
