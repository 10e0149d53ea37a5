// Step 2 of a multipart upload: signed in batches, some parts at a time, each part tried again on its own.

/** @import { Broker } from "./broker.js" */

import { DropslipError, Lost, storeRefusal } from "./errors.js";
import { send } from "./send.js";
import { backoff, linked, pause, untilOnline } from "./waiting.js";

/** Parts signed in one request: few enough that none of their URLs has to wait for long. */
const BATCH = 20;

/** @typedef {object} PartsJob
 * @property {Broker} broker
 * @property {number} fileId
 * @property {number} partSize bytes
 * @property {number} partCount
 * @property {Set<number>} there parts that have arrived; grows
 * @property {Blob} bytes
 * @property {number} parallel
 * @property {number} tries
 * @property {(sent: number) => void} onSent
 * @property {() => void} onWaiting
 * @property {AbortSignal} signal
 */

/** @typedef {{ partNumber: number, method: "PUT", url: string, headers?: Record<string, string>, size: number }} SignedPart */

/**
 * Sends every part that is not there.
 * @param {PartsJob} job
 */
export async function sendParts(job) {
  /** @type {number[]} */
  const missing = [];
  for (let number = 1; number <= job.partCount; number++) {
    if (!job.there.has(number)) missing.push(number);
  }
  const counter = new Counter(job);
  counter.tell();
  const link = linked(job.signal);
  const signer = new Signer(job, missing, link.signal);
  const worker = async () => {
    for (let number = missing.shift(); number !== undefined; number = missing.shift()) {
      await sendPart(job, signer, number, counter, link.signal);
      job.there.add(number);
    }
  };
  const workers = Array.from({ length: Math.min(job.parallel, missing.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (failed) {
    // One part that cannot be sent ends them all; nobody sends on in the background.
    link.abort(failed);
    await Promise.allSettled(workers);
    throw failed;
  } finally {
    link.unlink();
  }
}

/**
 * @param {PartsJob} job
 * @param {Signer} signer
 * @param {number} number
 * @param {Counter} counter
 * @param {AbortSignal} signal
 */
async function sendPart(job, signer, number, counter, signal) {
  const start = (number - 1) * job.partSize;
  const bytes = job.bytes.slice(start, Math.min(start + job.partSize, job.bytes.size));
  let refused = false;
  for (let failures = 1; ; failures++) {
    const part = await signer.part(number);
    /** @type {DropslipError} */
    let failed;
    try {
      const onSent = (/** @type {number} */ sent) => counter.sent(number, sent);
      const answer = await send({ method: "PUT", url: part.url, headers: part.headers ?? {}, bytes, onSent, signal });
      if (answer.status >= 200 && answer.status < 300) return;
      failed = storeRefusal(answer.status, answer.text);
      // Expired, which Garage calls a bad request: another URL for the same part.
      const stale = answer.status === 403 || (answer.status === 400 && !refused);
      refused = answer.status === 400;
      if (!(failed.retryable || stale) || answer.status === 404) throw failed;
      if (stale) signer.forget(number);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      failed = await lost(bytes, error);
      if (!failed.retryable) throw failed;
    }
    counter.sent(number, 0);
    if (failures >= job.tries) throw failed;
    job.onWaiting();
    await untilOnline(signal);
    await pause(backoff(failures), signal);
  }
}

/**
 * What a lost connection is: browsers also say so when the file was changed or removed since it was chosen.
 * @param {Blob} bytes
 * @param {unknown} cause
 */
export async function lost(bytes, cause) {
  try {
    await bytes.slice(0, 1).arrayBuffer();
  } catch (unreadable) {
    return new DropslipError("the file cannot be read any more; choose it again", { step: "read", cause: unreadable });
  }
  return new DropslipError("no answer from the store: no connection, or a page that its CORS rules do not name", {
    step: "upload",
    retryable: true,
    cause,
  });
}

/** URLs of parts, asked for in batches. */
class Signer {
  #job;
  #missing;
  #signal;
  /** @type {Map<number, Promise<SignedPart>>} */
  #signed = new Map();

  /**
   * @param {PartsJob} job
   * @param {number[]} missing what nobody has taken on yet; shrinks
   * @param {AbortSignal} signal
   */
  constructor(job, missing, signal) {
    this.#job = job;
    this.#missing = missing;
    this.#signal = signal;
  }

  /** @param {number} number */
  part(number) {
    if (!this.#signed.has(number)) this.#sign(number);
    return /** @type {Promise<SignedPart>} */ (this.#signed.get(number));
  }

  /** @param {number} number */
  forget(number) {
    this.#signed.delete(number);
  }

  /** @param {number} first */
  #sign(first) {
    const next = this.#missing.filter((number) => !this.#signed.has(number)).slice(0, BATCH - 1);
    const partNumbers = [first, ...next];
    const { broker, fileId } = this.#job;
    const path = `/v2/files/${fileId}/parts.json`;
    const asked = broker.ask("authorize", "POST", path, { body: { partNumbers }, signal: this.#signal });
    for (const number of partNumbers) {
      const signed = asked.then(({ body }) => {
        const part = body.parts?.find((/** @type {SignedPart} */ part) => part.partNumber === number);
        if (!part) throw new DropslipError(`part ${number} was not signed`, { step: "authorize" });
        return part;
      });
      // Whoever wants the part hears of the failure; a part that nobody wants any more must not be an unhandled one.
      signed.catch(() => this.#signed.delete(number));
      this.#signed.set(number, signed);
    }
  }
}

/** Adds up what is there and what is on its way. */
class Counter {
  #job;
  /** @type {Map<number, number>} */
  #sent = new Map();
  #before = 0;

  /** @param {PartsJob} job */
  constructor(job) {
    this.#job = job;
    for (const number of job.there) {
      this.#before += Math.min(job.partSize, job.bytes.size - (number - 1) * job.partSize);
    }
  }

  /**
   * @param {number} number
   * @param {number} bytes
   */
  sent(number, bytes) {
    this.#sent.set(number, bytes);
    this.tell();
  }

  tell() {
    let sum = this.#before;
    for (const bytes of this.#sent.values()) sum += bytes;
    this.#job.onSent(sum);
  }
}
