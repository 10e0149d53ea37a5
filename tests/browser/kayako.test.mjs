// Kayako's uploads from Node: its own FormData, Blob and fetch.

import assert from "node:assert/strict";
import { test } from "node:test";

const files = `${process.env.TEST_BROKER}/api/v1/files.json`;
const authorization = `Basic ${btoa(`me@example.com:${process.env.TEST_TOKEN}`)}`;

const bytes = Buffer.alloc(9 * 1024 * 1024 + 7, "dropslip ");

async function send(body, headers = {}, query = "") {
  const response = await fetch(files + query, { method: "POST", body, headers: { authorization, ...headers }, ...(body instanceof ReadableStream && { duplex: "half" }) });
  const said = await response.json();
  assert.equal(said.status, response.status);
  return said;
}

async function downloaded(file) {
  const response = await fetch(file.content_url, { headers: { authorization } });
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

for (const name of ["files", "files[]", "files[0]"]) {
  test(`a form with ${name}`, async () => {
    const form = new FormData();
    form.append(name, new Blob([bytes], { type: "application/octet-stream" }), "größe \"1\".bin");
    const said = await send(form);
    assert.equal(said.status, 201, JSON.stringify(said.errors));
    assert.equal(said.data.size, bytes.length);
    assert.match(said.data.name, /größe/);
    assert.equal(said.data.content, null);
    assert.ok((await downloaded(said.data)).equals(bytes));
  });
}

test("a form of two files", async () => {
  const form = new FormData();
  form.append("files[]", new Blob(["Hello"], { type: "text/plain" }), "a.txt");
  form.append("files[]", new Blob([bytes]), "b.bin");
  const said = await send(form);
  assert.equal(said.status, 201, JSON.stringify(said.errors));
  assert.equal(said.total_count, 2);
  assert.deepEqual(said.data.map((file) => file.name), ["a.txt", "b.bin"]);
  assert.equal(said.data[0].content, "SGVsbG8=");
  assert.ok((await downloaded(said.data[1])).equals(bytes));
});

test("a form of two files of which one is refused", async () => {
  const form = new FormData();
  form.append("files[]", new Blob(["Hello"], { type: "text/plain" }), "a.txt");
  form.append("files[]", new Blob(["MZ"]), "b.exe");
  const said = await send(form);
  assert.equal(said.status, 400);
  assert.equal(said.errors[0].pointer, "/files/1");
});

test("a stream, whose length nobody knows", async () => {
  const said = await send(new Blob([bytes]).stream(), {}, "?_filename=stream.bin");
  assert.equal(said.status, 201, JSON.stringify(said.errors));
  assert.ok((await downloaded(said.data)).equals(bytes));
});

test("JSON and a form with base64", async () => {
  const content = Buffer.from("Hello").toString("base64");
  for (const said of [
    await send(JSON.stringify({ content, name: "a.txt" }), { "content-type": "application/json" }),
    await send(new URLSearchParams({ content, name: "a.txt" })),
  ]) {
    assert.equal(said.status, 201, JSON.stringify(said.errors));
    assert.equal(said.data.content, content);
  }
});
