"""Writing XML. Nothing here reads any."""

import re
from collections.abc import Iterable

_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


def escape(text: str) -> str:
    """Text for content and attribute values. Characters that XML cannot hold become U+FFFD."""
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found.group(), "\ufffd"), text)


def element(name: str, content: str | Iterable[str], namespace: str | None = None) -> str:
    """``<name>content</name>``; the content is XML already."""
    inner = content if isinstance(content, str) else "".join(content)
    opening = name if namespace is None else f'{name} xmlns="{escape(namespace)}"'
    return f"<{opening}>{inner}</{name}>"
