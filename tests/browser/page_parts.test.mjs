// Large files through the page: in parts, and on from where it was after a reload.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { ask, choose, network, reaches, row, server, textFile, underWay, withPage } from "./page.mjs";

const SIZE = 17 * 1024 * 1024;
const isPartUrl = /partNumber=/;
const isPart = (request) => request.method() === "PUT" && isPartUrl.test(request.url());
const partNumber = (url) => Number(new URL(url).searchParams.get("partNumber"));

test("a large file goes on after a reload with the parts that are missing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dropslip-page-"));
  const path = join(folder, "large.txt");
  // Not all the same letter: a part in the wrong place would be another file.
  writeFileSync(path, Buffer.concat(["a", "b", "c", "d"].map((letter) => Buffer.alloc(SIZE / 4, letter))));
  try {
    await withPage(async (page) => {
      // All parts but the first are on their way for ever.
      await page.route(isPartUrl, (route) => (partNumber(route.request().url()) === 1 ? route.continue() : undefined));
      const slip = page.waitForResponse((answer) => answer.url() === `${server}/v2/files/ref.json` && answer.request().method() === "POST");
      const part = page.waitForResponse((answer) => isPart(answer.request()) && answer.ok());
      await choose(page, path);
      const { file, method, partCount } = await (await slip).json();
      assert.deepEqual([method, partCount], ["MULTIPART", 4]);
      await part;
      await page.reload();
      await page.unroute(isPartUrl);
      assert.match(await (await reaches(page, "large.txt", "temp")).textContent(), /Choose the same file again/);

      const sent = [];
      page.on("request", (request) => isPart(request) && sent.push(partNumber(request.url())));
      await choose(page, path);
      await reaches(page, "large.txt", "active");
      assert.deepEqual(sent.sort(), [2, 3, 4]);
      assert.equal(await page.locator("#list li").count(), 1, "the line of the same record is replaced");
      const { body } = await ask("GET", `/v2/files/${file.id}.json`);
      assert.deepEqual([body.file.state, body.file.size], ["active", SIZE]);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a large file that is cancelled leaves nothing, and can be tried again from the start", async () => {
  await withPage(async (page) => {
    const net = await network(page);
    await net.slow(2_000_000);
    const slip = page.waitForResponse((answer) => answer.url() === `${server}/v2/files/ref.json`);
    await choose(page, textFile("gone.txt", SIZE));
    const { file } = await (await slip).json();
    await underWay(page, "gone.txt");
    const given = page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await row(page, "gone.txt").getByRole("button", { name: "Cancel" }).click();
    assert.equal((await given).status(), 204);
    await reaches(page, "gone.txt", "cancelled");
    assert.equal((await ask("GET", `/v2/files/${file.id}.json`)).status, 404);
    await net.fast();
    await row(page, "gone.txt").getByRole("button", { name: "Try again" }).click();
    await reaches(page, "gone.txt", "active");
  });
});
