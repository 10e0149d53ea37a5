// What a program holds: a broker's address, a token, and uploads.

/** @import { ClientOptions, FileObject, FileType, UploadOptions } from "../types/index.js" */

import { Broker } from "./broker.js";
import { Upload } from "./upload.js";

export class Dropslip {
  #broker;

  /** @param {ClientOptions} options */
  constructor(options) {
    this.#broker = new Broker(options);
  }

  /** The broker's URL, without a slash at the end. */
  get server() {
    return this.#broker.url;
  }

  /**
   * @param {Blob | ArrayBuffer | ArrayBufferView} file
   * @param {UploadOptions} [options]
   * @returns {Promise<FileObject>}
   */
  async upload(file, options = {}) {
    const bytes = file instanceof Blob ? file : new Blob([/** @type {ArrayBuffer} */ (file)]);
    return new Upload(this.#broker, bytes, options).run();
  }

  /**
   * @param {number} id
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<FileObject>}
   */
  async file(id, { signal } = {}) {
    const { body } = await this.#broker.ask("read", "GET", `/v2/files/${Number(id)}.json`, { signal });
    return body.file;
  }

  /**
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<FileType[]>}
   */
  async fileTypes({ signal } = {}) {
    const { body } = await this.#broker.ask("read", "GET", "/v2/file-types.json", { signal });
    return body.fileTypes;
  }
}
