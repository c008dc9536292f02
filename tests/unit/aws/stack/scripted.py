"""Clients that answer as they were told to, and remember what they were asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

Answer = Any | Exception | Callable[[dict[str, Any]], Any]


def refusal(code: str, message: str = "", operation: str = "Operation") -> ClientError:
    """AWS's error."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class ScriptedClient:
    """A client: each operation's answers in their order, the last again and again."""

    def __init__(self, **answers: list[Answer] | Answer) -> None:
        self._answers = {name: list(one) if isinstance(one, list) else [one] for name, one in answers.items()}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self.calls.append((name, parameters))
            assert name in self._answers, f"{name} was not expected: {parameters}"
            answers = self._answers[name]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if callable(answer):
                answer = answer(parameters)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> "ScriptedPages":
        """Pages of an operation: as long as an answer has a NextToken, there is another."""
        return ScriptedPages(getattr(self, name))

    def called(self, name: str) -> list[dict[str, Any]]:
        """The parameters of all calls of an operation."""
        return [parameters for called, parameters in self.calls if called == name]


@dataclass
class ScriptedPages:
    """A paginator."""

    call: Callable[..., Any]

    def paginate(self, **parameters: Any) -> Iterator[Any]:
        page = self.call(**parameters)
        yield page
        while page.get("NextToken"):
            page = self.call(**parameters)
            yield page


@dataclass
class ScriptedAccess:
    """What `Access` is, with scripted clients."""

    clients: dict[str, ScriptedClient]
    region: str = "eu-central-1"
    endpoint_url: str | None = None
    where: str = "eu-central-1"
    pauses: list[float] = field(default_factory=list)

    def client(self, service: str) -> ScriptedClient:
        assert service in self.clients, f"nobody was to ask {service}"
        return self.clients[service]

    def pause(self, seconds: float) -> None:
        """Waits no time, and remembers how long it was to be."""
        self.pauses.append(seconds)
