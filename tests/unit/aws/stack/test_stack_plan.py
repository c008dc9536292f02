"""A plan: what it looks at, how it tells what it may not see, and that it leaves nothing behind."""

import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.aws.stack.scripted import ScriptedAccess, ScriptedClient, refusal

from duestream import App, AwsCall, DeleteItem, Email, HttpRequest, QueueMessage
from duestream.aws.stack.checks import Check, offline_checks
from duestream.aws.stack.draft import Draft, Fitted
from duestream.aws.stack.options import StackOptions
from duestream.aws.stack.plan import Plan, Planning
from duestream.aws.stack.session import Identity
from duestream.aws.stack.targets import check_quotas, check_resources, check_senders, invoked_arn, senders_of
from duestream.clock import ManualClock
from duestream.core.schedule import Invocation, Place

IDENTITY = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")
NO_STACK = refusal("ValidationError", "Stack with id clinic does not exist")
MISSING = refusal("ResourceNotFoundException")
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def code() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("clinic.py", "app = 1")
    return packed.getvalue()


def draft(app: App) -> Draft:
    return Draft(app, "clinic", StackOptions(entry="clinic:app"), code())


def offline(app: App) -> dict[str, Check]:
    made = draft(app)
    return {check.subject: check for check in offline_checks(made, Fitted(made, ()).template())}


class TestAccess(ScriptedAccess):
    """A way to AWS that knows who asks."""

    __test__ = False

    def identity(self) -> Identity:
        return IDENTITY


def plan_of(app: App, **clients: ScriptedClient) -> tuple[Plan, TestAccess]:
    usual = {
        "cloudformation": ScriptedClient(
            describe_stacks=[
                NO_STACK,
                {"Stacks": [{"StackId": "s", "StackName": "c", "StackStatus": "REVIEW_IN_PROGRESS"}]},
            ],
            create_change_set={"Id": "arn:changes", "StackId": "arn:stack"},
            describe_change_set={
                "Status": "CREATE_COMPLETE",
                "Changes": [
                    {"ResourceChange": {"Action": "Add", "LogicalResourceId": "Q", "ResourceType": "AWS::SQS::Queue"}}
                ],
            },
            delete_change_set={},
            delete_stack={},
        ),
        "dynamodb": ScriptedClient(describe_table=MISSING),
        "sqs": ScriptedClient(get_queue_url=refusal("AWS.SimpleQueueService.NonExistentQueue")),
        "lambda": ScriptedClient(get_function=MISSING),
        "scheduler": ScriptedClient(get_schedule_group=MISSING),
        "logs": ScriptedClient(describe_log_groups={"logGroups": []}),
        "s3": ScriptedClient(head_bucket=refusal("404")),
        "service-quotas": ScriptedClient(
            list_service_quotas=refusal("AccessDeniedException", operation="ListServiceQuotas")
        ),
    }
    access = TestAccess(usual | clients)
    planning = Planning(
        access=access,  # type: ignore[arg-type]  # it has what a plan uses
        draft=draft(app),
        bucket_name=None,
        clock=ManualClock(NOW),
        pause=access.pause,
        report=lambda _: None,
    )
    return planning.run(), access


def simple() -> App:
    app = App("clinic")
    app.table("Visits", partition_key="id").rule("AT", QueueMessage("reminders"))
    return app


def test_offline_it_tells_bundle_template_names_and_wide_permissions() -> None:
    checks = offline(simple())
    assert checks["rule file"].words == "1 rule on 1 table"
    assert checks["bundle"].words.endswith("1 file, 0 kB unzipped; yours: clinic.py")
    assert {check.state for check in checks.values()} == {"ok"}
    app = simple()

    @app.table("Visits", partition_key="id").rule("LATER")
    def later(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage(item["queue"])

    assert "rule later answers QueueMessage" in offline(app)["permissions"].words


def test_offline_it_warns_of_addresses_that_aws_cannot_reach_and_of_an_app_without_rules() -> None:
    app = App("clinic")
    table = app.table("Visits", partition_key="id")
    assert offline(app)["rule file"].state == "warning"
    table.rule("AT", HttpRequest("http://localhost:8080/hook"), name="hook")
    assert "localhost is not to be reached from AWS" in offline(app)["rule hook"].words


def test_a_template_with_too_many_resources_fails() -> None:
    made = draft(simple())
    template = Fitted(made, ()).template()
    template["Resources"] |= {f"Q{number}": {"Type": "AWS::SQS::Queue"} for number in range(500)}
    checks = {check.subject: check for check in offline_checks(made, template)}
    assert checks["template"].state == "failed"
    template["Resources"] = {"F": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "f" * 65}}}
    checks = {check.state: check for check in offline_checks(made, template)}
    assert "has 65 characters, and AWS takes 64" in checks["failed"].words


def test_a_plan_asks_for_a_change_set_and_leaves_nothing_of_it() -> None:
    plan, access = plan_of(simple())
    assert plan.can_be_deployed
    assert [change.logical_id for change in plan.changes or ()] == ["Q"]
    cloudformation = access.client("cloudformation")
    assert len(cloudformation.called("delete_change_set")) == 1
    assert len(cloudformation.called("delete_stack")) == 1
    written = {name for client in access.clients.values() for name, _ in client.calls} & {
        "put_object",
        "create_bucket",
        "update_table",
        "execute_change_set",
    }
    assert written == set()


def test_what_is_missing_is_a_warning_and_what_may_not_be_seen_is_unknown() -> None:
    plan, _ = plan_of(simple())
    checks = {check.subject: check for check in plan.checks}
    assert (checks["queue reminders"].state, checks["queue reminders"].words) == ("warning", "there is none")
    assert checks["quotas"].state == "unknown"
    assert "the caller may not look (ListServiceQuotas: AccessDeniedException)" in checks["quotas"].words


def test_items_that_are_there_are_shown_to_the_rules() -> None:
    app = App("clinic")
    visits = app.table("Visits", partition_key="id")

    @visits.rule("AT")
    def remind(item: dict[str, Any]) -> QueueMessage:
        return QueueMessage(item["queue"])

    items = [
        {"id": {"S": "1"}, "AT": {"S": "2031-01-01"}, "queue": {"S": "late"}, "photo": {"B": b"\x00"}},
        {"id": {"S": "2"}, "AT": {"S": "2030-06-01"}, "queue": {"S": "soon"}},
        {"id": {"S": "3"}, "AT": {"S": "rubbish"}, "queue": {"S": "soon"}},
        {"id": {"S": "4"}},
    ]
    table = {
        "ItemCount": 4,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    tables = ScriptedClient(
        describe_table=lambda asked: {"Table": table} if asked["TableName"] == "Visits" else MISSING,
        scan={"Items": items},
    )
    plan, access = plan_of(app, dynamodb=tables)
    (preview,) = plan.previews
    assert (preview.items, preview.puts, preview.letters) == (4, 2, 1)
    assert preview.next_due_at == datetime(2030, 6, 1, tzinfo=UTC)
    assert "'rubbish' is no timestamp" in preview.reason
    assert {"queue late", "queue soon"} <= {check.subject for check in plan.checks}
    (asked,) = access.client("cloudformation").called("create_change_set")
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in asked["Parameters"]}
    assert parameters["VisitsTableStreamArn"].endswith("table/Visits/stream/turned-on-by-deploy")


def test_a_table_with_another_key_fails_and_its_items_are_shown_to_nobody() -> None:
    table = {
        "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "name", "AttributeType": "S"}],
    }
    tables = ScriptedClient(
        describe_table=lambda asked: {"Table": table} if asked["TableName"] == "Visits" else MISSING,
        scan={"Items": [{"name": {"S": "1"}, "AT": {"S": "2031-01-01"}}]},
    )
    plan, _ = plan_of(simple(), dynamodb=tables)
    (failed,) = [check for check in plan.checks if check.state == "failed"]
    assert "has the key name (S), and the app declares id (S)" in failed.words
    assert [preview.items for preview in plan.previews] == [None]
    assert tables.called("scan") == []


def test_a_taken_name_fails_and_no_change_set_is_made() -> None:
    plan, access = plan_of(simple(), sqs=ScriptedClient(get_queue_url={"QueueUrl": "u"}))
    assert not plan.can_be_deployed
    assert plan.changes is None
    assert access.client("cloudformation").called("create_change_set") == []


@pytest.mark.parametrize(
    ("identities", "state", "words"),
    [
        ({"mail.example.com": True}, "ok", "SES sends for mail.example.com"),
        ({"example.com": True}, "ok", "SES sends for example.com"),
        ({"ann@mail.example.com": False}, "warning", "is not verified yet"),
        ({}, "warning", "has verified neither ann@mail.example.com nor mail.example.com"),
    ],
)
def test_a_sender_is_verified_itself_or_by_its_domain(identities: dict[str, bool], state: str, words: str) -> None:
    ses = ScriptedClient(
        get_email_identity=lambda asked: (
            {"VerifiedForSendingStatus": identities[asked["EmailIdentity"]]}
            if asked["EmailIdentity"] in identities
            else refusal("NotFoundException")
        ),
        get_account={"ProductionAccessEnabled": False, "SendQuota": {"Max24HourSend": 200.0}},
    )
    access = ScriptedAccess({"sesv2": ses})
    sender, account = check_senders(["ann@mail.example.com"], access)  # type: ignore[arg-type]
    assert sender.state == state
    assert words in sender.words
    assert account.state == "warning"
    assert "sandbox: emails go to verified addresses only, at most 200 emails" in account.words


def test_without_emails_ses_is_not_asked() -> None:
    assert list(check_senders([], ScriptedAccess({}))) == []  # type: ignore[arg-type]


def test_invocations_tell_what_they_act_on() -> None:
    access: Any = ScriptedAccess({})
    place = Place("eu-central-1", "123456789012")
    email = Email("Ann <ann@example.com>", "to@example.com", "s", "t").invocation(place)
    assert senders_of([email]) == {"ann@example.com"}
    assert invoked_arn(email, access, IDENTITY) is None
    queue = QueueMessage("reminders", "m").invocation(place)
    assert invoked_arn(queue, access, IDENTITY) == "arn:aws:sqs:eu-central-1:123456789012:reminders"
    delete = DeleteItem("Audit", {"id": "1"}).invocation(place)
    assert invoked_arn(delete, access, IDENTITY) == "arn:aws:dynamodb:eu-central-1:123456789012:table/Audit"
    call = AwsCall("ecs", "runTask", {"Cluster": "c"}).invocation(place)
    assert invoked_arn(call, access, IDENTITY) is None
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/q"
    sent = Invocation("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", f'{{"QueueUrl": "{url}", "MessageBody": "m"}}')
    assert invoked_arn(sent, access, IDENTITY) == "arn:aws:sqs:eu-central-1:123456789012:q"


def test_what_is_in_another_account_is_not_looked_for() -> None:
    access: Any = ScriptedAccess({"sns": ScriptedClient(get_topic_attributes={})})
    found = list(check_resources(["arn:aws:sns:eu-central-1:999999999999:news"], simple(), access, IDENTITY))
    assert [check.state for check in found] == ["unknown"]
    assert access.client("sns").calls == []


def test_quotas_are_told_by_name() -> None:
    quotas = [
        {"QuotaName": "Number of schedules", "Value": 10_000_000.0},
        {"QuotaName": "Tags", "Value": 50.0},
    ]
    access: Any = ScriptedAccess({"service-quotas": ScriptedClient(list_service_quotas={"Quotas": quotas})})
    assert check_quotas(access) == Check("quotas", "ok", "Number of schedules 10,000,000")
