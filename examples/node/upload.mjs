// Uploads one file through dropslip: node upload.mjs FILE
// Needs Node 18 or newer and nothing else. Where the broker is and the token come in DROPSLIP_SERVER and DROPSLIP_TOKEN.
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

const SERVER = (process.env.DROPSLIP_SERVER ?? "http://127.0.0.1:8080").replace(/\/+$/, "");
const TRIES = 4;
const PASSING = [408, 429, 500, 502, 503, 504];

// The broker or the store said no; the same request would be refused again.
class Refused extends Error {
  constructor(status, said) {
    super(`${status}: ${said}`);
    this.status = status;
  }
}

const pause = (attempt, retryAfter) => sleep(1000 * Math.min(Number(retryAfter) || attempt, 60));

// Steps 1 and 3: JSON, with the token.
async function ask(method, path, { body, headers, seconds = 30 } = {}) {
  for (let attempt = 1; ; attempt++) {
    let answer, text;
    try {
      answer = await fetch(SERVER + path, {
        method,
        headers: { Authorization: `Bearer ${process.env.DROPSLIP_TOKEN}`, "Content-Type": "application/json", ...headers },
        body: body && JSON.stringify(body),
        redirect: "error",
        signal: AbortSignal.timeout(seconds * 1000),
      });
      text = await answer.text();
    } catch (lost) {
      if (attempt === TRIES) throw lost;
      await pause(attempt);
      continue;
    }
    if (PASSING.includes(answer.status) && attempt < TRIES) {
      await pause(attempt, answer.headers.get("Retry-After"));
      continue;
    }
    let said;
    try {
      said = JSON.parse(text);
    } catch {
      throw new Refused(answer.status, "the broker's answer is no JSON");
    }
    if (answer.ok) return said;
    throw new Refused(answer.status, Object.entries(said.errors).map(([field, why]) => `${field} ${why.join(", ")}`).join("; "));
  }
}

// Step 2: as the slip says, without the token, read from disk while it is sent. By node:http and not by fetch, because
// stores want a Content-Length, and fetch gives none to a stream.
async function send(slip, path, size) {
  const method = slip.method ?? "POST";
  let head = "", tail = "", headers = slip.headers;
  if (method === "POST") {
    const boundary = randomUUID();
    const field = `--${boundary}\r\nContent-Disposition: form-data; name=`;
    for (const [name, value] of Object.entries(slip.params)) head += `${field}"${name}"\r\n\r\n${value}\r\n`;
    head += `${field}"file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n`;
    tail = `\r\n--${boundary}--\r\n`;
    headers = { "Content-Type": `multipart/form-data; boundary=${boundary}` };
  } else if (method !== "PUT") {
    throw new Refused(method, "this script sends a file in one request");
  }
  const length = Buffer.byteLength(head) + size + Buffer.byteLength(tail);
  const { request } = slip.url.startsWith("https:") ? https : http;
  const sending = request(slip.url, { method, headers: { ...headers, "Content-Length": length }, agent: false });
  sending.setTimeout(60_000, () => sending.destroy(new Error("the store has been silent for a minute")));
  const answered = new Promise((resolve, reject) => sending.on("response", resolve).on("error", reject));
  answered.catch(() => {}); // awaited below
  const sent = pipeline(async function* () {
    if (head) yield head;
    if (size) yield* createReadStream(path, { end: size - 1 });
    if (tail) yield tail;
  }, sending);
  sent.catch(() => {}); // a store that refuses early answers and hangs up: its answer says more
  const answer = await answered;
  let text = "";
  for await (const piece of answer.setEncoding("utf8")) text = (text + piece).slice(0, 2000);
  sending.destroy();
  return { status: answer.statusCode, retryAfter: answer.headers["retry-after"], text };
}

// All three steps; gives the active file.
export async function upload(path, { type = "attachment", disposition = "attachment" } = {}) {
  const { size } = await stat(path);
  let slip = await ask("POST", "/v2/files/ref.json", {
    body: { type, filename: basename(path), mimeType: "", size, disposition },
    headers: { "Idempotency-Key": randomUUID() }, // a repeated step 1 answers the same file
  });
  const { id } = slip.file;
  for (let attempt = 1; ; attempt++) {
    let answer;
    try {
      answer = await send(slip, path, size);
    } catch (lost) {
      if (lost instanceof Refused || attempt === TRIES) throw lost;
      await pause(attempt);
      continue;
    }
    // 412: an earlier try of this PUT did arrive.
    if ([200, 201, 204].includes(answer.status) || (answer.status === 412 && slip.method === "PUT")) {
      try {
        // Sealing a large file is a copy inside the store, so this may take minutes.
        return (await ask("PATCH", `/v2/files/${id}.json`, { seconds: 330 })).file;
      } catch (refusal) {
        if (refusal.status !== 409 || attempt === TRIES) throw refusal; // 409: nothing there yet
      }
    } else {
      const expired = answer.status === 403;
      if (attempt === TRIES || !(expired || [...PASSING, 409].includes(answer.status))) throw new Refused(answer.status, answer.text);
      if (expired) slip = await ask("POST", `/v2/files/${id}/ref.json`);
    }
    await pause(attempt, answer.retryAfter);
  }
}

try {
  console.log(JSON.stringify(await upload(process.argv[2])));
} catch (failed) {
  console.error(`${process.argv[2]}: ${failed.message} ${failed.cause?.message ?? ""}`);
  process.exitCode = 1;
}
