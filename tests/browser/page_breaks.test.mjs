// The page when a connection breaks in the middle of a file, and when a slip is used too late.
import assert from "node:assert/strict";
import { test } from "node:test";

import { choose, reaches, row, server, textFile, withPage } from "./page.mjs";

test("a connection that breaks in the middle of a file is made again, without a second record", async () => {
  await withPage(async (page) => {
    const slips = [];
    page.on("request", (request) => request.url() === `${server}/v2/files/ref.json` && slips.push(request));
    const middle = Buffer.concat([Buffer.alloc(1_500_000, "a"), Buffer.from("CUT-HERE"), Buffer.alloc(500_000, "b")]);
    const texts = await page.evaluateHandle(() => {
      const seen = new Set();
      new MutationObserver(() => document.querySelectorAll("li .state").forEach(({ textContent }) => seen.add(textContent))).observe(document.body, { childList: true, subtree: true, characterData: true });
      return seen;
    });
    await choose(page, { name: "cut.txt", mimeType: "text/plain", buffer: middle });
    await reaches(page, "cut.txt", "active");
    assert.ok(await texts.evaluate((seen) => seen.has("The connection was lost. Trying again…")));
    assert.equal(slips.length, 1);
  });
});

test("a slip that is used too late is replaced", async () => {
  await withPage(async (page) => {
    let held = 0;
    await page.route(
      (url) => url.origin !== server,
      async (route) => {
        if (route.request().method() === "POST" && held++ === 0) {
          const slip = await issued;
          const { expiresAt } = await slip.json();
          await new Promise((resolve) => setTimeout(resolve, Date.parse(expiresAt) + 2000 - Date.now()));
        }
        await route.continue();
      },
    );
    const issued = page.waitForResponse(`${server}/v2/files/ref.json`);
    const replaced = page.waitForResponse((answer) => /\/v2\/files\/\d+\/ref\.json$/.test(answer.url()));
    await choose(page, textFile("late.txt", 1000));
    assert.equal((await replaced).status(), 201);
    await reaches(page, "late.txt", "active");
    assert.equal(await row(page, "late.txt").getByText("Active · 1000 bytes · text/plain").count(), 1);
  });
});
