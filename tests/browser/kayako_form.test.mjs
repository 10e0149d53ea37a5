// Kayako's uploads from pages of another origin, in Chromium and Firefox: a form without a script, and scripts.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";

const { TEST_BROKER: broker, TEST_TOKEN: token, TEST_PAGE_PORT: port, TEST_FOLDER: folder } = process.env;
const files = `${broker}/api/v1/files.json`;
const basic = `Basic ${btoa(`me@example.com:${token}`)}`;

const browsers = {
  chrome: { executablePath: process.env.TEST_CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] },
  firefox: { executablePath: process.env.TEST_FIREFOX },
};

async function logIn(headers) {
  const response = await fetch(`${broker}/api/v1/me.json`, { headers: { authorization: basic, ...headers } });
  assert.equal(response.status, 200);
  return { id: (await response.json()).session_id, proof: response.headers.get("x-csrf-token") };
}

async function listed() {
  const response = await fetch(`${files}?limit=100&fields=name,size`, { headers: { authorization: basic } });
  return (await response.json()).data;
}

let server;
let html = "";

before(async () => {
  server = createServer((_, answer) => answer.setHeader("content-type", "text/html; charset=utf-8").end(`<!doctype html><title>x</title>${html}`));
  await new Promise((listening) => server.listen(Number(port), "127.0.0.1", listening));
});

after(() => server.close());

async function withPage(browser, act) {
  const started = await puppeteer.launch({ browser, headless: true, ...browsers[browser] });
  try {
    const page = await started.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    await act(page);
  } finally {
    await started.close();
  }
}

for (const browser of Object.keys(browsers)) {
  test(`a form without a script, in ${browser}`, async () => {
    const open = await logIn({ "x-csrf": "false" });
    const action = `${files}?_session_id=${encodeURIComponent(open.id)}&fields=id,name`;
    html = `<form method="post" enctype="multipart/form-data" action="${action}"><input type="file" name="files[]" multiple><input type="file" name="files[]"><button>Send</button></form>`;
    const names = [`größe ${browser}.txt`, `"two" ${browser}.bin`];
    const paths = names.map((name) => join(folder, name));
    await writeFile(paths[0], "Hello");
    await writeFile(paths[1], Buffer.alloc(300_000, 7));
    await withPage(browser, async (page) => {
      const input = await page.$("input");
      await input.uploadFile(...paths);
      const [answer] = await Promise.all([page.waitForNavigation(), page.click("button")]);
      assert.equal(answer.status(), 201);
    });
    // The input that nobody filled in is no file.
    const made = (await listed()).filter((file) => file.name.includes(browser));
    assert.deepEqual(made.map((file) => [file.name, file.size]).sort(), [[names[1], 300_000], [names[0], 5]].sort());
  });

  test(`scripts of a page, in ${browser}`, async () => {
    const [open, guarded] = [await logIn({ "x-csrf": "false" }), await logIn({})];
    html = "";
    await withPage(browser, async (page) => {
      const said = await page.evaluate(
        async (files, open, guarded) => {
          const form = (name) => {
            const form = new FormData();
            form.append("files[]", new Blob(["Hello"], { type: "text/plain" }), name);
            return form;
          };
          const send = async (url, name, headers) => {
            const response = await fetch(url, { method: "POST", body: form(name), headers });
            return { status: response.status, version: response.headers.get("x-api-version"), body: await response.json() };
          };
          const headers = { "X-Session-ID": guarded.id, "X-CSRF-Token": guarded.proof, "X-Requested-With": "XMLHttpRequest" };
          return [
            await send(`${files}?_session_id=${encodeURIComponent(open.id)}`, "open.txt"),
            await send(files, "guarded.txt", headers),
            await send(files, "unproven.txt", { "X-Session-ID": guarded.id }),
            await send(`${files}?_session_id=${encodeURIComponent(open.id)}`, "program.exe"),
          ];
        },
        files,
        open,
        guarded,
      );
      assert.deepEqual(said.map(({ status }) => status), [201, 201, 403, 400], JSON.stringify(said));
      assert.ok(said.every(({ version }) => version === "1"), JSON.stringify(said));
      assert.deepEqual(said.slice(0, 2).map(({ body }) => body.data.content), ["SGVsbG8=", "SGVsbG8="]);
      assert.deepEqual(said.slice(2).map(({ body }) => body.errors[0].code), ["CSRF_FAILED", "FIELD_INVALID"]);
    });
  });
}
