import pytest

from duestream.cli.announcement import told_of_others
from duestream.cli.entry import ASKED_WRONGLY, run
from duestream.core.forwarding import Forwarding


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("nonsense", "names no endpoint"),
        ("sqs=http://127.0.0.1:1", "sqs is served here"),
        ("snss=http://127.0.0.1:1", "there is no service 'snss'"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_a_mistake(
    option: str, problem: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    assert run(["up", "--port", "0", "--data", str(folder), "--forward", option]) == ASKED_WRONGLY
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("forwarding", "told"),
    [
        (Forwarding("moto"), "services go to moto, started when it is needed; what it holds is in memory only"),
        (Forwarding("http://a", {"sns": "aws"}), "services go to http://a; sns to aws"),
        (Forwarding("aws"), "services go to AWS, with the credentials of this environment"),
        (Forwarding(None), "services are refused: pip install 'duestream[moto]' or name an endpoint with --forward"),
    ],
)
def test_it_is_said_where_other_services_go(forwarding: Forwarding, told: str) -> None:
    assert told_of_others(forwarding) == told
