// Runs the fetch guide's module as a program, with Node's own fetch: run_fetch_guide.mjs FILE
import { File } from "node:buffer";
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { upload } from "../../examples/fetch/dropslip.mjs";

globalThis.crypto ??= webcrypto; // Node 18 has it under this name alone
const path = process.argv[2];
try {
  const file = new File([await readFile(path)], basename(path));
  console.log(JSON.stringify(await upload(process.env.DROPSLIP_SERVER, process.env.DROPSLIP_TOKEN, file)));
} catch (failed) {
  console.error(`${path}: ${failed.message}`);
  process.exitCode = 1;
}
