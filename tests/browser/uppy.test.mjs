// The real Uppy in Chromium, against the broker and the store that the environment names.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "./chromium.mjs";
import { Dashboard, bytes, expectSealed, file, servePages } from "./uppy-page.mjs";

const { BROKER, TOKEN, ENDPOINT, EXPIRED_ENDPOINT, IMAGE_ENDPOINT, FULL_ENDPOINT, PAGE_PORT } = process.env;

let browser;
let pages;

before(async () => {
  pages = await servePages(Number(PAGE_PORT));
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  pages?.close();
});

/** A page with one of the examples, closed with the test. */
async function open(t, example, data) {
  const dashboard = await Dashboard.open(browser, `${pages.origin}/${example}`, data);
  t.after(() => dashboard.page.close());
  return dashboard;
}

const single = { "companion-endpoint": ENDPOINT };

test("small files go up in one request each, twenty of them, and are active", async (t) => {
  const dashboard = await open(t, "single", single);
  const files = Array.from({ length: 20 }, (_, i) => file(`file ${i} ü'&.txt`, "text/plain", Buffer.from(`text number ${i}`)));
  await dashboard.choose(...files);
  await dashboard.start();
  assert.equal(await dashboard.ended(), "complete", await dashboard.told());
  assert.equal(dashboard.console.filter((line) => line.includes(`${BROKER}/v2/files/`)).length, 20, dashboard.console.join("\n"));
  assert.equal(dashboard.requests.filter((request) => request.url().includes("/s3/params?")).length, 20);
  expectSealed(...files);
});

test("a refusal by type is told to the person in words", async (t) => {
  const dashboard = await open(t, "single", single);
  await dashboard.choose(file("setup.exe", "application/octet-stream", Buffer.from("MZ")));
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.match(await dashboard.told(), /filename must not end in '\.exe'/);
});

test("a file that is too large is refused before any byte moves", async (t) => {
  const dashboard = await open(t, "single", { "companion-endpoint": IMAGE_ENDPOINT });
  await dashboard.choose(file("photo.png", "image/png", bytes("large", 10 * 1024 * 1024 + 1)));
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.match(await dashboard.told(), /size must be 10485760 or lower/);
  assert.deepEqual(dashboard.requests.filter((request) => request.method() === "POST").map((request) => request.url()), []);
});

test("bytes that are something else are refused at the end, in words", async (t) => {
  const dashboard = await open(t, "single", { "companion-endpoint": IMAGE_ENDPOINT });
  await dashboard.choose(file("photo.png", "image/png", Buffer.from("%PDF-1.7 this is no picture")));
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.match(await dashboard.told(), /mimeType/);
});

test("an upload token that has expired is told in words", async (t) => {
  const dashboard = await open(t, "single", { "companion-endpoint": EXPIRED_ENDPOINT });
  await dashboard.choose(file("a.txt", "text/plain", Buffer.from("late")));
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.match(await dashboard.told(), /this page may not upload \(any more\): load it again/);
});

test("too many open slips are told in words", async (t) => {
  const dashboard = await open(t, "single", { "companion-endpoint": FULL_ENDPOINT });
  await dashboard.choose(file("a.txt", "text/plain", Buffer.from("one too many")));
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.match(await dashboard.told(), /too many open slips/);
});

test("the three steps by Uppy's own hook", async (t) => {
  const dashboard = await open(t, "three-steps", { broker: BROKER, token: TOKEN, type: "attachment" });
  const files = [file("a.txt", "text/plain", Buffer.from("three steps")), file("b.bin", "", bytes("b", 1_000_000))];
  await dashboard.choose(...files);
  await dashboard.start();
  assert.equal(await dashboard.ended(), "complete", await dashboard.told());
  expectSealed(...files);
});

test("the three steps tell a refusal in words", async (t) => {
  const dashboard = await open(t, "three-steps", { broker: BROKER, token: TOKEN, type: "image" });
  await dashboard.choose(file("a.txt", "text/plain", Buffer.from("no image")));
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.match(await dashboard.told(), /mimeType must be one that is taken here; a file that ends in .\.txt. /);
});
