// One upload: slip, bytes, confirmation, and what to do when one of them fails.

/** @import { FileObject, Phase, Slip, UploadOptions } from "../types/index.js" */
/** @import { Broker } from "./broker.js" */

import { sha256 } from "./checksum.js";
import { DropslipError, Lost, storeRefusal } from "./errors.js";
import { lost, sendParts } from "./parts.js";
import { Memory, resumeKey } from "./resume.js";
import { send } from "./send.js";
import { backoff, linked, pause, untilOnline } from "./waiting.js";

const TRIES = 5;
const PARALLEL = 4;

/** @typedef {{ slip: Slip, there: Set<number> }} Work what to send, and which parts of it have arrived */

export class Upload {
  #broker;
  #bytes;
  #options;
  #wish;
  #memory;
  #link;
  #tries;
  /** The record, once there is one. @type {number | undefined} */
  #fileId;
  #isMultipart = false;
  #loaded = 0;
  /** @type {Phase | undefined} */
  #phase;

  /**
   * @param {Broker} broker
   * @param {Blob} bytes
   * @param {UploadOptions} options
   */
  constructor(broker, bytes, options) {
    this.#broker = broker;
    this.#bytes = bytes;
    this.#options = options;
    const named = /** @type {Partial<File>} */ (bytes);
    this.#wish = {
      type: options.type ?? "attachment",
      filename: options.name ?? named.name ?? "file",
      mimeType: options.mimeType ?? bytes.type,
      disposition: options.disposition,
      size: bytes.size,
      multipart: options.multipart ?? true,
      checksumSHA256: typeof options.sha256 === "string" ? options.sha256 : undefined,
    };
    this.#memory = new Memory(options.resume, resumeKey(broker.url, this.#wish, named.lastModified ?? 0));
    this.#fileId = options.fileId;
    this.#tries = options.tries ?? TRIES;
    this.#link = linked(options.signal);
  }

  /** @returns {Promise<FileObject>} */
  async run() {
    const { signal } = this.#link;
    try {
      signal.throwIfAborted();
      if (this.#options.sha256 === true) {
        this.#tell("preparing");
        this.#wish.checksumSHA256 = await sha256(this.#bytes);
      }
      const begun = await this.#begin();
      if ("state" in begun) return begun;
      return await this.#untilActive(begun);
    } catch (failed) {
      if (signal.aborted) {
        await this.#abandon();
        throw signal.reason;
      }
      const error = asError(failed);
      error.fileId = this.#fileId;
      throw error;
    } finally {
      this.#link.unlink();
    }
  }

  // ---- step 1 ----

  /**
   * A slip: of the upload that was broken off, of the record that the caller names, or a new one. Or the file, if it is active already.
   * @returns {Promise<Work | FileObject>}
   */
  async #begin() {
    this.#tell("authorizing");
    const known = await this.#memory.read();
    if (known !== undefined) {
      const resumed = await this.#resumed(known);
      if (resumed) return resumed;
      await this.#memory.forget();
    }
    if (this.#fileId !== undefined) {
      // All of it may have arrived, and only the answer was lost.
      return (await this.#arrived(this.#fileId)) ?? (await this.#reissued(this.#fileId));
    }
    return this.#authorized();
  }

  /** @returns {Promise<Work | FileObject>} */
  async #authorized() {
    // The same key with each try: an answer that was lost makes no second record.
    const random = crypto.getRandomValues(new Uint8Array(16));
    const key = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const headers = { "Idempotency-Key": key };
    const { body } = await this.#ask("authorize", "POST", "/v2/files/ref.json", { body: this.#wish, headers });
    return this.#granted(body);
  }

  /**
   * A fresh slip for the same record; a new record when it was swept away.
   * @param {number} id
   * @returns {Promise<Work | FileObject>}
   */
  async #reissued(id) {
    this.#tell("authorizing");
    try {
      const { body } = await this.#ask("authorize", "POST", `/v2/files/${id}/ref.json`);
      return await this.#granted(body);
    } catch (refused) {
      if (!(refused instanceof DropslipError)) throw refused;
      if (refused.status === 404) return this.#authorized();
      // Active already: confirming answers the file.
      if (refused.status === 409) return this.#confirmed(id);
      throw refused;
    }
  }

  /**
   * @param {any} body
   * @returns {Promise<Work | FileObject>}
   */
  async #granted(body) {
    this.#fileId = body.file.id;
    this.#options.onSlip?.(body.file);
    // A replayed step 1 whose file is active has no slip.
    if (!body.params) return body.file;
    this.#isMultipart = body.method === "MULTIPART";
    if (this.#isMultipart) await this.#memory.write(body.file.id);
    return { slip: body, there: new Set() };
  }

  /**
   * An upload that was broken off; nothing when it cannot go on.
   * @param {number} id
   * @returns {Promise<Work | FileObject | undefined>}
   */
  async #resumed(id) {
    try {
      const { body } = await this.#ask("authorize", "GET", `/v2/files/${id}/parts.json`);
      const { partSize, partCount, expiresAt, file } = body;
      const sizeOf = (/** @type {number} */ number) => Math.min(partSize, this.#bytes.size - (number - 1) * partSize);
      if (partCount !== Math.ceil(this.#bytes.size / partSize)) return undefined;
      /** @type {{ partNumber: number, size: number }[]} */
      const parts = body.parts;
      const there = new Set(parts.filter((part) => part.size === sizeOf(part.partNumber)).map((part) => part.partNumber));
      this.#fileId = id;
      this.#isMultipart = true;
      this.#options.onSlip?.(file);
      return { slip: { method: "MULTIPART", params: {}, partSize, partCount, expiresAt, file }, there };
    } catch (refused) {
      if (!(refused instanceof DropslipError)) throw refused;
      if (refused.status === 409) return this.#arrived(id);
      if (refused.status === 404) return undefined;
      throw refused;
    }
  }

  // ---- steps 2 and 3 ----

  /**
   * @param {Work} first
   * @returns {Promise<FileObject>}
   */
  async #untilActive(first) {
    let work = first;
    for (let failures = 1; ; failures++) {
      /** @type {DropslipError} */
      let failed;
      try {
        this.#tell("uploading");
        await this.#sent(work);
        return await this.#confirmed(work.slip.file.id);
      } catch (error) {
        this.#link.signal.throwIfAborted();
        if (!(error instanceof DropslipError)) throw error;
        failed = error;
      }
      const again = await this.#again(work, failed, failures);
      if ("state" in again) return again;
      work = again;
    }
  }

  /**
   * What to do after a failure: the file if it arrived all the same, or what to send next.
   * @param {Work} work
   * @param {DropslipError} failed
   * @param {number} failures
   * @returns {Promise<Work | FileObject>}
   */
  async #again(work, failed, failures) {
    const { signal } = this.#link;
    const { slip } = work;
    const { id } = slip.file;
    const isGone = failed.status === 404 && failed.step !== "upload";
    // Most stores refuse what is too late with 403, Garage with 400, which is also what it says of wrong bytes.
    const late = failed.step === "upload" && failed.status === 400 && slip.method !== "MULTIPART" && Date.now() > Date.parse(slip.expiresAt);
    if (failures >= this.#tries || !(failed.retryable || isGone || late)) throw failed;
    this.#tell("waiting");
    await untilOnline(signal);
    const expired = late || failed.status === 403 || (failed.status === 404 && failed.step === "upload");
    // An expired slip is replaced at once, the first time.
    if (!(expired && failures === 1)) await pause(failed.retryAfter === undefined ? backoff(failures) : failed.retryAfter * 1000, signal);
    if (isGone) return this.#authorized();
    if (expired) return this.#reissued(id);
    if (slip.method === "MULTIPART") return (await this.#resumed(id)) ?? this.#reissued(id);
    if (failed.step === "upload" && failed.status === undefined) {
      const arrived = await this.#arrived(id);
      if (arrived) return arrived;
      // A store that refuses closes the connection while the browser still sends, and its answer is lost: so this may be an expired slip.
      if (failures > 2 || Date.now() > Date.parse(slip.expiresAt)) return this.#reissued(id);
    }
    return work;
  }

  /** @param {Work} work */
  async #sent({ slip, there }) {
    const { signal } = this.#link;
    const onSent = (/** @type {number} */ bytes) => this.#tell("uploading", bytes);
    if (slip.method === "MULTIPART") {
      const { parallel = PARALLEL } = this.#options;
      const { partSize = 0, partCount = 0 } = slip;
      const onWaiting = () => this.#tell("waiting");
      return sendParts({
        broker: this.#broker, fileId: slip.file.id, partSize, partCount, there, bytes: this.#bytes, parallel, tries: this.#tries, onSent, onWaiting, signal,
      });
    }
    const isPut = slip.method === "PUT";
    // A slice has no content type of its own that could get in the way of the signed one.
    const bytes = this.#bytes.slice(0, this.#bytes.size);
    const { url = "", params, headers = {} } = slip;
    /** @type {{ status: number, text: string }} */
    let answer;
    try {
      answer = await send({ method: isPut ? "PUT" : "POST", url, headers: isPut ? headers : {}, fields: isPut ? undefined : params, bytes, onSent, signal });
    } catch (error) {
      throw error instanceof Lost ? await lost(this.#bytes, error) : error;
    }
    // 412: an earlier try arrived after all.
    const isThere = isPut && answer.status === 412;
    if (!isThere && (answer.status < 200 || answer.status >= 300)) throw storeRefusal(answer.status, answer.text);
  }

  /**
   * @param {number} id
   * @returns {Promise<FileObject>}
   */
  async #confirmed(id) {
    this.#tell("confirming");
    const { body } = await this.#ask("confirm", "PATCH", `/v2/files/${id}.json`);
    await this.#memory.forget();
    return body.file;
  }

  /**
   * The file, if its bytes have arrived; nothing if they have not.
   * @param {number} id
   */
  async #arrived(id) {
    try {
      return await this.#confirmed(id);
    } catch (refused) {
      // 422: something else arrived, and was deleted. 404: swept away. In both cases the bytes have to be sent.
      if (refused instanceof DropslipError && [404, 409, 422].includes(refused.status ?? 0)) return undefined;
      throw refused;
    }
  }

  /** After a cancelled upload no part of it has to stay in the bucket; a form that was not used costs nothing and expires. */
  async #abandon() {
    if (!this.#isMultipart || this.#fileId === undefined) return;
    await this.#memory.forget();
    // Its own failure changes nothing: the broker sweeps.
    await this.#broker.ask("authorize", "DELETE", `/v2/files/${this.#fileId}/parts.json`, { tries: 1 }).catch(() => {});
  }

  // ---- telling ----

  /**
   * @param {Phase} phase
   * @param {number} [loaded]
   */
  #tell(phase, loaded) {
    if (loaded !== undefined) this.#loaded = loaded;
    else if (phase === "uploading") this.#loaded = 0;
    if (loaded !== undefined || phase !== this.#phase) {
      try {
        this.#options.onProgress?.({ phase, loaded: this.#loaded, total: this.#bytes.size });
      } catch (failed) {
        // A fault in what shows the progress is its owner's, and no reason to end the upload.
        queueMicrotask(() => {
          throw failed;
        });
      }
    }
    this.#phase = phase;
  }

  /**
   * @param {"authorize" | "confirm"} step
   * @param {string} method
   * @param {string} path
   * @param {{ body?: unknown, headers?: Record<string, string> }} [question]
   */
  #ask(step, method, path, question) {
    const phase = this.#phase ?? "authorizing";
    const onWaiting = (/** @type {boolean} */ isWaiting) => this.#tell(isWaiting ? "waiting" : phase);
    return this.#broker.ask(step, method, path, { ...question, signal: this.#link.signal, onWaiting });
  }
}

/** @param {unknown} failed */
function asError(failed) {
  if (failed instanceof DropslipError) return failed;
  return new DropslipError(failed instanceof Error ? failed.message : String(failed), { step: "read", cause: failed });
}
