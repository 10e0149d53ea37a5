// The JavaScript client in Node, against a real broker and a real store.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import "./node18.mjs";
import { Dropslip, DropslipError } from "../../clients/js/src/index.js";

const { TEST_BROKER: server, TEST_TOKEN: token } = process.env;
const client = new Dropslip({ server, token });
const text = (size, letter = "a") => new Blob([letter.repeat(size)], { type: "text/plain" });

/** Requests of the global fetch while `act` runs: where to, and with what headers. */
async function watched(act) {
  const real = globalThis.fetch;
  const seen = [];
  globalThis.fetch = (url, init) => {
    seen.push({ url: String(url), method: init.method, headers: new Headers(init.headers) });
    return real(url, init);
  };
  try {
    return { seen, result: await act() };
  } finally {
    globalThis.fetch = real;
  }
}

test("a file becomes active, its progress rises, and the store never sees the token", async () => {
  const told = [];
  const { seen, result } = await watched(() => client.upload(text(1_000_000), { name: "a.txt", onProgress: (progress) => told.push(progress) }));
  assert.equal(result.state, "active");
  assert.equal(result.size, 1_000_000);
  assert.equal(result.filename, "a.txt");
  assert.deepEqual([...new Set(told.map(({ phase }) => phase))], ["authorizing", "uploading", "confirming"]);
  const sent = told.filter(({ phase }) => phase === "uploading").map(({ loaded }) => loaded);
  assert.ok(sent.length > 3 && sent.at(-1) === 1_000_000 && sent.every((bytes, i) => i === 0 || bytes >= sent[i - 1]), String(sent));
  const toStore = seen.filter(({ url }) => !url.startsWith(`${server}/`));
  assert.ok(toStore.length > 0 && toStore.every(({ headers }) => !headers.has("Authorization")));
  assert.deepEqual(await client.file(result.id), result);
});

test("whatever holds bytes can be uploaded", async () => {
  const path = join(fs.mkdtempSync(join(tmpdir(), "dropslip-")), "b.txt");
  fs.writeFileSync(path, "from a disk");
  // Node 18 has no openAsBlob.
  const onDisk = fs.openAsBlob ? await fs.openAsBlob(path) : new Blob([fs.readFileSync(path)]);
  const bytes = new TextEncoder().encode("bytes in memory");
  const inTheMiddle = new Uint8Array(bytes.buffer, 6, 2);
  for (const [what, size] of [[onDisk, 11], [bytes, 15], [bytes.buffer, 15], [inTheMiddle, 2], [Buffer.from("buffer"), 6]]) {
    const file = await client.upload(what, { name: "b.txt", mimeType: "" });
    assert.deepEqual([file.state, file.size, file.mimeType], ["active", size, "text/plain"]);
  }
  assert.equal((await client.upload(text(3))).filename, "file");
  fs.rmSync(path);
});

test("refusals name the fields and are final", async () => {
  for (const [options, status, field] of [
    [{ name: "setup.exe" }, 400, "filename"],
    [{ name: "a.txt", type: "no-such-type" }, 400, "type"],
    [{ name: "a.txt", sha256: "nonsense" }, 400, "checksumSHA256"],
  ]) {
    await assert.rejects(client.upload(text(5), options), (error) => {
      assert.ok(error instanceof DropslipError);
      assert.deepEqual([error.step, error.status, error.retryable, Object.keys(error.fields)], ["authorize", status, false, [field]]);
      return error.message.includes(field);
    });
  }
  await assert.rejects(client.upload(new Blob([]), { name: "a.txt" }), ({ fields }) => "size" in fields);
  await assert.rejects(client.file(4_000_000_000), { step: "read", status: 404 });
  const stranger = new Dropslip({ server, token: "dslip_no_token" });
  await assert.rejects(stranger.fileTypes(), { status: 401, retryable: false });
  assert.throws(() => new Dropslip({ server: "file:///etc" }), TypeError);
});

test("a refusal of a type is one short sentence, and a type that nobody knows is none", async () => {
  const picture = (type) => new Blob(["a"], { type });
  const sentence = "filename must end in .pdf for application/pdf";
  await assert.rejects(client.upload(picture("application/pdf"), { name: "photo.png" }), ({ message, status }) => message === sentence && status === 400);
  assert.equal((await client.upload(picture("application/x-of-nobody"), { name: "photo.png" })).state, "active");
});

test("bytes that are not what was granted are refused in step 3, with the reason", async () => {
  const png = new Blob(["this is no image at all"], { type: "image/png" });
  await assert.rejects(client.upload(png, { name: "a.png", type: "image" }), (error) => {
    assert.deepEqual([error.step, error.status, error.retryable], ["confirm", 422, false]);
    return error.fileId > 0 && Object.keys(error.fields).length > 0;
  });
});

test("the checksum is computed here and held by the broker", async () => {
  const digest = createHash("sha256").update("a".repeat(5000)).digest("base64");
  const file = await client.upload(text(5000), { name: "a.txt", sha256: true });
  assert.equal(file.evidence.checksumSHA256, digest);
  await assert.rejects(client.upload(text(4999), { name: "a.txt", sha256: digest }), DropslipError);
});

test("a cancelled upload ends with the signal's reason, and goes on as the same record", async () => {
  const cancel = new AbortController();
  let id;
  const reason = new Error("the person went away");
  const onProgress = ({ phase, loaded }) => phase === "uploading" && loaded > 0 && cancel.abort(reason);
  const upload = client.upload(text(3_000_000), { name: "c.txt", signal: cancel.signal, onSlip: (file) => (id = file.id), onProgress });
  await assert.rejects(upload, reason);
  assert.equal((await client.file(id)).state, "temp");
  const { seen, result } = await watched(() => client.upload(text(3_000_000), { name: "c.txt", fileId: id }));
  assert.deepEqual([result.id, result.state, result.size], [id, "active", 3_000_000]);
  assert.ok(seen.some(({ url }) => url.endsWith(`/v2/files/${id}/ref.json`)), "the slip was not replaced");
  await assert.rejects(client.upload(text(3), { signal: AbortSignal.abort(reason) }), reason);
});

test("an earlier record that is active is answered, one that is gone is replaced", async () => {
  const first = await client.upload(text(30), { name: "d.txt" });
  assert.deepEqual(await client.upload(text(30), { name: "d.txt", fileId: first.id }), first);
  const second = await client.upload(text(30), { name: "d.txt", fileId: 4_000_000_000 });
  assert.ok(second.id > first.id && second.id < 4_000_000_000 && second.state === "active");
});

test("lost answers of the broker make no second record", async () => {
  const ids = new Set();
  const lost = new Set();
  const losing = new Dropslip({
    server,
    token: async () => token,
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      const said = await answer.clone().json();
      ids.add(said.file.id);
      const request = `${init.method} ${url}`;
      if (lost.has(request)) return answer;
      lost.add(request);
      throw new TypeError("the answer is lost");
    },
  });
  const file = await losing.upload(text(40), { name: "e.txt" });
  assert.equal(file.state, "active");
  assert.deepEqual([...ids], [file.id]);
  assert.equal(lost.size, 2);
});

test("Retry-After is honoured, and a wait that is too long is told", async () => {
  let refusals = 0;
  const times = [];
  const busy = (seconds) => new Dropslip({
    server,
    token,
    fetch: async (url, init) => {
      times.push(performance.now());
      if (refusals++ > 0) return fetch(url, init);
      return new Response('{"errors":{"limit":["too many"]}}', { status: 429, headers: { "Retry-After": String(seconds) } });
    },
  });
  assert.equal((await busy(1).upload(text(3), { name: "f.txt" })).state, "active");
  assert.ok(times[1] - times[0] > 950, `it came back after ${times[1] - times[0]} ms`);
  refusals = 0;
  await assert.rejects(busy(3600).fileTypes(), { status: 429, retryable: true, retryAfter: 3600 });
});

test("a body that is compressed under way is refused for good", async () => {
  let requests = 0;
  const compressing = (url, init) => {
    requests += 1;
    return fetch(url, { ...init, headers: { ...init.headers, "Content-Encoding": "gzip" } });
  };
  const refused = { step: "authorize", status: 415, retryable: false, message: /‘gzip’/ };
  await assert.rejects(new Dropslip({ server, token, fetch: compressing }).upload(text(3), { name: "g.txt" }), refused);
  assert.equal(requests, 1);
});

test("the file types are told", async () => {
  const types = await client.fileTypes();
  assert.deepEqual(types.map(({ name }) => name), ["artifact", "attachment", "image"]);
  const image = types.find(({ name }) => name === "image");
  assert.equal(image.maxSize, 10 * 1024 * 1024);
  assert.ok(image.contentTypes.some(({ type, extensions }) => type === "image/png" && extensions.includes("png")));
});
