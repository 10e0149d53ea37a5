// Chromium as the tests start it: a new profile each time, as root too.
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts headless Chromium; close it in the test's own clean-up. */
export async function startChromium() {
  return chromium.launch({ executablePath: process.env.TEST_CHROMIUM, headless: true, args: FLAGS });
}
