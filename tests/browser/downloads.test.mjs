// Links to files in pages of anybody's: pictures, sound that is sought in, saving; without a token, from a server of another origin.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { isDead, life, uploaded, withPageElsewhere } from "./elsewhere.mjs";

const RATE = 44_100;
const SECONDS = 120;

/** A minute or two of a rising tone, 16 bits, two channels: some 20 MB of which every second is another. */
function wav() {
  const data = Buffer.alloc(RATE * 4 * SECONDS);
  for (let i = 0; i < RATE * SECONDS; i++) {
    const level = Math.trunc(8000 * Math.sin((i * i) / 4_000_000));
    data.writeInt16LE(level, i * 4);
    data.writeInt16LE(-level, i * 4 + 2);
  }
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(2, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 4, 28);
  head.writeUInt16LE(4, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

const shown = (page) => page.waitForFunction(() => document.querySelector("img")?.naturalWidth === 1);

test("a picture is shown, also again when the redirect that was kept is dead", async () => {
  const { downloadURL } = await uploaded("dot.png", "image/png", PNG);
  assert.match(downloadURL, /\?proxyKey=/);
  await withPageElsewhere(`<img src="${downloadURL}" alt="">`, async (context, url) => {
    const page = await context.newPage();
    const answers = [];
    page.on("response", (answer) => answers.push(answer));
    await page.goto(url);
    await shown(page);
    const last = answers.at(-1);
    assert.match(last.headers()["content-type"], /^image\/png$/);
    if (life) await isDead(last.url());
    const again = await context.newPage();
    await again.goto(url);
    await shown(again);
  });
});

test("scripts and pictures ask for the same link in turn, with GET and HEAD, and each is answered", async () => {
  const { downloadURL } = await uploaded("dot.png", "image/png", PNG);
  await withPageElsewhere("", async (context, url) => {
    const page = await context.newPage();
    const answers = [];
    page.on("response", (answer) => {
      if (answer.url() !== url && answer.status() !== 302) answers.push(`${answer.request().method()} ${answer.status()}`);
    });
    await page.goto(url);
    const show = async () => {
      await page.evaluate((link) => (document.body.innerHTML = `<img src="${link}" alt="">`), downloadURL);
      await shown(page);
    };
    // A page of another origin may not see these answers, so they are looked at from outside.
    const ask = (method) => page.evaluate(([method, link]) => fetch(link, { method, mode: "no-cors" }).then((answer) => answer.text()), [method, downloadURL]);
    const turns = ["GET", "HEAD", "GET", "HEAD", "HEAD", "show", "HEAD", "show", "GET", "HEAD"];
    for (const turn of turns) await (turn === "show" ? show() : ask(turn));
    assert.ok(answers.filter((answer) => answer === "HEAD 200").length === turns.filter((turn) => turn === "HEAD").length, `${answers}`);
    assert.ok(answers.every((answer) => answer.endsWith(" 200")), `${answers}`);
  });
});

test("sound is sought in: a few pieces are fetched, and not the whole", async () => {
  const bytes = wav();
  const { downloadURL, mimeType } = await uploaded("tone.wav", "audio/wav", bytes);
  assert.equal(mimeType, "audio/wav");
  await withPageElsewhere(`<video controls preload="metadata" muted src="${downloadURL}"></video>`, async (context, url) => {
    const page = await context.newPage();
    const ranges = [];
    page.on("response", (answer) => {
      if (answer.status() !== 302 && answer.url() !== url) ranges.push([answer.status(), answer.headers()["content-range"], answer.request().headers().range]);
    });
    await page.goto(url);
    const duration = await page.evaluate(async () => {
      const video = document.querySelector("video");
      while (!(video.duration > 0)) await new Promise((again) => setTimeout(again, 20));
      return video.duration;
    });
    assert.ok(Math.abs(duration - SECONDS) < 0.1, `${duration} s`);
    // Forwards, to the end, and back again.
    for (const second of [90, 119, 30]) {
      const reached = await page.evaluate(async (second) => {
        const video = document.querySelector("video");
        const sought = new Promise((resolve, reject) => {
          video.onseeked = resolve;
          video.onerror = () => reject(new Error(video.error.message));
        });
        video.currentTime = second;
        await sought;
        return [video.currentTime, video.readyState];
      }, second);
      assert.ok(Math.abs(reached[0] - second) < 0.1 && reached[1] >= 2, `${reached}`);
    }
    const partial = ranges.filter(([status]) => status === 206);
    const beginnings = partial.map(([, range]) => Number(/^bytes (\d+)-/.exec(range)?.[1]));
    assert.ok(beginnings.some((first) => first > bytes.length / 2), `no piece from the second half: ${JSON.stringify(ranges)}`);
  });
});

test("what is saved has its name and its bytes, and what could run is not shown", async () => {
  const text = await uploaded("grüße aus köln.txt", "text/plain", Buffer.from("Hello"));
  const html = await uploaded("page.html", "text/html", Buffer.from("<!doctype html><title>ran</title><script>document.title='ran'</script>"));
  const links = [text, html].map(({ downloadURL }, i) => `<a id="a${i}" href="${downloadURL}&disposition=inline">x</a>`).join("");
  await withPageElsewhere(links, async (context, url) => {
    const page = await context.newPage();
    await page.goto(url);
    const saving = page.waitForEvent("download");
    await page.locator("#a1").click();
    const saved = await saving;
    assert.equal(saved.suggestedFilename(), "page.html");
    assert.equal(page.url(), url);
    await page.evaluate((link) => document.body.insertAdjacentHTML("beforeend", `<a id="saved" href="${link}">x</a>`), text.downloadURL);
    const second = page.waitForEvent("download");
    await page.locator("#saved").click();
    assert.equal((await second).suggestedFilename(), "grüße aus köln.txt");
    assert.equal(await readFile(await (await second).path(), "utf8"), "Hello");
    // A text is shown where that is asked for, as a text.
    await page.locator("#a0").click();
    await page.waitForURL((address) => address.href !== url);
    assert.equal(await page.locator("body").innerText(), "Hello");
    assert.equal(await page.evaluate(() => document.contentType), "text/plain");
  });
});
