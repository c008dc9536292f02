// The runtime of Node functions: a loop over AWS's runtime API
// (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). Handlers may be ES modules or CommonJS,
// async or with a callback. Packages that are not in the function's folder are looked for in NODE_PATH.
import fs from "node:fs";
import http from "node:http";
import module from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import util from "node:util";

const [address, ...token] = process.env.AWS_LAMBDA_RUNTIME_API.split("/");
const [host, port] = address.split(":");
const base = `/${token.join("/")}/2018-06-01/runtime`;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const root = process.env.LAMBDA_TASK_ROOT;
let requestId = "";
let settle = null; // ends the invocation under way

// With the server: its end of our standard input closes when it ends, however that comes.
process.stdin.on("end", () => process.exit(1)).on("error", () => process.exit(1)).resume();
process.stdin.unref?.();

function request(method, at, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, path: base + at, agent, headers: { ...headers } };
    if (body !== undefined) options.headers["Content-Length"] = Buffer.byteLength(body);
    const sent = http.request(options, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function errorBody(error, kind) {
  const thrown = error instanceof Error || util.types.isNativeError(error) ? error : null;
  return {
    errorType: kind ?? thrown?.name ?? typeof error,
    errorMessage: thrown ? thrown.message : String(error),
    trace: thrown?.stack ? thrown.stack.split("\n") : [],
  };
}

function write(level, ...values) {
  const text = util.format(...values).replaceAll("\n", "\r");
  fs.writeSync(1, `${new Date().toISOString()}\t${requestId || "undefined"}\t${level}\t${text}\n`);
}
for (const [name, level] of [["log", "INFO"], ["info", "INFO"], ["debug", "DEBUG"], ["warn", "WARN"], ["error", "ERROR"], ["trace", "TRACE"]]) {
  console[name] = (...values) => write(level, ...values);
}

function lookInNodePath() {
  const folders = (process.env.NODE_PATH ?? "").split(path.delimiter).filter(Boolean);
  if (folders.length === 0 || !module.register) return;
  // ES modules know no NODE_PATH: what cannot be found from the importing file is looked for from there.
  const parents = JSON.stringify(folders.map((folder) => pathToFileURL(path.join(folder, "..", "_.mjs")).href));
  const hook = `
    export async function resolve(specifier, context, next) {
      try { return await next(specifier, context); } catch (error) {
        if (error.code !== "ERR_MODULE_NOT_FOUND" || /^[./]|:/.test(specifier)) throw error;
        for (const parentURL of ${parents}) {
          try { return await next(specifier, { ...context, parentURL }); } catch { /* the next folder */ }
        }
        throw error;
      }
    }`;
  module.register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

class HandlerError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

async function loadHandler(name) {
  const found = /^((?:.*\/)?[^./]+(?:\.[^./]+)*?)\.([^/]+)$/.exec(name);
  if (!found) throw new HandlerError("Runtime.MalformedHandlerName", "Bad handler");
  const slash = name.lastIndexOf("/") + 1;
  const [file, ...names] = name.slice(slash).split(".");
  const stem = path.resolve(root, name.slice(0, slash), file);
  const script = ["", ".js", ".mjs", ".cjs"].map((ending) => stem + ending).find((one) => fs.statSync(one, { throwIfNoEntry: false })?.isFile());
  if (!script) throw new HandlerError("Runtime.ImportModuleError", `Error: Cannot find module '${path.basename(stem)}'`);
  let loaded;
  try {
    loaded = await import(pathToFileURL(script).href);
  } catch (error) {
    const isMissing = error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND";
    if (isMissing) throw new HandlerError("Runtime.ImportModuleError", `Error: ${error.message}`);
    if (error instanceof SyntaxError) throw new HandlerError("Runtime.UserCodeSyntaxError", `SyntaxError: ${error.message}`);
    throw error;
  }
  const within = (start) => names.reduce((value, part) => value?.[part], start);
  const handler = within(loaded) ?? within(loaded.default);
  if (handler === undefined) throw new HandlerError("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw new HandlerError("Runtime.HandlerNotFound", `${name} is not a function`);
  return handler;
}

function contextOf(headers, done) {
  const environment = process.env;
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    clientContext: headers["lambda-runtime-client-context"] ? JSON.parse(headers["lambda-runtime-client-context"]) : undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    succeed: (value) => done(null, value),
    fail: (error) => done(error ?? new Error("handled"), undefined),
    done,
  };
}

// One invocation: resolves with [error, value], whichever way the handler tells it.
function invoke(handler, body, headers) {
  return new Promise((resolve) => {
    const done = (error, value) => resolve([error ?? null, value]);
    settle = done;
    try {
      const answer = handler(JSON.parse(body.toString("utf8")), contextOf(headers, done), done);
      if (typeof answer?.then === "function") answer.then((value) => done(null, value), (error) => done(error ?? new Error("undefined"), undefined));
      else if (handler.length < 3 && answer !== undefined) done(null, answer);
    } catch (error) {
      done(error ?? new Error("undefined"), undefined);
    }
  });
}

async function reportError(body, isLast = false) {
  write("ERROR", "Invoke Error \t" + JSON.stringify(body));
  const headers = { "Lambda-Runtime-Function-Error-Type": body.errorType };
  if (isLast) headers["Duestream-Runtime-Ends"] = "1"; // no further invocation is to be given to this process
  await request("POST", `/invocation/${requestId}/error`, JSON.stringify(body), headers);
}

function endWith(kind) {
  return async (error) => {
    try {
      if (requestId) await reportError(errorBody(error, kind), true);
      else await failInit(error);
    } finally {
      process.exit(128);
    }
  };
}

async function failInit(error) {
  const body = errorBody(error);
  write("ERROR", "Uncaught Exception \t" + JSON.stringify(body));
  await request("POST", "/init/error", JSON.stringify(body), { "Lambda-Runtime-Function-Error-Type": body.errorType });
}

process.on("uncaughtException", endWith(undefined));
process.on("unhandledRejection", endWith("Runtime.UnhandledPromiseRejection"));
// Nothing is left to happen, and the handler has called nobody back: AWS answers null.
process.on("beforeExit", () => settle?.(null, null));

lookInNodePath();
let handler;
try {
  handler = await loadHandler(process.env._HANDLER);
} catch (error) {
  await failInit(error);
  process.exit(1);
}
for (;;) {
  const next = await request("GET", "/invocation/next");
  if (next.status !== 200) process.exit(0);
  requestId = next.headers["lambda-runtime-aws-request-id"];
  const [error, value] = await invoke(handler, next.body, next.headers);
  settle = null;
  if (error !== null) {
    await reportError(errorBody(error));
  } else {
    let text;
    try {
      text = JSON.stringify(value === undefined ? null : value) ?? "null";
    } catch (failure) {
      await reportError(errorBody(failure, "Runtime.MarshalError"));
    }
    if (text !== undefined) await request("POST", `/invocation/${requestId}/response`, text);
  }
  requestId = "";
}
