"""What each failed call means."""

import pytest

from duestream.aws.failures import Meaning, error_from, meaning_of


@pytest.mark.parametrize(
    ("code", "message", "status", "meaning"),
    [
        ("ThrottlingException", "Rate exceeded", 429, Meaning.THROTTLED),
        ("TooManyRequestsException", "", 400, Meaning.THROTTLED),
        ("Http429", "", 429, Meaning.THROTTLED),
        ("InternalServerException", "", 500, Meaning.TRANSIENT),
        ("Http502", "", 502, Meaning.TRANSIENT),
        ("ConnectionError", "Read timed out.", 0, Meaning.TRANSIENT),
        ("ConflictException", "Schedule x already exists.", 409, Meaning.CONFLICT),
        ("ResourceNotFoundException", "Schedule x does not exist.", 404, Meaning.MISSING),
        ("ValidationException", "Invalid Schedule Expression at(x).", 400, Meaning.REFUSED),
        ("Http413", "", 413, Meaning.REFUSED),
        ("ServiceQuotaExceededException", "", 402, Meaning.NO_ROOM),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole", 403, Meaning.HOPELESS),
        ("ExpiredTokenException", "", 403, Meaning.HOPELESS),
        ("AWS.SimpleQueueService.NonExistentQueue", "", 400, Meaning.HOPELESS),
    ],
)
def test_a_failure_means(code: str, message: str, status: int, meaning: Meaning) -> None:
    assert meaning_of(code, message, status) is meaning


def test_a_role_that_is_not_known_everywhere_yet_poisons_no_record() -> None:
    text = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    assert meaning_of("ValidationException", text, 400) is Meaning.HOPELESS


def test_botocores_errors_are_read() -> None:
    response = {"Error": {"Code": "Throttling", "Message": "slow"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    error = error_from(response)
    assert (error.code, error.message, error.status, error.meaning) == ("Throttling", "slow", 400, Meaning.THROTTLED)
