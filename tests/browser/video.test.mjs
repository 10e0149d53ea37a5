// A film in a page of anybody's: played, sought in, and gone on with when the store's URL has ended meanwhile.
import assert from "node:assert/strict";
import { test } from "node:test";

import { isDead, life, uploaded, withPageElsewhere } from "./elsewhere.mjs";
import { WIDTH, film } from "./film.mjs";
import { server } from "./page.mjs";

const SECONDS = 60;

/** Each second has so many bytes: a player fetches a few seconds ahead, and not the whole. */
const PADDING = 300_000;

/** Goes to a second of the film; `error` is what the element says when it cannot. */
const seek = (page, second) =>
  page.evaluate(
    (second) =>
      new Promise((ended) => {
        const video = document.querySelector("video");
        video.onseeked = () => ended({ at: video.currentTime, ready: video.readyState });
        video.onerror = () => ended({ error: video.error.code });
        video.currentTime = second;
      }),
    second,
  );

async function isSought(page, second) {
  const { at, ready, error } = await seek(page, second);
  assert.ok(Math.abs(at - second) < 0.1 && ready >= 2, `${second}: ${at} ${ready} ${error}`);
}

test("a film is played and sought in, also after the URL that the redirect led to has ended", async () => {
  await withPageElsewhere("", async (context, url) => {
    const page = await context.newPage();
    await page.goto(url);
    const bytes = await film(page, SECONDS, PADDING);
    const { downloadURL, mimeType } = await uploaded("film.webm", "video/webm", bytes);
    assert.equal(mimeType, "video/webm");
    const [asked, pieces] = [[], []];
    page.on("request", (request) => request.url().startsWith(server) && asked.push(request.url()));
    page.on("response", (answer) => answer.status() === 206 && pieces.push({ url: answer.url(), range: answer.headers()["content-range"] }));
    const about = await page.evaluate(async (link) => {
      document.body.innerHTML = `<video controls preload="metadata" muted></video>`;
      const video = document.querySelector("video");
      video.src = link;
      await new Promise((known) => (video.onloadedmetadata = known));
      await video.play();
      while (video.currentTime < 0.5) await new Promise((again) => setTimeout(again, 20));
      video.pause();
      return [video.duration, video.videoWidth, video.getVideoPlaybackQuality().totalVideoFrames > 0];
    }, downloadURL);
    assert.deepEqual(about, [SECONDS, WIDTH, true]);
    for (const second of [40, 5, 55]) await isSought(page, second);
    const beginnings = pieces.map(({ range }) => Number(/^bytes (\d+)-/.exec(range)[1]));
    assert.ok(beginnings.some((first) => first > bytes.length / 2), `no piece from the second half: ${JSON.stringify(pieces)}`);

    // Not fetched by now: neither a few seconds after the beginning nor after 40.
    const unknown = 25;
    if (!life) {
      await isSought(page, unknown);
      assert.ok(pieces.every((piece) => piece.url === downloadURL));
      return;
    }
    assert.deepEqual(asked, [downloadURL], "the player goes back to the URL that it was led to");
    await isDead(pieces.at(-1).url);
    assert.deepEqual(await seek(page, unknown), { error: 2 }, "a network error, after half a minute of trying");
    assert.deepEqual(asked, [downloadURL], "it does not ask the broker by itself");
    // What docs/downloads.md tells pages to do.
    await page.evaluate(() => document.querySelector("video").load());
    await isSought(page, unknown);
    assert.equal(asked.length, 2, "loaded again, it is led to a new one");
  });
});
