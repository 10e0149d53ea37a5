// The upload page as a person uses it: what the tests of the page share.
import assert from "node:assert/strict";
import { startChromium } from "./chromium.mjs";

export const { TEST_BROKER: server, TEST_TOKEN: token } = process.env;

/** How long the slowest store on a busy machine may take. */
export const PATIENCE_MS = 60_000;

/** Asks the broker itself. */
export async function ask(method, path, body) {
  const answer = await fetch(server + path, { method, headers: { Authorization: `Bearer ${token}` }, body: body && JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

/**
 * A page of its own for one test, signed in by link; fails when the page broke its own Content-Security-Policy or threw.
 * @param {(page: import("playwright-core").Page, context: import("playwright-core").BrowserContext) => Promise<void>} act
 */
export async function withPage(act, { path = `/#token=${token}`, mayBreakPolicy = false, ...options } = {}) {
  const browser = await startChromium();
  try {
    const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const wrong = [];
    context.on("weberror", (error) => wrong.push(String(error.error())));
    context.on("console", (message) => {
      // The browser itself reports answers like 403 and 409, and lost connections: those are what some tests are about.
      if (message.type() !== "error" || message.text().startsWith("Failed to load resource")) return;
      if (!(mayBreakPolicy && message.text().includes("Content Security Policy"))) wrong.push(message.text());
    });
    // Leaving while something is uploaded asks whether that is meant.
    context.on("dialog", (dialog) => dialog.accept());
    const page = await context.newPage();
    await page.goto(server + path);
    await act(page, context);
    assert.deepEqual(wrong, []);
  } finally {
    await browser.close();
  }
}

/** The line of a file in the list. */
export const row = (page, name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) });

/** Waits until a file's line is in that state. */
export async function reaches(page, name, state, timeout = PATIENCE_MS) {
  const line = row(page, name);
  try {
    await page.locator(`li[data-state="${state}"]`).filter({ has: page.getByText(name, { exact: true }) }).waitFor({ timeout });
  } catch (error) {
    const text = await line.allTextContents();
    throw new Error(`${name} did not become ${state}; the page says: ${text.join(" | ") || "nothing"}`, { cause: error });
  }
  return line;
}

export const choose = (page, files) => page.locator("#chosen").setInputFiles(files);

export const textFile = (name, size, letter = "a") => ({ name, mimeType: "text/plain", buffer: Buffer.alloc(size, letter) });

/** The network of this page: so many bytes a second up, or none at all. */
export async function network(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const set = (offline, uploadThroughput) =>
    session.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput });
  return { slow: (bytes) => set(false, bytes), cut: () => set(true, -1), fast: () => set(false, -1) };
}

/** Waits until some of a file is on its way, but not all. */
export async function underWay(page, name) {
  const bar = row(page, name).locator("progress");
  await bar.waitFor();
  const handle = await bar.elementHandle();
  await page.waitForFunction((element) => element.value > 0.02, handle);
  assert.ok((await bar.evaluate((element) => element.value)) < 1, "the whole file was sent before the test could act");
}
