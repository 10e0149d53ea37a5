// Why an upload did not become an active file.

/** @import { ErrorStep, FieldErrors } from "../types/index.js" */

/** @typedef {object} ErrorParts
 * @property {ErrorStep} step
 * @property {number} [status]
 * @property {FieldErrors} [fields]
 * @property {boolean} [retryable]
 * @property {number} [retryAfter]
 * @property {number} [fileId]
 * @property {unknown} [cause]
 */

/** Every failure but a cancelled one, which ends with the signal's own reason. */
export class DropslipError extends Error {
  /**
   * @param {string} message
   * @param {ErrorParts} parts
   */
  constructor(message, { step, status, fields = {}, retryable = false, retryAfter, fileId, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DropslipError";
    this.step = step;
    this.status = status;
    this.fields = fields;
    this.retryable = retryable;
    this.retryAfter = retryAfter;
    this.fileId = fileId;
  }
}

/** No answer came: the connection failed, or the browser keeps the answer to itself because of CORS. It does not say which. */
export class Lost extends Error {
  /** @param {unknown} [cause] */
  constructor(cause) {
    super("no answer came", cause === undefined ? undefined : { cause });
    this.name = "Lost";
  }
}

/**
 * Statuses after which the same request may well succeed.
 * @param {number} status
 */
export function isPassing(status) {
  return status === 408 || status === 429 || status >= 500;
}

/**
 * The error that the answer of a broker stands for.
 * @param {ErrorStep} step
 * @param {number} status
 * @param {unknown} body
 * @param {number} [retryAfter]
 */
export function brokerRefusal(step, status, body, retryAfter) {
  const fields = fieldErrors(body);
  const said = Object.entries(fields).map(([field, messages]) => `${field} ${messages.join(", ")}`).join("; ");
  const retryable = isPassing(status) || (status === 409 && step !== "authorize");
  return new DropslipError(said || `the broker answers ${status}`, { step, status, fields, retryable, retryAfter });
}

/**
 * Fields and their messages, of an answer that may come from somebody else than dropslip (a proxy, for one).
 * @param {unknown} body
 * @returns {FieldErrors}
 */
function fieldErrors(body) {
  const errors = typeof body === "object" && body !== null && "errors" in body ? body.errors : undefined;
  if (typeof errors !== "object" || errors === null) return {};
  /** @type {FieldErrors} */
  const fields = {};
  for (const [field, messages] of Object.entries(errors)) {
    if (Array.isArray(messages)) fields[field] = messages.map(String);
  }
  return fields;
}

/**
 * The error that the answer of a store stands for. Stores differ in codes and texts, so it is decided by status.
 * @param {number} status
 * @param {string} xml
 */
export function storeRefusal(status, xml) {
  const code = xml.match(/<Code>([^<]{1,100})/)?.[1];
  const message = xml.match(/<Message>([^<]{1,500})/)?.[1];
  const retryable = isPassing(status) || status === 403 || status === 404 || status === 409 || code === "RequestTimeout";
  return new DropslipError(message ?? code ?? `the store answers ${status}`, { step: "upload", status, retryable });
}
