// A page with one of examples/uppy on it, in Chromium, as a person would use it.
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const EXAMPLES = fileURLToPath(new URL("../../examples/uppy/", import.meta.url));
const PACKAGES = fileURLToPath(new URL("node_modules/", import.meta.url));

/** Every example, bundled with the real npm packages: name to script and styles. */
async function bundles() {
  const entryPoints = readdirSync(EXAMPLES).filter((name) => name.endsWith(".mjs")).map((name) => EXAMPLES + name);
  const built = await build({ entryPoints, bundle: true, write: false, outdir: "/", format: "esm", nodePaths: [PACKAGES] });
  return new Map(built.outputFiles.map((file) => [file.path, file.text]));
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");

/** Serves `/NAME?attribute=value`: the example NAME on a page whose box has these data attributes. */
export async function servePages(port) {
  const files = await bundles();
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://page");
    const file = files.get(url.pathname);
    if (file) {
      response.setHeader("content-type", url.pathname.endsWith(".css") ? "text/css" : "text/javascript");
      return response.end(file);
    }
    const data = [...url.searchParams].map(([name, value]) => `data-${name}="${escaped(value)}"`).join(" ");
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(`<!doctype html><meta charset="utf-8"><title>Uppy</title><link rel="icon" href="data:,">
      <link rel="stylesheet" href="${url.pathname}.css"><div id="uppy" ${data}></div>
      <script type="module" src="${url.pathname}.js"></script>`);
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}

export const file = (name, mimeType, buffer) => ({ name, mimeType, buffer });

/** Bytes that are the same in every run, and of no known kind. */
export function bytes(seed, length) {
  const block = createHash("sha512").update(seed).digest();
  const out = Buffer.alloc(length);
  for (let at = 0; at < length; at += block.length) block.copy(out, at);
  out.writeUInt32BE(length, 0);
  out[0] = 0xee;
  return out;
}

/** Tells the caller of this script that the bucket must hold these bytes, sealed. */
export function expectSealed(...files) {
  for (const { buffer } of files) appendFileSync(process.env.UPLOADED, `${createHash("sha256").update(buffer).digest("hex")}\n`);
}

/** The Dashboard of one page. */
export class Dashboard {
  constructor(page) {
    this.page = page;
    this.requests = [];
    this.console = [];
    page.on("console", (message) => this.console.push(message.text()));
    page.on("request", (request) => this.requests.push(request));
  }

  static async open(browser, url, data) {
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    const dashboard = new Dashboard(page);
    await page.goto(`${url}?${new URLSearchParams(data)}`);
    await page.waitForSelector(".uppy-Dashboard-inner");
    return dashboard;
  }

  async choose(...files) {
    await this.page.setInputFiles(".uppy-Dashboard-input >> nth=0", files);
    await this.page.waitForSelector(".uppy-StatusBar-actionBtn--upload");
  }

  async start() {
    await this.page.click(".uppy-StatusBar-actionBtn--upload");
  }

  /** Waits for the end of everything, well or not. */
  async ended() {
    const status = this.page.locator(".uppy-StatusBar.is-complete, .uppy-StatusBar.is-error");
    await status.waitFor();
    return (await status.getAttribute("class")).includes("is-complete") ? "complete" : "error";
  }

  async retry() {
    await this.page.click(".uppy-StatusBar-actionBtn--retry");
    await this.page.locator(".uppy-StatusBar.is-error").waitFor({ state: "detached" });
  }

  /** What the person is told of a failure. */
  async told() {
    const informer = this.page.locator(".uppy-Informer").first();
    const hint = this.page.locator("[aria-label][data-microtip-position]");
    const hints = await hint.evaluateAll((found) => found.map((node) => node.getAttribute("aria-label")));
    return [await informer.innerText(), await this.page.locator(".uppy-StatusBar").innerText(), ...hints].join("\n");
  }
}
