// Pages whose monitoring and libraries add headers of their own to every request: one of a configured origin, and a stranger's.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { startChromium } from "./chromium.mjs";
import { PATIENCE_MS, ask, server, token } from "./page.mjs";

/** What tracing, error monitoring, older libraries and browsers that reload add. */
const ADDED = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=1",
  baggage: "sentry-release=1.0",
  "sentry-trace": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
  "x-datadog-trace-id": "1",
  "X-Requested-With": "XMLHttpRequest",
  "Cache-Control": "no-cache",
  Pragma: "no-cache",
};

/** Runs in the page: the three steps, each with these headers; the status of each, or why there is none. */
async function threeSteps({ server, token, added }) {
  const authorized = { ...added, Authorization: `Bearer ${token}`, "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
  const asked = await fetch(`${server}/v2/files/ref.json`, {
    method: "POST",
    headers: authorized,
    body: JSON.stringify({ type: "attachment", filename: "a.txt", mimeType: "text/plain", size: 5 }),
  }).catch(String);
  if (!asked.ok) return { asked: asked.status ?? asked };
  const { url, params, file } = await asked.json();
  const form = new FormData();
  for (const [name, value] of Object.entries(params)) form.append(name, value);
  form.append("file", new Blob(["hello"]), "a.txt");
  const dropped = await new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    for (const [name, value] of Object.entries(added)) request.setRequestHeader(name, value);
    request.onload = () => resolve(request.status);
    request.onerror = () => resolve("no answer");
    request.send(form);
  });
  const confirmed = await fetch(`${server}/v2/files/${file.id}.json`, { method: "PATCH", headers: authorized }).catch(String);
  return { asked: asked.status, dropped, confirmed: confirmed.status ?? confirmed, id: file.id };
}

/** What came of it in a page at that port, 0 for any. */
async function inPageAt(port, added) {
  const site = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<!doctype html><title>x</title>"));
  await new Promise((listening) => site.listen(port, "127.0.0.1", listening));
  const browser = await startChromium();
  try {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    return await page.evaluate(threeSteps, { server, token, added });
  } finally {
    await browser.close();
    site.close();
  }
}

test("a page of a configured origin uploads whatever headers it adds, and a stranger's page does not", async () => {
  const done = await inPageAt(Number(process.env.PAGE_PORT), ADDED);
  assert.deepEqual({ ...done, id: 0 }, { asked: 201, dropped: 201, confirmed: 200, id: 0 });
  assert.equal((await ask("GET", `/v2/files/${done.id}.json`)).body.file.state, "active");
  for (const added of [ADDED, {}]) assert.match((await inPageAt(0, added)).asked, /Failed to fetch/);
});
