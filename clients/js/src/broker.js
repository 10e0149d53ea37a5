// Requests to the broker: JSON, with the token, tried again where that can help.

/** @import { ClientOptions, ErrorStep } from "../types/index.js" */

import { brokerRefusal, DropslipError, isPassing } from "./errors.js";
import { backoff, linked, pause, untilOnline } from "./waiting.js";

const TRIES = 4;
/** Sealing a file of 5 GiB may take the broker five minutes. */
const ANSWER_TIMEOUT_MS = 330_000;
/** Whoever is told to come back later than that is told so, and does not wait here. */
const LONGEST_RETRY_AFTER_SECONDS = 60;

/** @typedef {object} Question
 * @property {unknown} [body]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {number} [tries]
 * @property {(isWaiting: boolean) => void} [onWaiting] told before and after each pause
 */

export class Broker {
  /** @type {string} */
  url;
  /** @type {ClientOptions["token"]} */
  #token;
  /** @type {typeof fetch} */
  #fetch;

  /** @param {ClientOptions} options */
  constructor({ server, token, fetch: ownFetch }) {
    const base = typeof document === "undefined" ? undefined : document.baseURI;
    const url = new URL(server, base);
    if (!/^https?:$/.test(url.protocol) || url.username || url.password) {
      throw new TypeError("server must be an http or https URL without user and password");
    }
    this.url = (url.origin + url.pathname).replace(/\/+$/, "");
    this.#token = token;
    this.#fetch = ownFetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  /**
   * The JSON of a good answer, and its status.
   * @param {ErrorStep} step
   * @param {string} method
   * @param {string} path
   * @param {Question} [question]
   * @returns {Promise<{ status: number, body: any }>}
   */
  async ask(step, method, path, { body, headers = {}, signal, tries = TRIES, onWaiting } = {}) {
    const link = linked(signal);
    try {
      for (let failures = 1; ; failures++) {
        link.signal.throwIfAborted();
        const failed = await this.#once(step, method, path, body, headers, link.signal).catch((error) => {
          link.signal.throwIfAborted();
          if (error instanceof DropslipError && error.retryable && isWorthIt(error, failures, tries)) return error;
          throw error;
        });
        if (!(failed instanceof DropslipError)) return failed;
        onWaiting?.(true);
        await untilOnline(link.signal);
        await pause(failed.retryAfter === undefined ? backoff(failures) : failed.retryAfter * 1000, link.signal);
        onWaiting?.(false);
      }
    } finally {
      link.unlink();
    }
  }

  /**
   * @param {ErrorStep} step
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal
   */
  async #once(step, method, path, body, headers, signal) {
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    const late = linked(signal);
    const timer = setTimeout(() => late.abort(), ANSWER_TIMEOUT_MS);
    try {
      /** @type {Record<string, string>} */
      const sent = { Accept: "application/json", ...headers };
      if (token) sent.Authorization = `Bearer ${token}`;
      if (body !== undefined) sent["Content-Type"] = "application/json";
      const answer = await this.#fetch(this.url + path, {
        method,
        headers: sent,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: late.signal,
        cache: "no-store",
        credentials: "omit",
        // A token must not follow to wherever a redirect points.
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
      const text = await answer.text();
      const said = parsed(text);
      if (!answer.ok) throw brokerRefusal(step, answer.status, said, retryAfter(answer.headers));
      if (answer.status !== 204 && said === undefined) throw new DropslipError("the answer is no JSON", { step, status: answer.status });
      return { status: answer.status, body: said };
    } catch (error) {
      if (error instanceof DropslipError) throw error;
      signal.throwIfAborted();
      throw new DropslipError("no answer from the broker: no connection, or a page that its CORS settings do not name", {
        step,
        retryable: true,
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      late.unlink();
    }
  }
}

/**
 * @param {DropslipError} error
 * @param {number} failures
 * @param {number} tries
 */
function isWorthIt(error, failures, tries) {
  // What the broker has decided (409, for one) is the caller's to act on.
  const passing = error.status === undefined || (isPassing(error.status) && error.status !== 500);
  return passing && failures < tries && (error.retryAfter ?? 0) <= LONGEST_RETRY_AFTER_SECONDS;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {Headers} headers */
function retryAfter(headers) {
  const seconds = Number.parseInt(headers.get("Retry-After") ?? "", 10);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}
