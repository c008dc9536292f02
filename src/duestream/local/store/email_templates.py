"""Email templates of SES."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from duestream.core.email_template import EmailTemplate
from duestream.local.store.outcomes import Executes
from duestream.local.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template with its name."""

    name: str
    template: EmailTemplate
    created_at_ms: int


def add_template(tx: Transaction, name: str, template: EmailTemplate, *, now_ms: int) -> bool:
    """Store one; False: there is one of this name, and it stays."""
    if get_template(tx, name) is not None:
        return False
    tx.execute(
        "INSERT INTO email_template (name, subject, text, html, created_at_ms) VALUES (?, ?, ?, ?, ?)",
        (name, template.subject, template.text, template.html, now_ms),
    )
    return True


def replace_template(tx: Transaction, name: str, template: EmailTemplate) -> bool:
    """Replace one; False: there is none."""
    if get_template(tx, name) is None:
        return False
    tx.execute(
        "UPDATE email_template SET subject = ?, text = ?, html = ? WHERE name = ?",
        (template.subject, template.text, template.html, name),
    )
    return True


def delete_template(tx: Transaction, name: str) -> bool:
    """Delete one; False: there is none."""
    if get_template(tx, name) is None:
        return False
    tx.execute("DELETE FROM email_template WHERE name = ?", (name,))
    return True


def get_template(connection: Executes, name: str) -> StoredTemplate | None:
    """One, or None."""
    found = _read(connection, "WHERE name = ?", (name,))
    return found[0] if found else None


def list_templates(connection: Executes, *, after: str, limit: int) -> Sequence[StoredTemplate]:
    """So many by name, from behind this name on."""
    return _read(connection, "WHERE name > ? ORDER BY name LIMIT ?", (after, limit))


def _read(connection: Executes, rest: str, bindings: tuple[Any, ...]) -> list[StoredTemplate]:
    rows: Any = connection.execute(
        f"SELECT name, subject, text, html, created_at_ms FROM email_template {rest}", bindings
    )
    return [
        StoredTemplate(name, EmailTemplate(subject, text, html), at_ms) for name, subject, text, html, at_ms in rows
    ]
