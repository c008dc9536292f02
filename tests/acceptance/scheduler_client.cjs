// EventBridge Scheduler's twelve operations with AWS's SDK for JavaScript (version 3), against AWS_ENDPOINT_URL.
// Run by test_javascript_sdk.py; ends with one line of JSON: the operations that were called.

const assert = require("node:assert/strict");
const sdk = require("@aws-sdk/client-scheduler");

const [queueArn, deadLetterArn] = process.argv.slice(2);
const client = new sdk.SchedulerClient({});
const RoleArn = "arn:aws:iam::000000000000:role/scheduler";
const called = new Set();
const REQUEST_ID = /^[0-9a-f-]{36}$/;

async function call(operation, input) {
  called.add(operation);
  const answer = await client.send(new sdk[`${operation}Command`](input));
  assert.equal(answer.$metadata.httpStatusCode, 200);
  assert.match(answer.$metadata.requestId, REQUEST_ID);
  return answer;
}

async function refused(operation, input, exception, status, text) {
  const error = await call(operation, input).then(() => assert.fail(`${operation} was not refused`), (thrown) => thrown);
  assert.ok(error instanceof sdk[exception], `${error} is no ${exception}`);
  assert.ok(error instanceof sdk.SchedulerServiceException);
  assert.equal(error.name, exception);
  assert.equal(error.$fault, "client");
  assert.equal(error.$metadata.httpStatusCode, status);
  assert.equal(error.$metadata.attempts, 1);
  assert.match(error.$metadata.requestId, REQUEST_ID);
  assert.match(error.message, text);
}

async function pages(paginator, input, member) {
  const found = [];
  for await (const page of paginator({ client, pageSize: 2 }, input)) {
    assert.ok(page[member].length <= 2);
    found.push(page[member]);
  }
  return found;
}

const declared = (Name, more = {}) => ({
  Name,
  GroupName: "clinic",
  ScheduleExpression: "at(2090-01-02T03:04:05)",
  FlexibleTimeWindow: { Mode: "OFF" },
  Target: { Arn: queueArn, RoleArn, Input: "not yet" },
  ...more,
});

async function groups() {
  const tags = [{ Key: "team", Value: "front desk" }, { Key: "ü", Value: "ß" }];
  const { ScheduleGroupArn } = await call("CreateScheduleGroup", { Name: "clinic", Tags: tags });
  assert.equal(ScheduleGroupArn, "arn:aws:scheduler:us-east-1:000000000000:schedule-group/clinic");
  const group = await call("GetScheduleGroup", { Name: "clinic" });
  assert.deepEqual([group.Name, group.State, group.Arn], ["clinic", "ACTIVE", ScheduleGroupArn]);
  assert.ok(group.CreationDate instanceof Date && group.LastModificationDate instanceof Date);
  assert.ok(Math.abs(group.CreationDate.getTime() - Date.now()) < 60_000);

  for (const number of [1, 2, 3, 4]) await call("CreateScheduleGroup", { Name: `extra-${number}` });
  called.add("ListScheduleGroups");
  const found = await pages(sdk.paginateListScheduleGroups, { NamePrefix: "extra-" }, "ScheduleGroups");
  assert.deepEqual(found.flat().map((one) => one.Name).sort(), ["extra-1", "extra-2", "extra-3", "extra-4"]);
  assert.equal(found.filter((page) => page.length === 2).length, 2);

  await call("TagResource", { ResourceArn: ScheduleGroupArn, Tags: [{ Key: "room", Value: "a/b c" }] });
  const tagged = await call("ListTagsForResource", { ResourceArn: ScheduleGroupArn });
  assert.deepEqual(Object.fromEntries(tagged.Tags.map((tag) => [tag.Key, tag.Value])), {
    team: "front desk", ü: "ß", room: "a/b c",
  });
  await call("UntagResource", { ResourceArn: ScheduleGroupArn, TagKeys: ["ü", "room"] });
  assert.deepEqual((await call("ListTagsForResource", { ResourceArn: ScheduleGroupArn })).Tags, [tags[0]]);

  await refused("CreateScheduleGroup", { Name: "clinic" }, "ConflictException", 409, /clinic already exists/);
  await refused("GetScheduleGroup", { Name: "none" }, "ResourceNotFoundException", 404, /none does not exist/);
  await refused("CreateScheduleGroup", { Name: "a b" }, "ValidationException", 400, /1 validation error detected/);
  const missing = ScheduleGroupArn.replace("clinic", "none");
  await refused("ListTagsForResource", { ResourceArn: missing }, "ResourceNotFoundException", 404, /none/);
}

async function schedules() {
  const Description = "every other hour, “quoted”";
  const StartDate = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000);
  const EndDate = new Date(StartDate.getTime() + 86_400_000);
  const recurring = declared("every-2.hours", {
    ScheduleExpression: "rate(2 hours)",
    ScheduleExpressionTimezone: "Europe/Berlin",
    FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 15 },
    State: "DISABLED",
    Target: {
      Arn: queueArn, RoleArn, Input: "x", DeadLetterConfig: { Arn: deadLetterArn },
      RetryPolicy: { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 120 },
    },
    Description, StartDate, EndDate,
  });
  const { ScheduleArn } = await call("CreateSchedule", recurring);
  assert.equal(ScheduleArn, `arn:aws:scheduler:us-east-1:000000000000:schedule/clinic/${recurring.Name}`);
  const { $metadata, Arn, CreationDate, LastModificationDate, ...read } = await call("GetSchedule", {
    Name: recurring.Name, GroupName: "clinic",
  });
  assert.equal(Arn, ScheduleArn);
  assert.ok(CreationDate instanceof Date && LastModificationDate instanceof Date);
  assert.deepEqual(read, { ...recurring, ActionAfterCompletion: "NONE" });

  await call("UpdateSchedule", declared(recurring.Name));
  const updated = await call("GetSchedule", { Name: recurring.Name, GroupName: "clinic" });
  assert.equal(updated.ScheduleExpression, "at(2090-01-02T03:04:05)");
  assert.equal(updated.ScheduleExpressionTimezone, "UTC");
  assert.deepEqual([updated.State, updated.Description, updated.StartDate], ["ENABLED", undefined, undefined]);
  assert.deepEqual(updated.CreationDate, CreationDate);

  for (const number of [1, 2, 3, 4, 5]) await call("CreateSchedule", declared(`page-${number}`));
  called.add("ListSchedules");
  const wanted = { GroupName: "clinic", NamePrefix: "page-", State: "ENABLED" };
  const found = (await pages(sdk.paginateListSchedules, wanted, "Schedules")).flat();
  assert.deepEqual(found.map((one) => one.Name).sort(), [1, 2, 3, 4, 5].map((number) => `page-${number}`));
  assert.ok(found.every((one) => one.CreationDate instanceof Date && one.Target.Arn === queueArn));
  assert.deepEqual((await call("ListSchedules", { ...wanted, State: "DISABLED" })).Schedules, []);

  const again = declared("token", { ClientToken: "once-1" });
  assert.equal((await call("CreateSchedule", again)).ScheduleArn, (await call("CreateSchedule", again)).ScheduleArn);
  await call("DeleteSchedule", { Name: "token", GroupName: "clinic" });

  const none = { Name: "none", GroupName: "clinic" };
  await refused("GetSchedule", none, "ResourceNotFoundException", 404, /^Schedule none does not exist\.$/);
  await refused("DeleteSchedule", none, "ResourceNotFoundException", 404, /none does not exist/);
  await refused("UpdateSchedule", declared("none"), "ResourceNotFoundException", 404, /none does not exist/);
  await refused("CreateSchedule", declared("page-1"), "ConflictException", 409, /^Schedule page-1 already exists\.$/);
  const unreadable = declared("bad", { ScheduleExpression: "rate(10 seconds)" });
  await refused("CreateSchedule", unreadable, "ValidationException", 400, /Invalid Schedule Expression rate\(10 seconds\)\./);
  const lost = declared("lost", { GroupName: "none" });
  await refused("CreateSchedule", lost, "ResourceNotFoundException", 404, /none does not exist/);
  await refused("ListSchedules", { NextToken: "made up" }, "ValidationException", 400, /./);
}

async function delivery() {
  const due = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000);
  const Input = '{"due": "<aws.scheduler.scheduled-time>", "attempt": "<aws.scheduler.attempt-number>"}';
  await call("CreateSchedule", declared("now", {
    ScheduleExpression: `at(${due.toISOString().slice(0, 19)})`,
    ActionAfterCompletion: "DELETE",
    Target: { Arn: queueArn, RoleArn, Input },
  }));
  const gone = async () => call("GetSchedule", { Name: "now", GroupName: "clinic" }).then(() => false, () => true);
  while (!(await gone())) await new Promise((resolve) => setTimeout(resolve, 20));
  return due.toISOString().replace(".000", "");
}

async function ending() {
  await call("DeleteScheduleGroup", { Name: "clinic" });
  const gone = async () => (await call("GetScheduleGroup", { Name: "clinic" })).State !== "DELETING";
  const left = await (async () => { while (!(await gone())); })().catch((error) => error);
  assert.ok(left instanceof sdk.ResourceNotFoundException, `${left}`);
  await refused("DeleteScheduleGroup", { Name: "clinic" }, "ResourceNotFoundException", 404, /clinic does not exist/);
}

(async () => {
  await groups();
  await schedules();
  const due = await delivery();
  await ending();
  console.log(JSON.stringify({ called: [...called].sort(), due }));
})();
