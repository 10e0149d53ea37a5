// Bytes to the store, counted while they go. Never with the broker's token: a slip is a credential of its own.
//
// Three ways, chosen at run time. Only XMLHttpRequest tells a page how far an upload is; Node has a stream that can be counted
// and a Content-Length that can be set; anywhere else (service workers) `fetch` sends and tells nothing until it is done.

import { Lost } from "./errors.js";
import { linked } from "./waiting.js";

/** How long a browser may queue a request or a store think about what it has, and how long a transfer may stand still. */
const THINKING_MS = 300_000;
const STANDSTILL_MS = 60_000;
/** What is in memory comes in one chunk, however large; progress and pauses need smaller ones. */
const PIECE_BYTES = 64 * 1024;

/** @typedef {object} Sending
 * @property {"POST" | "PUT"} method
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {Record<string, string>} [fields] of a form; the file comes last
 * @property {Blob} bytes
 * @property {(sent: number) => void} onSent
 * @property {AbortSignal} signal
 */

/**
 * The store's answer, whatever its status.
 * @param {Sending} sending
 * @returns {Promise<{ status: number, text: string }>}
 * @throws {Lost} when none came
 */
export async function send(sending) {
  sending.signal.throwIfAborted();
  const answer = await way()(sending);
  if (answer.status >= 200 && answer.status < 300) sending.onSent(sending.bytes.size);
  return answer;
}

function way() {
  if (typeof XMLHttpRequest !== "undefined") return byRequest;
  const { process } = /** @type {{ process?: { versions?: { node?: string } } }} */ (globalThis);
  return process?.versions?.node ? byStream : byFetch;
}

/**
 * @param {Sending} sending
 * @returns {Promise<{ status: number, text: string }>}
 */
function byRequest({ method, url, headers, fields, bytes, onSent, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const within = (/** @type {number} */ milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), milliseconds);
    };
    const aborted = () => request.abort();
    signal.addEventListener("abort", aborted, { once: true });
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      within(STANDSTILL_MS);
      // What is sent besides the file (the form) comes first; at the end all is sent.
      onSent(Math.min(loaded, bytes.size));
    };
    request.upload.onload = () => within(THINKING_MS);
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(new Lost());
    request.onabort = () => reject(signal.aborted ? signal.reason : new Lost("it stood still"));
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    };
    within(THINKING_MS);
    request.send(fields ? form(fields, bytes) : bytes);
  });
}

/**
 * @param {Sending} sending
 * @returns {Promise<{ status: number, text: string }>}
 */
async function byStream({ method, url, headers, fields, bytes, onSent, signal }) {
  const framed = fields ? framedForm(fields) : { head: new Uint8Array(), tail: new Uint8Array(), headers: {} };
  const length = framed.head.length + bytes.size + framed.tail.length;
  const late = linked(signal);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isOver = false;
  const within = (/** @type {number} */ milliseconds) => {
    clearTimeout(timer);
    // The stream may be read on for a moment after the answer; a timer set then would keep the process alive.
    if (!isOver) timer = setTimeout(() => late.abort(new Lost("it stood still")), milliseconds);
  };
  async function* pieces() {
    if (framed.head.length > 0) yield framed.head;
    let sent = 0;
    for await (const chunk of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (bytes.stream()))) {
      for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
        const piece = chunk.subarray(start, start + PIECE_BYTES);
        within(STANDSTILL_MS);
        yield piece;
        if (isOver) return;
        sent += piece.length;
        onSent(sent);
      }
    }
    if (framed.tail.length > 0) yield framed.tail;
    within(THINKING_MS);
  }
  const source = pieces();
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await source.return(undefined);
    },
  });
  within(THINKING_MS);
  // Without this length the request would be chunked, which stores refuse.
  const sent = { ...headers, ...framed.headers, "Content-Length": String(length) };
  const init = { method, headers: sent, body: length > 0 ? body : undefined, duplex: "half", signal: late.signal };
  return fetched(url, /** @type {RequestInit} */ (init), signal).finally(() => {
    isOver = true;
    clearTimeout(timer);
    late.unlink();
  });
}

/**
 * @param {Sending} sending
 * @returns {Promise<{ status: number, text: string }>}
 */
function byFetch({ method, url, headers, fields, bytes, signal }) {
  return fetched(url, { method, headers, body: fields ? form(fields, bytes) : bytes, signal, credentials: "omit" }, signal);
}

/**
 * @param {string} url
 * @param {RequestInit} init
 * @param {AbortSignal} signal
 */
async function fetched(url, init, signal) {
  try {
    const answer = await fetch(url, { ...init, referrerPolicy: "no-referrer" });
    return { status: answer.status, text: await answer.text() };
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Lost ? error : new Lost(error);
  }
}

/**
 * Every field, the file last: stores ignore what follows it. The file's real name is none of the store's business.
 * @param {Record<string, string>} fields
 * @param {Blob} bytes
 */
function form(fields, bytes) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  data.append("file", bytes, "file");
  return data;
}

/**
 * What stands before and after the file in the same form.
 * @param {Record<string, string>} fields
 */
function framedForm(fields) {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const boundary = `dropslip-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const quoted = (/** @type {string} */ name) => name.replace(/"/g, "%22").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
  );
  const file = 'Content-Disposition: form-data; name="file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\n';
  const encoder = new TextEncoder();
  return {
    head: encoder.encode(`${parts.join("")}--${boundary}\r\n${file}`),
    tail: encoder.encode(`\r\n--${boundary}--\r\n`),
    headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
  };
}
