// Pages of anybody's that link to files here.
import assert from "node:assert/strict";
import { createServer } from "node:http";

import { startChromium } from "./chromium.mjs";
import { PATIENCE_MS, ask } from "./page.mjs";

/** How long the store's URLs live here, in seconds; nothing where the broker sends the bytes. */
export const life = Number(process.env.TEST_URL_LIFE ?? 0);

/** An active file of these bytes. */
export async function uploaded(filename, mimeType, bytes) {
  const slip = await ask("POST", "/v2/files/ref.json", { type: "attachment", filename, mimeType, size: bytes.length });
  assert.equal(slip.status, 201, JSON.stringify(slip.body));
  const form = new FormData();
  for (const [name, value] of Object.entries(slip.body.params)) form.append(name, value);
  form.append("file", new Blob([bytes]), filename);
  assert.equal((await fetch(slip.body.url, { method: "POST", body: form })).status, 201);
  const { status, body } = await ask("PATCH", `/v2/files/${slip.body.file.id}.json`);
  assert.equal(status, 200, JSON.stringify(body));
  return body.file;
}

/** A page somewhere else that shows `html`. */
export async function withPageElsewhere(html, act) {
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html; charset=utf-8").end(`<!doctype html><title>x</title>${html}`));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const browser = await startChromium();
  try {
    const context = await browser.newContext({ acceptDownloads: true });
    context.setDefaultTimeout(PATIENCE_MS);
    await act(context, `http://127.0.0.1:${server.address().port}/`);
  } finally {
    await browser.close();
    server.close();
  }
}

/** Waits until a URL of the store's is good no longer. */
export async function isDead(url) {
  const deadline = Date.now() + PATIENCE_MS;
  // Garage says 400.
  while (![400, 403].includes((await fetch(url)).status)) {
    assert.ok(Date.now() < deadline, "the store's URL is good for ever");
    await new Promise((again) => setTimeout(again, 250));
  }
}
