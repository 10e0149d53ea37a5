// The JavaScript client with files in parts: whole, broken, cancelled, resumed.
import assert from "node:assert/strict";
import { test } from "node:test";

import "./node18.mjs";
import { Dropslip } from "../../clients/js/src/index.js";

const { TEST_BROKER: server, TEST_TOKEN: token } = process.env;
const MIB = 1024 * 1024;
const SIZE = 17 * MIB;
const PARTS = 4;
const bytes = (letter) => new Blob([letter.repeat(SIZE)], { type: "text/plain" });
const client = new Dropslip({ server, token });
const name = "large.txt";

const partNumber = (url) => Number(new URL(url).searchParams.get("partNumber"));

/** Runs `act` while requests to the store go through `through`; gives the numbers of the parts that were sent. */
async function withStore(through, act) {
  const real = globalThis.fetch;
  const sent = [];
  globalThis.fetch = async (url, init) => {
    if (String(url).startsWith(`${server}/`)) return real(url, init);
    assert.ok(!new Headers(init.headers).has("Authorization"));
    sent.push(partNumber(url));
    return through(url, init, real);
  };
  try {
    return { result: await act(), sent };
  } finally {
    globalThis.fetch = real;
  }
}

const straight = (url, init, real) => real(url, init);
const lost = () => Promise.reject(new TypeError("the connection is lost"));

test("a large file comes in parts, several at the same time", async () => {
  const told = [];
  let [now, most] = [0, 0];
  const counting = async (url, init, real) => {
    most = Math.max(most, ++now);
    return real(url, init).finally(() => now--);
  };
  const onProgress = (progress) => told.push(progress);
  const { result, sent } = await withStore(counting, () => client.upload(bytes("a"), { name, parallel: 2, onProgress }));
  assert.deepEqual([result.state, result.size], ["active", SIZE]);
  assert.deepEqual(sent.sort(), [1, 2, 3, 4]);
  assert.equal(most, 2);
  const loaded = told.filter(({ phase }) => phase === "uploading").map(({ loaded }) => loaded);
  assert.ok(loaded.length > 20 && loaded.at(-1) === SIZE && loaded.every((bytes, i) => i === 0 || bytes >= loaded[i - 1]));
});

test("a file may be kept in one piece", async () => {
  const { result, sent } = await withStore(straight, () => client.upload(bytes("b"), { name, multipart: false }));
  assert.deepEqual([result.state, result.size, sent.length], ["active", SIZE, 1]);
});

test("a part whose connection breaks is sent again, and no other", async () => {
  let broken = 0;
  const once = (url, init, real) => (partNumber(url) === 2 && broken++ === 0 ? lost() : real(url, init));
  const { result, sent } = await withStore(once, () => client.upload(bytes("c"), { name }));
  assert.equal(result.state, "active");
  assert.deepEqual(sent.sort(), [1, 2, 2, 3, 4]);
});

// Garage says 400 to a URL that has ended.
for (const status of [403, 400]) test(`a part that the store refuses with ${status} gets another URL`, async () => {
  const urls = [];
  const refusing = (url, init, real) => {
    if (partNumber(url) !== 3) return real(url, init);
    urls.push(url);
    return urls.length === 1 ? Promise.resolve(new Response("<Error><Code>Refused</Code></Error>", { status })) : real(url, init);
  };
  const signed = [];
  const watching = new Dropslip({
    server,
    token,
    fetch: (url, init) => {
      if (init.method === "POST" && url.endsWith("/parts.json")) signed.push(JSON.parse(init.body).partNumbers);
      return fetch(url, init);
    },
  });
  const { result } = await withStore(refusing, () => watching.upload(bytes("d"), { name }));
  assert.equal(result.state, "active");
  assert.deepEqual(signed, [[1, 2, 3, 4], [3]]);
});

test("a part that stays a bad request ends the upload", async () => {
  let refused = 0;
  const refusing = (url, init, real) => {
    if (partNumber(url) !== 3) return real(url, init);
    refused++;
    return Promise.resolve(new Response("<Error><Code>Refused</Code></Error>", { status: 400 }));
  };
  await assert.rejects(withStore(refusing, () => client.upload(bytes("f"), { name })), { status: 400, step: "upload" });
  assert.equal(refused, 2);
});

test("a cancelled upload leaves no record", async () => {
  const cancel = new AbortController();
  const kept = new Map();
  const resume = { get: (key) => kept.get(key), set: (key, value) => void kept.set(key, value), delete: (key) => void kept.delete(key) };
  let id;
  const cancelling = (url, init, real) => {
    if (partNumber(url) === 4) cancel.abort();
    return real(url, init);
  };
  const options = { name, parallel: 1, signal: cancel.signal, resume, onSlip: (file) => (id = file.id) };
  await assert.rejects(withStore(cancelling, () => client.upload(bytes("e"), options)), { name: "AbortError" });
  await assert.rejects(client.file(id), { status: 404 });
  assert.equal(kept.size, 0);
});

test("an upload that was broken off goes on with the parts that are missing", async () => {
  const kept = new Map();
  const resume = { get: async (key) => kept.get(key), set: async (key, value) => void kept.set(key, value), delete: async (key) => void kept.delete(key) };
  let id;
  const breaking = (url, init, real) => (partNumber(url) > 2 ? lost() : real(url, init));
  const options = { name, resume, parallel: 1, tries: 1, onSlip: (file) => (id = file.id) };
  await assert.rejects(withStore(breaking, () => client.upload(bytes("f"), options)), { step: "upload", retryable: true });
  assert.deepEqual([...kept.values()], [String(id)]);

  const told = [];
  const again = { name, resume, onProgress: (progress) => told.push(progress) };
  const { result, sent } = await withStore(straight, () => client.upload(bytes("f"), again));
  assert.deepEqual([result.id, result.state, result.size], [id, "active", SIZE]);
  assert.deepEqual(sent.sort(), [3, 4]);
  const first = told.find(({ phase, loaded }) => phase === "uploading" && loaded > 0);
  assert.ok(first.loaded >= (SIZE / PARTS) * 1.5, `it begins at ${first.loaded}`);
  assert.equal(kept.size, 0);

  // What is remembered but gone is not the end.
  await client.upload(bytes("f"), { name, resume: { ...resume, get: () => "4000000000" } });
});

test("an upload that is complete but was never confirmed is only confirmed", async () => {
  const kept = new Map();
  const resume = { get: (key) => kept.get(key), set: (key, value) => void kept.set(key, value), delete: (key) => void kept.delete(key) };
  const dying = new Dropslip({
    server,
    token,
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      return init.method === "PATCH" ? new Response("{}", { status: 500 }) : answer;
    },
  });
  let id;
  await assert.rejects(dying.upload(bytes("g"), { name, resume, tries: 1, onSlip: (file) => (id = file.id) }), { step: "confirm" });
  assert.equal(kept.size, 1);
  const { result, sent } = await withStore(straight, () => client.upload(bytes("g"), { name, resume }));
  assert.deepEqual([result.id, result.state, sent], [id, "active", []]);
});
