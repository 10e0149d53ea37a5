// Pictures of the upload page for README.md, of a broker that this script starts: `make screenshots`.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { startChromium } from "./chromium.mjs";
import { choose, network, reaches, textFile, underWay } from "./page.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = process.argv[2] ?? join(root, "target/debug/dropslip");
const folder = mkdtempSync(join(tmpdir(), "dropslip-screenshots-"));
const env = { PATH: process.env.PATH, DROPSLIP_LISTEN: "127.0.0.1:0", DROPSLIP_EMBEDDED_S3_LISTEN: "127.0.0.1:0", DROPSLIP_LOG: "error" };
const broker = spawn(program, ["serve"], { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });

/** An image to upload: hills at a time of day. */
const hills = (page, hue) =>
  page.evaluate(async (hue) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 600, height: 600 });
    const context = canvas.getContext("2d");
    for (let layer = 0; layer < 5; layer++) {
      context.fillStyle = `hsl(${hue + layer * 8} 55% ${88 - layer * 17}%)`;
      context.beginPath();
      context.moveTo(0, layer * 110);
      for (let x = 0; x <= 600; x += 4) context.lineTo(x, layer * 110 + (layer ? 60 : 0) * Math.sin(x / (110 - layer * 9) + layer * 2));
      context.lineTo(600, 600);
      context.lineTo(0, 600);
      context.fill();
    }
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, hue);

async function shoot(browser, link, name, options) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await page.goto(link);
  await page.locator("#drop").waitFor();
  await choose(page, [
    { name: "morning.jpg", mimeType: "image/jpeg", buffer: Buffer.from(await hills(page, 20)) },
    { name: "evening.jpg", mimeType: "image/jpeg", buffer: Buffer.from(await hills(page, 210)) },
    textFile("minutes of the meeting.txt", 18_400),
    textFile("setup.exe", 900_000),
  ]);
  for (const file of ["morning.jpg", "evening.jpg", "minutes of the meeting.txt"]) await reaches(page, file, "active");
  const net = await network(page);
  await net.slow(1_500_000);
  await choose(page, { name: "interview.mp4", mimeType: "video/mp4", buffer: Buffer.alloc(24_000_000) });
  await underWay(page, "interview.mp4");
  await page.waitForFunction(() => document.querySelector("li progress").value > 0.3);
  await page.screenshot({ path: join(root, "docs/screenshots", `${name}.png`), animations: "disabled" });
  await context.close();
}

try {
  let link;
  for await (const line of createInterface({ input: broker.stdout })) {
    if (line.startsWith("Upload page: ")) {
      link = line.slice("Upload page: ".length);
      break;
    }
  }
  if (!link) throw new Error(`${program} printed no link to its page`);
  const browser = await startChromium();
  const desktop = { width: 1000, height: 860 };
  const phone = { width: 390, height: 844 };
  await shoot(browser, link, "desktop-light", { viewport: desktop, colorScheme: "light" });
  await shoot(browser, link, "desktop-dark", { viewport: desktop, colorScheme: "dark" });
  await shoot(browser, link, "phone-light", { viewport: phone, colorScheme: "light", isMobile: true, hasTouch: true });
  await browser.close();
} finally {
  broker.kill();
  rmSync(folder, { recursive: true });
}
