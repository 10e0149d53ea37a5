// What the page says, in plain words. Names of files never go through here as anything but text.

/** @import { DropslipError } from "../clients/js/types/index.js" */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/**
 * A size with the units that the server's limits are written in.
 * @param {number} bytes
 */
export function size(bytes) {
  if (bytes === 1) return "1 byte";
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const amount = bytes / 1024 ** power;
  // 1024.0 KiB would be 1 MiB; three digits say enough.
  const digits = power === 0 || amount >= 100 ? 0 : 1;
  return `${amount.toFixed(digits).replace(/\.0$/, "")} ${UNITS[power]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 1) return "about a second left";
  if (seconds < 90) return `${Math.round(seconds)} s left`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min left`;
  return `${Math.round(seconds / 3600)} h left`;
}

/**
 * @param {number} sent
 * @param {number} total
 * @param {number} rate bytes a second; 0 when not known
 */
export function progress(sent, total, rate) {
  const parts = [`${size(sent)} of ${size(total)}`];
  if (rate > 0) parts.push(`${size(Math.round(rate))}/s`, duration((total - sent) / rate));
  return parts.filter(Boolean).join(" · ");
}

/**
 * @param {number} count
 * @param {string} one
 */
export function count(count, one) {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}

/** @type {Record<string, string>} */
const FIELDS = {
  filename: "The name", mimeType: "The type", size: "The size", type: "The kind of upload", disposition: "The disposition",
  checksumSHA256: "The checksum", state: "The file", limit: "There are", server: "The server is", authorization: "The token", id: "The file",
};

/**
 * Why an upload failed. What the server says stays in the server's words; only sizes are written so that people can read them.
 * @param {DropslipError} error
 */
export function failure(error) {
  const said = Object.entries(error.fields).map(([field, messages]) => {
    const readable = messages.map((message) => (field === "size" ? message.replace(/\d{4,}/g, (bytes) => size(Number(bytes))) : message));
    return `${FIELDS[field] ?? field} ${readable.join(" and ")}.`;
  });
  if (said.length > 0) return said.join(" ");
  if (error.step === "upload" && error.status !== undefined) return `The store refused it (${error.status}): ${error.message}`;
  return `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
}
