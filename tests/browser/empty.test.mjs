// Files without a byte, by the JavaScript client in Node and by the page in Chromium: sent where the file type takes them.
import assert from "node:assert/strict";
import { test } from "node:test";

import "./node18.mjs";
import { Dropslip } from "../../clients/js/src/index.js";
import { ask, choose, reaches, server, textFile, token, withPage } from "./page.mjs";

const client = new Dropslip({ server, token });

test("the client sends an empty file where it is taken", async () => {
  for (const options of [{}, { sha256: true }, { multipart: false }]) {
    const told = [];
    const file = await client.upload(new Blob([]), { name: "empty.txt", onProgress: (progress) => told.push(progress), ...options });
    assert.deepEqual([file.state, file.size, file.mimeType], ["active", 0, "text/plain"]);
    assert.ok(told.every(({ loaded, total }) => loaded === 0 && total === 0), JSON.stringify(told));
  }
  await assert.rejects(client.upload(new Blob([]), { name: "empty.txt", type: "filled" }), ({ step, status, fields }) => {
    return step === "authorize" && status === 400 && "size" in fields;
  });
});

test("the page sends an empty file where it is taken, and says so where it is not", async () => {
  await withPage(async (page) => {
    await page.locator("#drop").waitFor();
    await choose(page, [textFile("nothing.txt", 0), textFile("something.txt", 5)]);
    for (const name of ["nothing.txt", "something.txt"]) await reaches(page, name, "active");
    const { body } = await ask("GET", "/v2/files.json?q=nothing");
    assert.deepEqual(body.files.map(({ state, size }) => [state, size]), [["active", 0]]);
    assert.equal(await page.locator("#total").evaluate((total) => /NaN|Infinity|undefined/.test(total.textContent)), false);

    await page.locator("select").selectOption("filled");
    await choose(page, [textFile("refused.txt", 0)]);
    const line = await reaches(page, "refused.txt", "refused");
    assert.match(await line.textContent(), /It is empty\./);
  });
});
