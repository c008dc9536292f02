// BullMQ on Redis: one worker that runs fifty jobs at once. The protocol is that of common.py.
import { openSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const spec = JSON.parse(readFileSync(0, "utf8"));
const { Queue, Worker } = createRequire(spec.modules + "/")("bullmq");
const connection = { host: "127.0.0.1", port: spec.port, maxRetriesPerRequest: null };
const BULK = 1000;
const options = { removeOnComplete: true, removeOnFail: true };

function job(number) {
  const dueAtMs = Math.floor(spec.due_at_ms + number * spec.step_ms);
  const delay = Math.max(0, dueAtMs - Date.now());
  return { name: "job", data: { number, dueAtMs }, opts: { ...options, delay } };
}

async function create() {
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  const begun = performance.now();
  const overAt = begun + spec.limit_seconds * 1000;
  let next = 0;
  let made = 0;
  const each = async () => {
    while (next < spec.count && performance.now() < overAt) {
      const { name, data, opts } = job(next++);
      await queue.add(name, data, opts);
      made++;
    }
  };
  if (spec.bulk) {
    for (; next < spec.count && performance.now() < overAt; ) {
      const some = [];
      for (; some.length < BULK && next < spec.count; next++) some.push(job(next));
      await queue.addBulk(some);
      made += some.length;
    }
  } else {
    await Promise.all(Array.from({ length: spec.at_once }, each));
  }
  console.log(JSON.stringify({ count: made, seconds: (performance.now() - begun) / 1000 }));
  await queue.close();
}

async function work() {
  const file = openSync(spec.notes, "a");
  const note = async ({ data }) => {
    const ranAtMs = (performance.timeOrigin + performance.now()).toFixed(3).padStart(17, "0");
    const number = String(data.number).padStart(8, "0");
    writeSync(file, `${number} ${String(data.dueAtMs).padStart(13, "0")} ${ranAtMs}\n`);
  };
  const stalledMs = spec.stalled_seconds * 1000;
  const worker = new Worker("bench", note, {
    connection,
    concurrency: 50,
    lockDuration: stalledMs,
    stalledInterval: stalledMs,
  });
  worker.on("error", (error) => console.error(error.message));
  await worker.waitUntilReady();
  console.log("READY");
}

await { create, work }[process.argv[2]]();
