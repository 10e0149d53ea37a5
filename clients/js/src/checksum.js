// The SHA-256 that step 1 takes.

import { DropslipError } from "./errors.js";

/** WebCrypto digests what is in memory, and nothing piece by piece. */
const MOST_BYTES = 256 * 1024 * 1024;

/**
 * The base64 of the bytes' SHA-256.
 * @param {Blob} bytes
 */
export async function sha256(bytes) {
  if (bytes.size > MOST_BYTES) {
    throw new DropslipError("sha256: true is for at most 256 MiB; give the digest itself for larger files", { step: "read" });
  }
  if (!globalThis.crypto?.subtle) {
    throw new DropslipError("sha256: true needs a secure context: https, or this machine", { step: "read" });
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await bytes.arrayBuffer()));
  return btoa(String.fromCharCode(...digest));
}
