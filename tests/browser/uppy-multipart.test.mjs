// Files in parts by the real Uppy in Chromium: whole, paused, cut off, given up, and refused at the end.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startChromium } from "./chromium.mjs";
import { Dashboard, bytes, expectSealed, file, servePages } from "./uppy-page.mjs";

const { BROKER, ENDPOINT, IMAGE_ENDPOINT, PAGE_PORT } = process.env;
const MIB = 1024 * 1024;

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

async function open(t, endpoint = ENDPOINT) {
  const dashboard = await Dashboard.open(browser, `${pages.origin}/multipart`, { "companion-endpoint": endpoint });
  t.after(() => dashboard.page.close());
  return dashboard;
}

const isPart = (request) => request.method() === "PUT" && request.url().includes("partNumber=");

/** Holds back each PUT of this part number until it is released. */
async function hold(dashboard, number) {
  let arrived;
  let release;
  const there = new Promise((resolve) => (arrived = resolve));
  const released = new Promise((resolve) => (release = resolve));
  await dashboard.page.route(
    (url) => url.searchParams.get("partNumber") === String(number),
    async (route) => {
      arrived();
      await released;
      await route.fallback().catch(() => {}); // the page may have given it up meanwhile
    },
  );
  return { there, release };
}

test("small and large files are active when Uppy says so, with no code of the page's", async (t) => {
  const dashboard = await open(t);
  const files = [
    file("small.txt", "text/plain", Buffer.from("one part is enough")),
    file("large ü.bin", "", bytes("large", 12 * MIB + 17)),
  ];
  await dashboard.choose(...files);
  await dashboard.start();
  assert.equal(await dashboard.ended(), "complete", await dashboard.told());
  assert.equal(dashboard.requests.filter(isPart).length, 1 + 3);
  assert.equal(dashboard.console.filter((line) => line.includes(`${BROKER}/v2/files/`)).length, 2, dashboard.console.join("\n"));
  expectSealed(...files);
});

test("a paused upload goes on with the parts that are missing", async (t) => {
  const dashboard = await open(t);
  const large = file("paused.bin", "", bytes("paused", 16 * MIB));
  const second = await hold(dashboard, 2);
  await dashboard.choose(large);
  await dashboard.start();
  await second.there;
  await dashboard.page.getByRole("button", { name: "Pause", exact: true }).click();
  await dashboard.page.getByRole("button", { name: "Resume", exact: true }).waitFor();
  second.release();
  const listed = dashboard.page.waitForResponse((response) => /\/s3\/multipart\/\d+\?key=/.test(response.url()));
  await dashboard.page.getByRole("button", { name: "Resume", exact: true }).click();
  const parts = await (await listed).json();
  assert.deepEqual(parts.map((part) => part.PartNumber).slice(0, 1), [1]);
  assert.equal(await dashboard.ended(), "complete", await dashboard.told());
  const first = dashboard.requests.filter((request) => isPart(request) && request.url().includes("partNumber=1&"));
  assert.equal(first.length, 1, "the first part goes up once");
  expectSealed(large);
});

test("after the network is cut a retry goes on where it was", async (t) => {
  const dashboard = await open(t);
  const large = file("cut.bin", "", bytes("cut", 11 * MIB));
  await dashboard.page.route(
    (url) => url.searchParams.get("partNumber") === "2",
    (route) => route.abort("connectionreset"),
  );
  await dashboard.choose(large);
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  await dashboard.page.unrouteAll({ behavior: "wait" });
  await dashboard.retry();
  assert.equal(await dashboard.ended(), "complete", await dashboard.told());
  const first = dashboard.requests.filter((request) => isPart(request) && request.url().includes("partNumber=1&"));
  assert.equal(first.length, 1, "the first part goes up once");
  expectSealed(large);
});

test("a lost answer to the last request is made up for by a retry", async (t) => {
  const dashboard = await open(t);
  const large = file("answer lost.bin", "", bytes("lost", 6 * MIB));
  let lost = 0;
  await dashboard.page.route(/\/complete\?key=/, async (route) => {
    await route.fetch();
    lost += 1;
    await route.abort("connectionreset");
  });
  await dashboard.choose(large);
  await dashboard.start();
  assert.equal(await dashboard.ended(), "error");
  assert.equal(lost, 1);
  await dashboard.page.unrouteAll({ behavior: "wait" });
  await dashboard.retry();
  assert.equal(await dashboard.ended(), "complete", await dashboard.told());
  assert.equal(dashboard.requests.filter(isPart).length, 2, "no part goes up again");
  expectSealed(large);
});

test("what the person gives up is gone", async (t) => {
  const dashboard = await open(t);
  const second = await hold(dashboard, 2);
  await dashboard.choose(file("given up.bin", "", bytes("up", 8 * MIB)));
  await dashboard.start();
  await second.there;
  const aborted = dashboard.page.waitForResponse((response) => response.request().method() === "DELETE");
  await dashboard.page.getByRole("button", { name: "Cancel", exact: true }).last().click();
  assert.equal((await aborted).status(), 200);
  const created = dashboard.requests.find((request) => request.url().endsWith("/s3/multipart"));
  const { key, uploadId } = await (await created.response()).json();
  second.release();
  const asked = await fetch(`${ENDPOINT}/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`);
  assert.equal(asked.status, 404);
});

test("what is too large or something else is refused, in words", async (t) => {
  for (const [refused, words] of [
    [file("photo.png", "image/png", Buffer.from("%PDF-1.7 this is no picture")), /mimeType/],
    [file("photo.png", "image/png", bytes("too large", 10 * MIB + 1)), /size must be 10485760 or lower/],
  ]) {
    const dashboard = await open(t, IMAGE_ENDPOINT);
    await dashboard.choose(refused);
    await dashboard.start();
    assert.equal(await dashboard.ended(), "error");
    assert.match(await dashboard.told(), words);
  }
});
