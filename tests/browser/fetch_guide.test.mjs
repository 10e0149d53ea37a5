// The fetch guide's module in Chromium, in a page of another origin than the broker's and the store's.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { after, before, test } from "node:test";

import { startChromium } from "./chromium.mjs";

const { BROKER, TOKEN, PAGE_PORT } = process.env;
const module = await readFile(new URL("../../examples/fetch/dropslip.mjs", import.meta.url));
let browser, page, server;

before(async () => {
  server = http.createServer((request, response) => {
    const script = request.url === "/dropslip.mjs";
    response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
    response.end(script ? module : "<!doctype html><title>Upload</title>");
  });
  await new Promise((listening) => server.listen(Number(PAGE_PORT), "127.0.0.1", listening));
  browser = await startChromium();
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${PAGE_PORT}/`);
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

/** Uploads a file of that many bytes from within the page; gives the file, or why not. */
const uploaded = (name, size, type = "") =>
  page.evaluate(async ({ broker, token, name, size, type }) => {
    const { upload } = await import("/dropslip.mjs");
    try {
      return await upload(broker, token, new File([new Uint8Array(size).fill(97)], name, { type }));
    } catch (failed) {
      return { status: failed.status, message: failed.message, fields: failed.fields };
    }
  }, { broker: BROKER, token: TOKEN, name, size, type });

test("files become active", async () => {
  for (const [name, size, type] of [["note.txt", 5, "text/plain"], ["it's äö 文書 🖇.bin", 3_000_000, ""]]) {
    const file = await uploaded(name, size, type);
    assert.deepEqual([file.state, file.size, file.filename], ["active", size, name], JSON.stringify(file));
  }
});

test("a refusal names its fields", async () => {
  const refused = await uploaded("setup.exe", 5);
  assert.deepEqual([refused.status, Object.keys(refused.fields)], [400, ["filename"]], JSON.stringify(refused));
});

test("the caller can end it", async () => {
  const said = await page.evaluate(async ({ broker, token }) => {
    const { upload } = await import("/dropslip.mjs");
    return upload(broker, token, new File(["a"], "a.txt"), { signal: AbortSignal.abort(new Error("changed my mind")) }).catch((failed) => failed.message);
  }, { broker: BROKER, token: TOKEN });
  assert.equal(said, "changed my mind");
});
