// The JavaScript client when the connection to the store breaks, or the slip has expired: the program around it sees an active file.
import assert from "node:assert/strict";
import { test } from "node:test";

import "./node18.mjs";
import { Dropslip } from "../../clients/js/src/index.js";

const { TEST_BROKER: server, TEST_TOKEN: token } = process.env;

test("a broken connection or an expired slip is not the caller's matter", async () => {
  const requests = [];
  const waited = new Set();
  const client = new Dropslip({
    server,
    token,
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      requests.push(`${init.method} ${new URL(url).pathname.replace(/\/\d+/g, "/N")}`);
      if (process.env.TEST_EXPIRE && init.method === "POST" && waited.size === 0) {
        const { expiresAt } = await answer.clone().json();
        waited.add(expiresAt);
        // Until the first slip is over; two seconds more, because stores round.
        const over = Date.parse(expiresAt) + 2000 - Date.now();
        await new Promise((resolve) => setTimeout(resolve, over));
      }
      return answer;
    },
  });
  const phases = new Set();
  // What the connection is cut at stands in the middle of the file.
  const bytes = new Blob(["a".repeat(2_000_000), "CUT-HERE", "b".repeat(1_000_000)], { type: "text/plain" });
  const file = await client.upload(bytes, { name: "a.txt", onProgress: ({ phase }) => phases.add(phase) });
  assert.deepEqual([file.state, file.size], ["active", bytes.size]);
  assert.ok(phases.has("waiting"), [...phases].join());
  const slips = requests.filter((request) => request === "POST /v2/files/ref.json");
  assert.equal(slips.length, 1, requests.join("\n"));
  const reissued = requests.filter((request) => request === "POST /v2/files/N/ref.json").length;
  assert.equal(reissued, process.env.TEST_EXPIRE ? 1 : 0, requests.join("\n"));
});
