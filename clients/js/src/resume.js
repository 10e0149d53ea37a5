// Where an unfinished multipart upload is remembered. Only the number of its record: no name, no token, no signed URL.

/** @import { ResumeStore } from "../types/index.js" */

const PREFIX = "dropslip:resume:";

/**
 * What the same upload is found by again: of the file's description only a digest is kept.
 * @param {string} server
 * @param {{ type: string, filename: string, mimeType: string, size: number }} wish
 * @param {number} lastModified
 */
export function resumeKey(server, wish, lastModified) {
  const described = JSON.stringify([server, wish.type, wish.filename, wish.mimeType, wish.size, lastModified]);
  return `${PREFIX}${wish.size}-${fingerprint(described)}`;
}

/**
 * Two rounds of FNV-1a. It only has to tell one person's files apart; WebCrypto would do better, but not in every context.
 * @param {string} text
 */
function fingerprint(text) {
  const round = (/** @type {number} */ start) => {
    let hash = start;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
    return hash.toString(16).padStart(8, "0");
  };
  return round(0x811c9dc5) + round(0x050c5d1f);
}

/** @type {ResumeStore} */
const browserStore = {
  get: (key) => localStorage.getItem(key),
  set: (key, value) => localStorage.setItem(key, value),
  delete: (key) => localStorage.removeItem(key),
};

/** A store that never fails an upload: what cannot be remembered only cannot be resumed. */
export class Memory {
  /** @type {ResumeStore | undefined} */
  #store;
  #key;

  /**
   * @param {boolean | ResumeStore | undefined} resume
   * @param {string} key
   */
  constructor(resume, key) {
    this.#store = resume === true ? browserStore : resume || undefined;
    this.#key = key;
  }

  /** @returns {Promise<number | undefined>} */
  async read() {
    const id = Number(await this.#try((store) => store.get(this.#key)));
    return Number.isSafeInteger(id) && id > 0 ? id : undefined;
  }

  /** @param {number} id */
  async write(id) {
    await this.#try((store) => store.set(this.#key, String(id)));
  }

  async forget() {
    await this.#try((store) => store.delete(this.#key));
  }

  /**
   * @template T
   * @param {(store: ResumeStore) => T | Promise<T>} act
   */
  async #try(act) {
    try {
      return this.#store && (await act(this.#store));
    } catch {
      return undefined;
    }
  }
}
