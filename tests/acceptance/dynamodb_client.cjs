// A tour of DynamoDB and its streams with AWS's SDK for JavaScript (version 3): the plain client, the document client
// and the streams client, against AWS_ENDPOINT_URL. Run by test_tour_javascript.py; ends with one line of JSON: the
// operations that were called.

const assert = require("node:assert/strict");
const plain = require("@aws-sdk/client-dynamodb");
const document = require("@aws-sdk/lib-dynamodb");
const streams = require("@aws-sdk/client-dynamodb-streams");

const called = new Set();
const client = new plain.DynamoDBClient({});
const docs = document.DynamoDBDocumentClient.from(client, {
  marshallOptions: { removeUndefinedValues: true },
  unmarshallOptions: { wrapNumbers: false },
});
const reader = new streams.DynamoDBStreamsClient({});
for (const one of [client, docs, reader]) {
  one.middlewareStack.add((next, context) => async (request) => {
    called.add(context.commandName.replace("Command", ""));
    return next(request);
  }, { step: "initialize" });
}

async function send(to, command) {
  const answer = await to.send(command);
  assert.equal(answer.$metadata.httpStatusCode, 200);
  assert.equal(answer.$metadata.attempts, 1);
  assert.ok(answer.$metadata.requestId);
  return answer;
}

async function refused(to, command, exception, text) {
  const error = await to.send(command).then(() => assert.fail("it was not refused"), (thrown) => thrown);
  assert.equal(error.name, exception);
  const known = (to === reader ? streams : plain)[exception];
  if (known) assert.ok(error instanceof known, `${error} is no ${exception}`);
  assert.equal(error.$metadata.httpStatusCode, 400);
  assert.match(error.message, text);
  return error;
}

async function all(pages, member) {
  const found = [];
  for await (const page of pages) found.push(...page[member]);
  return found;
}

const TableName = "Orders";
const numbers = (items) => items.map((item) => item.nr);

async function tables() {
  const made = await send(client, new plain.CreateTableCommand({
    TableName,
    AttributeDefinitions: [
      { AttributeName: "customer", AttributeType: "S" },
      { AttributeName: "nr", AttributeType: "N" },
      { AttributeName: "state", AttributeType: "S" },
    ],
    KeySchema: [{ AttributeName: "customer", KeyType: "HASH" }, { AttributeName: "nr", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{
      IndexName: "ByState",
      KeySchema: [{ AttributeName: "state", KeyType: "HASH" }, { AttributeName: "nr", KeyType: "RANGE" }],
      Projection: { ProjectionType: "ALL" },
    }],
    LocalSecondaryIndexes: [{
      IndexName: "Local",
      KeySchema: [{ AttributeName: "customer", KeyType: "HASH" }, { AttributeName: "state", KeyType: "RANGE" }],
      Projection: { ProjectionType: "KEYS_ONLY" },
    }],
    BillingMode: "PAY_PER_REQUEST",
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
  }));
  assert.equal(made.TableDescription.TableStatus, "CREATING");
  assert.ok(made.TableDescription.CreationDateTime instanceof Date);
  const waited = await plain.waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName });
  assert.equal(waited.state, "SUCCESS");
  await refused(client, new plain.DescribeTableCommand({ TableName: "Missing" }), "ResourceNotFoundException", /Missing/);
  assert.deepEqual(await all(plain.paginateListTables({ client, pageSize: 1 }, {}), "TableNames"), [TableName]);
  return made.TableDescription.TableArn;
}

async function plainItems() {
  const Item = {
    customer: { S: "c0" }, nr: { N: "1" }, bytes: { B: new Uint8Array([0, 255]) }, blobs: { BS: [Buffer.from("a")] },
    nothing: { NULL: true }, list: { L: [{ BOOL: false }, { M: {} }] }, exact: { N: "0.12345678901234567890123456789" },
  };
  await send(client, new plain.PutItemCommand({ TableName, Item }));
  const Key = { customer: { S: "c0" }, nr: { N: "1" } };
  const read = await send(client, new plain.GetItemCommand({ TableName, Key, ReturnConsumedCapacity: "TOTAL" }));
  assert.deepEqual(read.Item.bytes.B, new Uint8Array([0, 255]));
  assert.deepEqual(read.Item.list, Item.list);
  assert.equal(read.Item.exact.N, Item.exact.N);
  assert.equal(read.ConsumedCapacity.CapacityUnits, 0.5);
  const error = await refused(client, new plain.PutItemCommand({
    TableName, Item: Key, ConditionExpression: "attribute_not_exists(customer)",
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  }), "ConditionalCheckFailedException", /^The conditional request failed$/);
  assert.deepEqual(error.Item.nothing, { NULL: true });
  const old = await send(client, new plain.DeleteItemCommand({ TableName, Key, ReturnValues: "ALL_OLD" }));
  assert.deepEqual(old.Attributes.nr, { N: "1" });
}

async function documents() {
  const item = {
    customer: "c1", nr: 1, state: "new", map: { deep: [1, "two", null, true] }, tags: new Set(["a", "b"]),
    empty: "", absent: undefined, big: 12345678901n,
  };
  await send(docs, new document.PutCommand({ TableName, Item: item }));
  const Key = { customer: "c1", nr: 1 };
  const read = (await send(docs, new document.GetCommand({ TableName, Key }))).Item;
  assert.deepEqual(read, { customer: "c1", nr: 1, state: "new", map: item.map, tags: item.tags, empty: "", big: 12345678901 });
  const updated = await send(docs, new document.UpdateCommand({
    TableName, Key, UpdateExpression: "SET #m.deep[1] = :two, n = if_not_exists(n, :zero) + :one DELETE tags :a",
    ExpressionAttributeNames: { "#m": "map" },
    ExpressionAttributeValues: { ":two": 2, ":zero": 0, ":one": 1, ":a": new Set(["a"]) },
    ReturnValues: "ALL_NEW",
  }));
  assert.deepEqual(updated.Attributes.map.deep, [1, 2, null, true]);
  assert.deepEqual([updated.Attributes.n, updated.Attributes.tags], [1, new Set(["b"])]);
  await send(docs, new document.BatchWriteCommand({
    RequestItems: {
      [TableName]: Array.from({ length: 20 }, (_, n) => ({
        PutRequest: { Item: { customer: "c2", nr: n, state: n % 2 ? "paid" : "new" } },
      })),
    },
  }));
  const mine = {
    TableName, KeyConditionExpression: "customer = :c AND nr BETWEEN :low AND :high",
    ExpressionAttributeValues: { ":c": "c2", ":low": 3, ":high": 12 }, ScanIndexForward: false,
  };
  const pages = document.paginateQuery({ client: docs, pageSize: 4 }, mine);
  assert.deepEqual(numbers(await all(pages, "Items")), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
  const paid = {
    TableName, IndexName: "ByState", KeyConditionExpression: "#s = :s", ExpressionAttributeNames: { "#s": "state" },
    ExpressionAttributeValues: { ":s": "paid" },
  };
  assert.deepEqual(numbers(await all(document.paginateQuery({ client: docs, pageSize: 3 }, paid), "Items")),
    [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  const local = await send(docs, new document.QueryCommand({
    TableName, IndexName: "Local", KeyConditionExpression: "customer = :c AND #s = :s",
    ExpressionAttributeNames: { "#s": "state" }, ExpressionAttributeValues: { ":c": "c2", ":s": "new" }, Limit: 2,
  }));
  assert.deepEqual(local.LastEvaluatedKey, { customer: "c2", nr: 2, state: "new" });
  const scanned = await all(document.paginateScan({ client: docs, pageSize: 6 }, { TableName }), "Items");
  assert.equal(scanned.length, 21);
  const batch = await send(docs, new document.BatchGetCommand({
    RequestItems: { [TableName]: { Keys: [{ customer: "c2", nr: 1 }, { customer: "c2", nr: 99 }] } },
  }));
  assert.deepEqual(numbers(batch.Responses[TableName]), [1]);
  await send(docs, new document.DeleteCommand({ TableName, Key }));
  assert.equal((await send(docs, new document.GetCommand({ TableName, Key }))).Item, undefined);
}

async function transactions() {
  const put = { TableName, Item: { customer: "c3", nr: 1 }, ConditionExpression: "attribute_not_exists(nr)" };
  const counter = {
    TableName, Key: { customer: "c3", nr: 0 }, UpdateExpression: "ADD #c :one",
    ExpressionAttributeNames: { "#c": "count" }, ExpressionAttributeValues: { ":one": 1 },
  };
  const TransactItems = [{ Put: put }, { Update: counter }];
  for (const _ of [1, 2]) {
    await send(docs, new document.TransactWriteCommand({ TransactItems, ClientRequestToken: "once" }));
  }
  const error = await refused(docs, new document.TransactWriteCommand({ TransactItems }),
    "TransactionCanceledException", /\[ConditionalCheckFailed, None\]$/);
  assert.equal(error.CancellationReasons[0].Code, "ConditionalCheckFailed");
  const read = await send(docs, new document.TransactGetCommand({
    TransactItems: [{ Get: { TableName, Key: { customer: "c3", nr: 0 } } }],
  }));
  assert.deepEqual(read.Responses[0].Item, { customer: "c3", nr: 0, count: 1 });
}

async function statements() {
  const insert = `INSERT INTO "${TableName}" VALUE {'customer': ?, 'nr': ?, 'tags': <<'x'>>}`;
  await send(docs, new document.ExecuteStatementCommand({ Statement: insert, Parameters: ["c4", 1] }));
  const select = `SELECT * FROM "${TableName}" WHERE customer = ?`;
  const read = await send(docs, new document.ExecuteStatementCommand({ Statement: select, Parameters: ["c4"] }));
  assert.deepEqual(read.Items, [{ customer: "c4", nr: 1, tags: new Set(["x"]) }]);
  await send(docs, new document.ExecuteTransactionCommand({
    TransactStatements: [{ Statement: `DELETE FROM "${TableName}" WHERE customer = 'c4' AND nr = 1` }],
  }));
  const both = await send(docs, new document.BatchExecuteStatementCommand({
    Statements: [{ Statement: select + " AND nr = 1", Parameters: ["c4"] }, { Statement: "SELECT nonsense" }],
  }));
  assert.equal(both.Responses[0].Item, undefined);
  assert.equal(both.Responses[1].Error.Code, "ValidationError");
}

async function theStream() {
  const { Table } = await send(client, new plain.DescribeTableCommand({ TableName }));
  const StreamArn = Table.LatestStreamArn;
  const listed = await send(reader, new streams.ListStreamsCommand({ TableName }));
  assert.equal(listed.Streams[0].StreamArn, StreamArn);
  const described = await send(reader, new streams.DescribeStreamCommand({ StreamArn }));
  const [{ ShardId }] = described.StreamDescription.Shards;
  const asked = { StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" };
  let { ShardIterator } = await send(reader, new streams.GetShardIteratorCommand(asked));
  const records = [];
  for (;;) {
    const page = await send(reader, new streams.GetRecordsCommand({ ShardIterator, Limit: 7 }));
    if (!page.Records.length) break;
    records.push(...page.Records);
    ShardIterator = page.NextShardIterator;
  }
  assert.deepEqual(records[0].dynamodb.NewImage.bytes.B, new Uint8Array([0, 255]));
  assert.ok(records[0].dynamodb.ApproximateCreationDateTime instanceof Date);
  const kinds = (kind) => records.filter((record) => record.eventName === kind).length;
  assert.deepEqual([kinds("INSERT"), kinds("MODIFY"), kinds("REMOVE")], [25, 1, 3]);
  await send(client, new plain.UpdateTableCommand({ TableName, StreamSpecification: { StreamEnabled: false } }));
  const closed = await send(reader, new streams.GetRecordsCommand({ ShardIterator }));
  assert.equal(closed.NextShardIterator, undefined);
  await refused(reader, new streams.DescribeStreamCommand({ StreamArn: StreamArn + "9" }), "ResourceNotFoundException", /not found$/);
}

async function options(ResourceArn) {
  await send(client, new plain.TagResourceCommand({ ResourceArn, Tags: [{ Key: "team", Value: "desk" }] }));
  const { Tags } = await send(client, new plain.ListTagsOfResourceCommand({ ResourceArn }));
  assert.deepEqual(Tags, [{ Key: "team", Value: "desk" }]);
  await send(client, new plain.UntagResourceCommand({ ResourceArn, TagKeys: ["team"] }));
  const TimeToLiveSpecification = { AttributeName: "gone_at", Enabled: true };
  await send(client, new plain.UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  await send(docs, new document.PutCommand({
    TableName, Item: { customer: "c5", nr: 1, gone_at: Math.floor(Date.now() / 1000) - 60 },
  }));
  const Key = { customer: "c5", nr: 1 };
  while ((await send(docs, new document.GetCommand({ TableName, Key }))).Item); // the test's time limit ends it
  const { TimeToLiveDescription } = await send(client, new plain.DescribeTimeToLiveCommand({ TableName }));
  assert.equal(TimeToLiveDescription.AttributeName, "gone_at");
  const PointInTimeRecoverySpecification = { PointInTimeRecoveryEnabled: true };
  await send(client, new plain.UpdateContinuousBackupsCommand({ TableName, PointInTimeRecoverySpecification }));
  await send(client, new plain.DescribeContinuousBackupsCommand({ TableName }));
  await policiesAndInsights(ResourceArn);
  await send(client, new plain.DescribeLimitsCommand({}));
  await send(client, new plain.DescribeEndpointsCommand({}));
}

async function policiesAndInsights(ResourceArn) {
  const ContributorInsightsMode = "THROTTLED_KEYS";
  const enable = { TableName, ContributorInsightsAction: "ENABLE", ContributorInsightsMode };
  await send(client, new plain.UpdateContributorInsightsCommand(enable));
  const insights = await send(client, new plain.DescribeContributorInsightsCommand({ TableName }));
  assert.ok(insights.LastUpdateDateTime instanceof Date);
  const none = await send(client, new plain.DescribeKinesisStreamingDestinationCommand({ TableName }));
  assert.deepEqual(none.KinesisDataStreamDestinations, []);
  const { ContributorInsightsSummaries } = await send(client, new plain.ListContributorInsightsCommand({}));
  assert.deepEqual(ContributorInsightsSummaries.map((one) => one.ContributorInsightsMode), [ContributorInsightsMode]);
  const Statement = [{ Effect: "Allow", Principal: { AWS: "000000000000" }, Action: "dynamodb:*", Resource: ResourceArn }];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  const { RevisionId } = await send(client, new plain.PutResourcePolicyCommand({ ResourceArn, Policy }));
  const kept = await send(client, new plain.GetResourcePolicyCommand({ ResourceArn }));
  assert.equal(kept.RevisionId, RevisionId);
  assert.equal(JSON.parse(kept.Policy).Statement[0].Principal.AWS, "arn:aws:iam::000000000000:root");
  const deleted = await send(client, new plain.DeleteResourcePolicyCommand({ ResourceArn }));
  assert.equal(deleted.RevisionId, RevisionId);
  await refused(client, new plain.GetResourcePolicyCommand({ ResourceArn }), "PolicyNotFoundException", /not found for/);
}

async function tour() {
  const arn = await tables();
  await plainItems();
  await documents();
  await transactions();
  await statements();
  await theStream();
  await options(arn);
  await send(client, new plain.DeleteTableCommand({ TableName }));
  const gone = await plain.waitUntilTableNotExists({ client, maxWaitTime: 60 }, { TableName });
  assert.equal(gone.state, "SUCCESS");
  console.log(JSON.stringify({ called: [...called].sort() }));
}

tour().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
