import asyncio

import pytest

from duestream.core.forwarding import Forwarding
from duestream.errors import SettingsError, ValidationException
from duestream.local.engine.endpoints import Endpoints, OwnServer

SERVED = {"sqs": frozenset({"PurgeQueue", "SendMessage"})}


def test_a_service_of_its_own_comes_before_the_default() -> None:
    endpoints = Endpoints(Forwarding("http://a", {"sfn": "http://b", "sns": "none"}), SERVED)
    assert endpoints.target_of("stepfunctions") == "http://b"
    assert endpoints.target_of("events") == "http://a"
    assert endpoints.target_of("sns") is None


@pytest.mark.parametrize(("name", "problem"), [("nothing", "there is no service"), ("sqs", "is served here")])
def test_a_service_that_cannot_be_forwarded_is_a_mistake(name: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Endpoints(Forwarding(None, {name: "http://a"}), SERVED)


def test_what_goes_nowhere_says_how_to_mend_it() -> None:
    with pytest.raises(ValidationException, match="--forward"):
        Endpoints(Forwarding(), SERVED).members_of("sns", "publish")


def test_further_operations_of_our_own_services_are_called_at_our_own_endpoint() -> None:
    async def work() -> None:
        endpoints = Endpoints(Forwarding("http://a"), SERVED)
        assert await endpoints.url_of("sqs") is None
        endpoints.own = OwnServer("http://127.0.0.1:1")
        assert await endpoints.url_of("sqs") == "http://127.0.0.1:1"
        assert await endpoints.url_of("sns") == "http://a"
        assert endpoints.members_of("sqs", "purgeQueue").required == ("QueueUrl",)
        with pytest.raises(ValidationException, match="TagQueue is not among the operations of sqs"):
            endpoints.members_of("sqs", "tagQueue")
        await endpoints.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("own", "port"),
    [
        (OwnServer("http://127.0.0.1:8787"), 8787),
        (OwnServer("http://localhost:8787"), 8787),
        (OwnServer("http://192.0.2.1:8787"), None),
        (OwnServer("http://127.0.0.1:8787", ("id", "secret")), None),
    ],
)
def test_tasks_of_state_machines_reach_us_where_they_can(own: OwnServer, port: int | None) -> None:
    assert own.tasks_port == port
