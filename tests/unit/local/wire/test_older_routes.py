"""Clients whose service models are older than ours."""

from duestream.local.wire.http import HttpRequest
from duestream.local.wire.rest_json import RestJson


def test_the_route_that_the_aws_cli_1_takes_to_list_identities_is_served() -> None:
    request = HttpRequest("GET", "/v2/email/identities", "PageSize=7&NextToken=abc", {}, b"")
    codec = RestJson("sesv2")
    assert codec.operation_of(request) == "ListEmailIdentities"
    assert codec.parameters("ListEmailIdentities", request) == {"PageSize": 7, "NextToken": "abc"}
