// Uploads through the page, in Chromium, against one store with its CORS rules.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, choose, network, reaches, row, server, textFile, token, underWay, withPage } from "./page.mjs";

test("twenty files at once, one refused by type, one too large, one cancelled and retried, one with the network cut", async () => {
  await withPage(async (page) => {
    // The token is gone from the address at once.
    await page.locator("#drop").waitFor();
    assert.equal(page.url(), `${server}/`);
    const names = Array.from({ length: 20 }, (_, i) => `file-${i}.txt`);
    await choose(page, [...names.map((name, i) => textFile(name, 1000 + i, String.fromCharCode(97 + i))), textFile("setup.exe", 10)]);
    for (const name of names) await reaches(page, name, "active");
    const refused = await reaches(page, "setup.exe", "refused");
    assert.match(await refused.textContent(), /Files that end in \.exe are not taken\./);
    await page.getByText("20 files · 19.7 KiB sent").waitFor();
    await page.getByRole("status").filter({ hasText: /active/ }).waitFor({ state: "attached" });

    // What the page says is what the broker knows.
    const ids = await page.evaluate(() => JSON.parse(localStorage.getItem("dropslip:files")));
    const files = await Promise.all(ids.map((id) => ask("GET", `/v2/files/${id}.json`)));
    assert.deepEqual(files.map(({ body }) => body.file.filename).sort(), [...names].sort());
    assert.ok(files.every(({ body }) => body.file.state === "active" && body.file.size === 1000 + Number(/\d+/.exec(body.file.filename)[0])));

    // Refused here, before anything is asked.
    await page.getByLabel("As").selectOption("image");
    await choose(page, [{ name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(11 * 1024 * 1024) }, textFile("notes.txt", 5)]);
    assert.match(await (await reaches(page, "large.png", "refused")).textContent(), /Too large: it has 11 MiB, the limit is 10 MiB\./);
    assert.match(await (await reaches(page, "notes.txt", "refused")).textContent(), /only \.png/);
    await page.getByLabel("As").selectOption("attachment");

    // Cancelled in the middle, retried as the same record with another slip.
    const net = await network(page);
    await net.slow(400_000);
    const slip = page.waitForResponse((answer) => answer.url() === `${server}/v2/files/ref.json` && answer.request().method() === "POST");
    await choose(page, textFile("cancelled.txt", 3_000_000, "x"));
    const { file } = await (await slip).json();
    await underWay(page, "cancelled.txt");
    await row(page, "cancelled.txt").getByRole("button", { name: "Cancel" }).click();
    await reaches(page, "cancelled.txt", "cancelled");
    await net.fast();
    const again = page.waitForResponse(`${server}/v2/files/${file.id}/ref.json`);
    await row(page, "cancelled.txt").getByRole("button", { name: "Try again" }).click();
    assert.equal((await again).status(), 201);
    await reaches(page, "cancelled.txt", "active");
    assert.equal((await ask("GET", `/v2/files/${file.id}.json`)).body.file.size, 3_000_000);

    // The network goes away in the middle and comes back.
    await net.slow(400_000);
    await choose(page, textFile("cut.txt", 3_000_000, "y"));
    await underWay(page, "cut.txt");
    await net.cut();
    await row(page, "cut.txt").getByText("No network. It goes on when there is one.").waitFor();
    await net.fast();
    await reaches(page, "cut.txt", "active");
  });
});

test("the server refuses what gets around the page, and the page says so in the server's words", async () => {
  await withPage(async (page) => {
    // A page that knows no limits.
    await page.route("**/v2/file-types.json", async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      for (const rule of body.fileTypes) Object.assign(rule, { maxSize: 2 ** 40, minSize: 0, refusedExtensions: [] });
      await route.fulfill({ response: answer, json: body });
    });
    await page.reload();
    await page.getByLabel("As").selectOption("image");
    await choose(page, [{ name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(11 * 1024 * 1024) }]);
    assert.match(await (await reaches(page, "large.png", "refused")).textContent(), /The size must be 10 MiB or lower\./);
    await page.getByLabel("As").selectOption("attachment");
    await choose(page, [textFile("setup.exe", 10), textFile("empty.txt", 0)]);
    assert.match(await (await reaches(page, "setup.exe", "refused")).textContent(), /The name must not end in ‘\.exe’\./);
    assert.match(await (await reaches(page, "empty.txt", "refused")).textContent(), /The size must be 1 or higher\./);
    // What landed is looked at: no image at all.
    await page.getByLabel("As").selectOption("image");
    await choose(page, { name: "fake.png", mimeType: "image/png", buffer: Buffer.from("this is no image") });
    await reaches(page, "fake.png", "refused");
  });
});

test("what is chosen before the page knows the rules waits for them", async () => {
  await withPage(async (page) => {
    let open;
    const gate = new Promise((resolve) => (open = resolve));
    await page.route("**/file-types.json", async (route) => {
      await gate;
      await route.continue();
    });
    await page.reload();
    await choose(page, textFile("early.txt", 100, "e"));
    await choose(page, textFile("early-too.txt", 200, "e"));
    open();
    await reaches(page, "early.txt", "active");
    await reaches(page, "early-too.txt", "active");
  });
});

test("the list is there again after a reload, and a link can be copied", async () => {
  await withPage(async (page) => {
    await choose(page, textFile("kept.txt", 100));
    await reaches(page, "kept.txt", "active");
    // A record that never got its bytes.
    const { body } = await ask("POST", "/v2/files/ref.json", { type: "attachment", filename: "half.txt", mimeType: "text/plain", size: 10 });
    await page.evaluate((id) => {
      const ids = JSON.parse(localStorage.getItem("dropslip:files"));
      localStorage.setItem("dropslip:files", JSON.stringify([id, ...ids, 4_000_000_000, "x", null]));
    }, body.file.id);
    await page.reload();
    await reaches(page, "half.txt", "temp");
    const kept = await reaches(page, "kept.txt", "active");
    await kept.getByRole("button", { name: "Copy link" }).click();
    await kept.getByText("Copied").waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(link, new RegExp(`^${server}/v2/files/\\d+/download(\\?proxyKey=[\\w-]+)?$`));
    // With a bucket and no secret for keys, the link needs a token.
    const answer = await fetch(link, link.includes("proxyKey") ? {} : { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(await answer.text(), "a".repeat(100));
    await page.getByRole("button", { name: "Clear list" }).click();
    await page.getByText("Nothing here yet.").waitFor();
    await page.reload();
    await page.getByText("Nothing here yet.").waitFor();
  });
});
