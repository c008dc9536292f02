import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from duestream.core.email import from_send_email
from duestream.local.store import emails
from duestream.local.store.emails import Identity, StoredEmail
from duestream.local.store.store import Store

NOON_MS = 1_900_000_000_000
EMAIL = StoredEmail(
    region="eu-west-1",
    source="Clinic <clinic@example.com>",
    to=("ann@example.com",),
    cc=("bob@example.com",),
    bcc=("eve@example.com",),
    reply_to=("desk@example.com",),
    return_path="bounces@example.com",
    subject="Zeit für Ihren Termin",
    text_part="hello",
    html_part="<p>hello</p>",
    raw=b"\x00raw",
    tags={"kind": "reminder"},
    delivery_id="d-1",
    sent_at_ms=NOON_MS,
)


def with_store(folder: Path, body: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = Store.open(folder)
        try:
            await body(store)
        finally:
            await store.close()

    asyncio.run(run())


def plain(sent_at_ms: int = NOON_MS) -> StoredEmail:
    return StoredEmail(region="us-east-1", source="a@example.com", sent_at_ms=sent_at_ms)


def test_a_stored_email_comes_back_whole(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        message_id = await store.write(lambda tx: emails.add_email(tx, EMAIL))
        found = emails.get_email(store.reader, message_id)
        assert found == StoredEmail(
            **{name: getattr(EMAIL, name) for name in EMAIL.__slots__ if name != "message_id"}, message_id=message_id
        )
        assert emails.get_email(store.reader, "unknown") is None

    with_store(tmp_path, body)


def test_emails_are_listed_in_the_order_in_which_they_were_sent(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        sent = await asyncio.gather(*(store.write(lambda tx: emails.add_email(tx, plain())) for _ in range(5)))
        assert [email.message_id for email in emails.list_emails(store.reader)] == sent
        assert len(set(sent)) == 5

    with_store(tmp_path, body)


def test_clearing_takes_one_email_or_all(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        first = await store.write(lambda tx: emails.add_email(tx, plain()))
        await store.write(lambda tx: emails.add_email(tx, plain()))
        await store.write(lambda tx: emails.add_email(tx, plain()))
        assert await store.write(lambda tx: emails.clear_emails(tx, message_id=first)) == 1
        assert emails.count_emails(store.reader) == 2
        assert await store.write(emails.clear_emails) == 2
        assert emails.count_emails(store.reader) == 0

    with_store(tmp_path, body)


def test_emails_are_counted_from_a_moment_on_and_by_period(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        for moment in (1_000, 1_999, 2_500, 9_000):
            await store.write(partial(emails.add_email, email=plain(moment)))
        assert emails.count_emails(store.reader, since_ms=1_999) == 3
        assert list(emails.count_emails_by_period(store.reader, since_ms=1_000, period_ms=1_000)) == [
            (1_000, 2),
            (2_000, 1),
            (9_000, 1),
        ]

    with_store(tmp_path, body)


def test_message_ids_have_the_form_that_ses_gives_them_and_grow() -> None:
    early, late = emails.new_message_id("us-east-1", NOON_MS), emails.new_message_id("us-east-1", NOON_MS + 1)
    assert early < late
    assert early.startswith(f"0100{NOON_MS:012x}-")
    assert early.endswith("-000000")
    assert len(early) == len("0100018f2e5a7b8c-3f1c2f1e-0000-4000-8000-000000000000-000000")


def test_identities_are_put_got_listed_and_deleted(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        domain = Identity(name="example.com", region="us-east-1", created_at_ms=5)
        person = Identity(name="a@example.com", region="us-east-1", created_at_ms=7, declaration={"Tags": {"a": "b"}})
        await store.write(lambda tx: emails.put_identity(tx, domain))
        await store.write(lambda tx: emails.put_identity(tx, person))
        assert emails.get_identity(store.reader, "a@example.com") == person
        assert emails.list_identities(store.reader) == [person, domain]
        assert emails.list_identities(store.reader, after="a@example.com", limit=1) == [domain]
        assert (domain.is_domain, person.is_domain) == (True, False)
        assert await store.write(lambda tx: emails.delete_identity(tx, "example.com"))
        assert not await store.write(lambda tx: emails.delete_identity(tx, "example.com"))
        assert emails.get_identity(store.reader, "example.com") is None

    with_store(tmp_path, body)


def test_putting_an_identity_again_keeps_when_it_was_created(tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        for moment in (5, 9):
            identity = Identity(name="example.com", region="us-east-1", created_at_ms=moment, declaration={"n": moment})
            await store.write(partial(emails.put_identity, identity=identity))
        found = emails.get_identity(store.reader, "example.com")
        assert found == Identity(name="example.com", region="us-east-1", created_at_ms=5, declaration={"n": 9})

    with_store(tmp_path, body)


def test_an_outgoing_email_is_stored_as_it_was_written(tmp_path: Path) -> None:
    outgoing = from_send_email(
        {
            "Source": "Clinic <clinic@example.com>",
            "Destination": {"ToAddresses": ["Ann <ann@bücher.example>"]},
            "Message": {"Subject": {"Data": "Grüße"}, "Body": {"Html": {"Data": "<p>h</p>"}}},
            "Tags": [{"Name": "kind", "Value": "reminder"}],
        }
    )
    stored = emails.stored_email(outgoing, region="us-east-1", sent_at_ms=NOON_MS, delivery_id="d-1")
    assert (stored.source, stored.to) == ("Clinic <clinic@example.com>", ("Ann <ann@bücher.example>",))
    assert (stored.subject, stored.text_part, stored.html_part) == ("Grüße", None, "<p>h</p>")
    assert (stored.tags, stored.delivery_id) == ({"kind": "reminder"}, "d-1")
