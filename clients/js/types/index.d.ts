/** Where the broker is, and who is asking. */
export interface ClientOptions {
  /** The broker's URL, such as `https://files.example.com`; in a page also relative to it. */
  server: string | URL;
  /**
   * A token of the broker, or what gives one for each request. Without one no `Authorization` is sent: for a backend of your
   * own that does steps 1 and 3 under the same paths.
   */
  token?: string | (() => string | Promise<string>);
  /** Sends the requests to the broker instead of the global `fetch`: to add cookies or headers of your own. Never the bytes. */
  fetch?: typeof fetch;
}

/** How one file is uploaded. */
export interface UploadOptions {
  /** Name of the broker's file type. Default: `attachment`. */
  type?: string;
  /** Name of the file. Default: that of a `File`, else `file`. */
  name?: string;
  /** What you think it is, such as `image/png`. Default: that of the `Blob`. `""`: the broker goes by the extension. */
  mimeType?: string;
  /** How it is served. Default: the broker's, `attachment`. */
  disposition?: "attachment" | "attachment-inline";
  /**
   * The SHA-256 that the bytes must have, base64; or `true` to compute it first, which reads the whole file into memory, takes at
   * most 256 MiB and needs a secure context. Default: none.
   */
  sha256?: boolean | string;
  /** Whether a large file may go in parts. The broker says what is large. Default: true. */
  multipart?: boolean;
  /** Parts at the same time. Default: 4. */
  parallel?: number;
  /**
   * Goes on with a multipart upload that was broken off, such as by a reload, when the same file is uploaded again. `true`
   * remembers it in this browser's `localStorage`; elsewhere give a store. Default: not remembered.
   */
  resume?: boolean | ResumeStore;
  /** The record of an earlier try with the same bytes: it is given a fresh slip instead of a second record. */
  fileId?: number;
  /** Failures in a row until it gives up, in step 2 and for each part. Default: 5. */
  tries?: number;
  /** Ends the upload; it then rejects with the signal's reason. What a multipart upload has sent is deleted. */
  signal?: AbortSignal;
  /** Told at each phase and while bytes are sent. */
  onProgress?: (progress: Progress) => void;
  /** Told each time a slip is granted: from then on the record has a number. */
  onSlip?: (file: FileObject) => void;
}

/**
 * `preparing` computes the checksum, `authorizing` asks for a slip, `uploading` sends, `waiting` is between two tries or without a
 * network, `confirming` has the broker look at what landed.
 */
export type Phase = "preparing" | "authorizing" | "uploading" | "waiting" | "confirming";

/** How far an upload is. */
export interface Progress {
  phase: Phase;
  /** Bytes handed to the network; falls when they have to be sent again. */
  loaded: number;
  /** Bytes of the file. */
  total: number;
}

/** Remembers numbers of records under keys; `localStorage` in other words. */
export interface ResumeStore {
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  set(key: string, value: string): void | Promise<void>;
  delete(key: string): void | Promise<void>;
}

/** A file as the broker tells it. */
export interface FileObject {
  id: number;
  /** `temp`: a slip was issued. `active`: looked at and sealed. Other words may come. */
  state: "temp" | "active" | (string & {});
  filename: string;
  /** The granted content type while `temp`, the decided one once active. */
  mimeType: string;
  /** Bytes; 0 while `temp`. */
  size: number;
  disposition: string;
  /** Name of its file type. */
  type: string;
  /** Of an image whose header says so. */
  pixelWidth?: number;
  pixelHeight?: number;
  /** Where it can be downloaded, from brokers that have downloads; empty while `temp`. */
  downloadURL?: string;
  /** What makes `downloadURL` work without a token; empty where it needs one. */
  proxyKey?: string;
  /** The object's key in the bucket; empty while `temp`. */
  s3Path?: string;
  /** What was declared, granted, detected and decided; only once active. */
  evidence?: Record<string, unknown>;
  createdAt: string;
  updatedAt: string;
}

/** A rule of the broker: what may be uploaded under its name. */
export interface FileType {
  name: string;
  /** One line for people. */
  title: string;
  /** `type` may end in `/*`; `extensions` are lower case without dot, `*` for any. */
  contentTypes: { type: string; extensions: string[] }[];
  refusedExtensions: string[];
  /** Bytes. */
  minSize: number;
  /** Bytes. */
  maxSize: number;
  dispositions: string[];
}

/** The answer to step 1. */
export interface Slip {
  method?: "POST" | "PUT" | "MULTIPART";
  url?: string;
  params: Record<string, string>;
  headers?: Record<string, string>;
  partSize?: number;
  partCount?: number;
  /** UTC. */
  expiresAt: string;
  file: FileObject;
}

/** Messages by the name of the field that they are about. */
export type FieldErrors = Record<string, string[]>;

/** `read` is about the bytes here, or about reading a record; the others are the three steps. */
export type ErrorStep = "read" | "authorize" | "upload" | "confirm";

/** Why an upload did not become an active file. A cancelled one rejects with the signal's reason instead. */
export declare class DropslipError extends Error {
  /** For tests of your own code: the client makes them. */
  constructor(message: string, parts: Partial<Omit<DropslipError, "step">> & { step: ErrorStep });
  name: "DropslipError" | (string & {});
  /** Where it failed. */
  step: ErrorStep;
  /** HTTP status; absent when no answer came. */
  status: number | undefined;
  /** What the broker complains about, by field; empty for a store. */
  fields: FieldErrors;
  /** Whether the same upload may succeed later. */
  retryable: boolean;
  /** Seconds to wait first, when the broker said so. */
  retryAfter: number | undefined;
  /** The record, if there is one: give it to the next `upload` of the same bytes. */
  fileId: number | undefined;
}

/** A client of one broker. */
export declare class Dropslip {
  /** @throws TypeError when `server` is no http or https URL */
  constructor(options: ClientOptions);

  /** The broker's URL, without a slash at the end. */
  readonly server: string;

  /**
   * Asks for a slip, drops the bytes, confirms. Resolves when the file is active.
   * @throws DropslipError
   */
  upload(file: Blob | ArrayBuffer | ArrayBufferView, options?: UploadOptions): Promise<FileObject>;

  /**
   * One file. Needs the scope `files:read`.
   * @throws DropslipError
   */
  file(id: number, options?: { signal?: AbortSignal }): Promise<FileObject>;

  /**
   * What may be uploaded here.
   * @throws DropslipError
   */
  fileTypes(options?: { signal?: AbortSignal }): Promise<FileType[]>;
}
