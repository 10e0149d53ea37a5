// Uppy 5, which asks Companion in its older way: headers, parts side by side, `method`. Without a Dashboard.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { startChromium } from "./chromium.mjs";
import { bytes, expectSealed, file } from "./uppy-page.mjs";

const { BROKER, TOKEN, ENDPOINT, PAGE_PORT } = process.env;
const MIB = 1024 * 1024;
const PAGE = `
  import AwsS3 from "@uppy/aws-s3";
  import Uppy from "@uppy/core";
  window.upload = async (options, meta, files) => {
    const uppy = new Uppy({ meta }).use(AwsS3, options);
    for (const { name, type, base64 } of files) {
      const data = await (await fetch("data:application/octet-stream;base64," + base64)).blob();
      uppy.addFile({ name, type, data });
    }
    const { successful, failed } = await uppy.upload();
    return { locations: successful.map((file) => file.uploadURL), errors: failed.map((file) => file.error) };
  };`;

let browser;
let server;

before(async () => {
  const resolveDir = fileURLToPath(new URL("uppy5/", import.meta.url));
  const built = await build({ stdin: { contents: PAGE, resolveDir }, bundle: true, write: false, format: "esm" });
  server = createServer((request, response) => {
    const script = request.url === "/page.js";
    response.setHeader("content-type", script ? "text/javascript" : "text/html; charset=utf-8");
    response.end(script ? built.outputFiles[0].text : '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>');
  });
  await new Promise((ready) => server.listen(Number(PAGE_PORT), "127.0.0.1", ready));
  browser = await startChromium();
});

after(async () => {
  await browser?.close();
  server?.close();
});

async function upload(t, options, meta, ...files) {
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(`http://127.0.0.1:${PAGE_PORT}/`);
  await page.waitForFunction(() => window.upload);
  const sent = files.map(({ name, mimeType, buffer }) => ({ name, type: mimeType, base64: buffer.toString("base64") }));
  return page.evaluate(([options, meta, sent]) => window.upload(options, meta, sent), [options, meta, sent]);
}

const headers = { Authorization: `Bearer ${TOKEN}` };

test("files in parts, with an access token in a header", async (t) => {
  const files = [file("five.bin", "", bytes("five", 13 * MIB)), file("five.txt", "text/plain", Buffer.from("five"))];
  const options = { endpoint: `${BROKER}/companion`, headers, shouldUseMultipart: true };
  const done = await upload(t, options, { fileType: "attachment" }, ...files);
  assert.deepEqual(done.errors, []);
  assert.equal(done.locations.filter((location) => location.startsWith(`${BROKER}/v2/files/`)).length, 2, String(done.locations));
  expectSealed(...files);
});

test("files in parts, with an upload token in the path", async (t) => {
  const large = file("path.bin", "", bytes("path", 6 * MIB));
  const done = await upload(t, { endpoint: ENDPOINT, shouldUseMultipart: true }, {}, large);
  assert.deepEqual(done.errors, []);
  expectSealed(large);
});

test("a refusal is told in words", async (t) => {
  for (const shouldUseMultipart of [true, false]) {
    const refused = file("five.exe", "", Buffer.from("MZ"));
    const { errors } = await upload(t, { endpoint: ENDPOINT, shouldUseMultipart }, {}, refused);
    assert.deepEqual(errors, ["filename must not end in ‘.exe’"]);
  }
});
