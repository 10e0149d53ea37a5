// The page itself: who may use it, how it is used without a mouse, and what it must never do.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { choose, network, reaches, row, server, textFile, token, underWay, withPage } from "./page.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Asks axe-core what a person with a screen reader, a keyboard or weak eyes would stumble over. */
async function assertAccessible(page, where) {
  const { violations } = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
  const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("; ")}`);
  assert.deepEqual(said, [], where);
}

const drop = (page, selector, type, files) =>
  page.evaluate(
    ([selector, type, files]) => {
      const data = new DataTransfer();
      for (const { name, text } of files) data.items.add(new File([text], name, { type: "text/plain" }));
      const options = { bubbles: true, cancelable: true };
      const event = type === "paste" ? new ClipboardEvent("paste", { ...options, clipboardData: data }) : new DragEvent(type, { ...options, dataTransfer: data });
      return document.querySelector(selector).dispatchEvent(event);
    },
    [selector, type, files],
  );

test("a wrong token is asked for again, a good one stays in this tab only", async () => {
  await withPage(
    async (page, context) => {
      await page.getByLabel("Token").fill("dslip_wrong_token");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("alert").filter({ hasText: "This token is not accepted here." }).waitFor();
      await assertAccessible(page, "sign-in with an error");
      await page.getByLabel("Token").fill(token);
      await page.keyboard.press("Enter");
      await page.locator("#drop").waitFor();
      await page.reload();
      await page.locator("#drop").waitFor();
      assert.ok(!(await page.content()).includes(token));
      assert.equal(await page.evaluate(() => JSON.stringify(localStorage)), "{}");

      const other = await context.newPage();
      await other.goto(server);
      await other.getByLabel("Token").waitFor();
      // The same tab, another link.
      await other.goto(`${server}/#token=${token}`);
      await other.locator("#drop").waitFor();
      assert.equal(other.url(), `${server}/`);

      await page.getByRole("button", { name: "Forget token" }).click();
      await page.getByLabel("Token").waitFor();
      assert.equal(await page.evaluate(() => JSON.stringify(sessionStorage)), "{}");
    },
    { path: "/" },
  );
});

test("a token that ends while files are uploaded is asked for, and the files can be tried again", async () => {
  await withPage(async (page) => {
    await page.locator("#drop").waitFor();
    await page.evaluate(() => sessionStorage.setItem("dropslip:token", "dslip_revoked_token"));
    await choose(page, textFile("late.txt", 10));
    await page.getByRole("alert").filter({ hasText: "not accepted any more" }).waitFor();
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await row(page, "late.txt").getByRole("button", { name: "Try again" }).click();
    await reaches(page, "late.txt", "active");
  });
});

test("files can be dropped anywhere and pasted", async () => {
  await withPage(async (page) => {
    await page.locator("#drop").waitFor();
    await drop(page, "header", "dragenter", [{ name: "a.txt", text: "a" }]);
    assert.match(await page.locator("#drop").getAttribute("class"), /over/);
    assert.equal(await drop(page, "header", "dragover", [{ name: "a.txt", text: "a" }]), false, "the browser would open the file");
    await drop(page, "header", "drop", [{ name: "dropped-1.txt", text: "one" }, { name: "dropped-2.txt", text: "two" }]);
    await drop(page, "body", "paste", [{ name: "pasted.txt", text: "three" }]);
    for (const name of ["dropped-1.txt", "dropped-2.txt", "pasted.txt"]) await reaches(page, name, "active");
    assert.doesNotMatch(await page.locator("#drop").getAttribute("class"), /over/);
  });
});

test("everything can be done with the keyboard, and the focus is never lost", async () => {
  await withPage(async (page) => {
    // From the start, because Chromium is told in the background to leave its dialog closed.
    const chooser = page.waitForEvent("filechooser");
    await page.locator("#drop").waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute("aria-label") || document.activeElement?.tagName);
    const order = [];
    for (let i = 0; i < 3; i++) {
      await page.keyboard.press("Tab");
      order.push(await focused());
    }
    assert.deepEqual(order, ["sign-out", "chosen", "kind"]);
    const outline = await page.evaluate(() => {
      document.getElementById("chosen").focus();
      return getComputedStyle(document.querySelector("label.main")).outlineStyle;
    });
    assert.equal(outline, "solid", "the focus cannot be seen");
    const net = await network(page);
    await net.slow(200_000);
    await page.keyboard.press("Enter");
    await (await chooser).setFiles(textFile("keys.txt", 2_000_000));
    await underWay(page, "keys.txt");
    await row(page, "keys.txt").getByRole("button", { name: "Cancel: keys.txt" }).focus();
    await page.keyboard.press("Enter");
    await reaches(page, "keys.txt", "cancelled");
    assert.equal(await focused(), "Try again: keys.txt");
    await net.fast();
    await page.keyboard.press("Space");
    await reaches(page, "keys.txt", "active");
    assert.equal(await focused(), "Copy link: keys.txt");
    await page.keyboard.press("Enter");
    await page.getByRole("status").filter({ hasText: "Link copied." }).waitFor({ state: "attached" });
  });
});

test("a refusal of a type is one sentence, whole on a phone", async () => {
  await withPage(
    async (page) => {
      await page.locator("#drop").waitFor();
      const buffer = Buffer.from("a");
      const unheard = `x.${"q".repeat(60)}`;
      await choose(page, [
        { name: "photo.png", mimeType: "application/pdf", buffer },
        { name: "right.png", mimeType: "application/x-of-nobody", buffer },
        { name: unheard, mimeType: "application/pdf", buffer },
      ]);
      const state = (await reaches(page, "photo.png", "refused")).locator(".state");
      const said = await state.textContent();
      assert.match(said, /^The name must end in \.pdf for application\/pdf\.$/);
      assert.ok(said.length < 200, said);
      const shown = await state.evaluate((element) => {
        const { left, right } = element.getBoundingClientRect();
        const { overflow, textOverflow, webkitLineClamp } = getComputedStyle(element);
        return { fits: left >= 0 && right <= innerWidth && element.scrollWidth <= element.clientWidth + 1, overflow, textOverflow, webkitLineClamp };
      });
      assert.deepEqual(shown, { fits: true, overflow: "visible", textOverflow: "clip", webkitLineClamp: "none" });
      for (const name of ["right.png", unheard]) await reaches(page, name, "active");
    },
    { viewport: { width: 360, height: 740 } },
  );
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1280, height: 900 }], ["phone", { width: 360, height: 740 }]]) {
    test(`axe finds nothing, and nothing is cut off: ${colorScheme}, ${device}`, async () => {
      await withPage(
        async (page) => {
          await page.locator("#drop").waitFor();
          await assertAccessible(page, "empty");
          const long = `${"a-very-long-name-without-any-place-to-break-it".repeat(4)}.txt`;
          await choose(page, [textFile(long, 10), textFile("setup.exe", 10), textFile("ملف.txt", 10)]);
          await reaches(page, long, "active");
          await reaches(page, "ملف.txt", "active");
          const net = await network(page);
          await net.slow(100_000);
          await choose(page, [textFile("on-its-way.txt", 3_000_000), textFile("waiting.txt", 3_000_000)]);
          await underWay(page, "on-its-way.txt");
          await assertAccessible(page, "with files");
          const width = await page.evaluate(() => document.documentElement.scrollWidth);
          assert.ok(width <= viewport.width, `${width} pixels wide`);
          const small = await page.evaluate(() =>
            [...document.querySelectorAll("button, label.main, select")]
              .filter((element) => element.checkVisibility())
              .map((element) => ({ text: element.textContent, ...element.getBoundingClientRect().toJSON() }))
              .filter(({ width, height }) => width < 44 || height < 44)
              .map(({ text, width, height }) => `${text} ${width}×${height}`),
          );
          assert.deepEqual(small, [], "too small for a finger");
          await row(page, "waiting.txt").getByRole("button", { name: "Cancel" }).click();
          await row(page, "on-its-way.txt").getByRole("button", { name: "Cancel" }).click();
          await reaches(page, "on-its-way.txt", "cancelled");
          await assertAccessible(page, "with cancelled files");
        },
        { colorScheme, viewport },
      );
    });
  }
}

test("hostile names are text, in the list, after a reload and aloud", async () => {
  await withPage(async (page) => {
    const names = ['<img src=x onerror="window.stolen=1">.txt', "</bdi><script>window.stolen=1</script>.txt", '"onmouseover="window.stolen=1.txt'];
    await page.locator("#drop").waitFor();
    await drop(page, "body", "drop", [...names, "<b>.exe"].map((name) => ({ name, text: "x" })));
    await page.waitForFunction(() => document.querySelectorAll("li[data-state='active']").length === 3);
    // What the name was cleaned to is told.
    assert.equal(await page.getByText("now called").count(), 1);
    await page.getByRole("status").filter({ hasText: "<b>.exe" }).waitFor({ state: "attached" });
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll("li[data-state='active']").length === 3);
    assert.equal(await page.locator("#list img, #list script, #said b").count(), 0);
    assert.equal(await page.evaluate(() => window.stolen), undefined);
  });
});

test("the policy lets no foreign script, style, frame or destination in", async () => {
  await withPage(async (page) => {
    const answer = await page.request.get(server);
    const headers = answer.headers();
    assert.match(headers["content-security-policy"], /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' http:\/\/127\.0\.0\.1:\d+; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/);
    assert.deepEqual(
      ["x-content-type-options", "referrer-policy", "cross-origin-opener-policy"].map((name) => headers[name]),
      ["nosniff", "no-referrer", "same-origin"],
    );
    assert.doesNotMatch(await answer.text(), /<script>|<style|style=| on\w+=/);
    await page.locator("#drop").waitFor();
    const broken = await page.evaluate(async () => {
      const seen = [];
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => seen.push(effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "window.stolen = 1";
      document.body.append(script);
      document.body.setAttribute("style", "display:none");
      await fetch("http://127.0.0.1:1/").catch(() => {});
      while (seen.length < 3) await new Promise((again) => setTimeout(again, 10));
      return seen;
    });
    assert.deepEqual(broken.sort(), ["connect-src", "script-src-elem", "style-src-attr"]);
    assert.equal(await page.evaluate(() => window.stolen), undefined);
  }, { mayBreakPolicy: true });
});

test("a thousand files do not freeze the page", async () => {
  await withPage(async (page) => {
    await page.locator("#drop").waitFor();
    // Refused ones: the page does all of its work, and the broker none.
    await page.evaluate(() => {
      window.longest = 0;
      let last = performance.now();
      const tick = () => {
        window.longest = Math.max(window.longest, performance.now() - last);
        last = performance.now();
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    });
    const files = Array.from({ length: 1000 }, (_, i) => ({ name: `many-${i}.exe`, text: "x" }));
    await drop(page, "body", "drop", files);
    await page.waitForFunction(() => document.querySelectorAll("li[data-state='refused']").length === 1000);
    const longest = await page.evaluate(() => window.longest);
    assert.ok(longest < 1500, `the page stood still for ${longest} ms`);
    assert.equal(await page.locator("li .name").first().innerText(), "many-0.exe");
    await page.getByRole("status").filter({ hasText: "refused." }).waitFor({ state: "attached" });
  });
});

test("images are shown small, and what is no image is not", async () => {
  await withPage(async (page) => {
    const png = Buffer.from(
      await page.evaluate(async () => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 300, height: 200 });
        const context = canvas.getContext("2d");
        context.fillStyle = "rgb(200, 10, 10)";
        context.fillRect(0, 0, 300, 200);
        const blob = await new Promise((resolve) => canvas.toBlob(resolve));
        return [...new Uint8Array(await blob.arrayBuffer())];
      }),
    );
    await choose(page, [{ name: "red.png", mimeType: "image/png", buffer: png }, { name: "not.png", mimeType: "image/png", buffer: Buffer.from("no image") }]);
    const canvas = row(page, "red.png").locator("canvas");
    await canvas.waitFor();
    const pixel = await canvas.evaluate((element) => [...element.getContext("2d").getImageData(48, 48, 1, 1).data]);
    assert.deepEqual(pixel, [200, 10, 10, 255]);
    await reaches(page, "red.png", "active");
    assert.equal(await row(page, "not.png").locator("canvas").count(), 0);
  });
});
