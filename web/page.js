// The upload page: who is asking, what is dropped, and how far it is.

/** @import { FileObject, FileType, Progress } from "../clients/js/types/index.js" */

import { Dropslip, DropslipError } from "../clients/js/src/index.js";
import { listen, MOST_FILES } from "./dropping.js";
import { described, refusal } from "./policy.js";
import { Queue, Rate } from "./queue.js";
import { Row } from "./row.js";
import * as session from "./session.js";
import * as words from "./words.js";

/** Rows that are added before the page may breathe. */
const ROWS_AT_ONCE = 50;
/** How often numbers change on the screen, and how often a screen reader hears of them. */
const PAINT_MS = 100;
const SAY_MS = 1500;

/** @type {<T extends HTMLElement>(id: string) => T} */
const byId = (id) => /** @type {any} */ (document.getElementById(id));
const list = byId("list");
const kind = /** @type {HTMLSelectElement} */ (byId("kind"));

const client = new Dropslip({ server: new URL(".", document.baseURI), token: () => session.token.read() ?? "" });
/** @type {FileType[]} */
let rules = [];
/** @type {Set<Item>} */
const items = new Set();
/** Lines of earlier visits, by number of the file. @type {Map<number, Row>} */
const recalled = new Map();
const queue = new Queue(() => paintSoon());

// ---- what is said aloud: the sum of what happened, not each of it ----

/** @type {string[]} */
let news = [];
let tally = { active: 0, refused: 0, failed: 0 };
/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;

/** @param {string} [text] */
function say(text) {
  if (text) news.push(text);
  saying ??= setTimeout(() => {
    saying = undefined;
    const { active, refused, failed } = tally;
    if (active) news.push(`${words.count(active, "file")} active.`);
    // One refusal is told with its reason, many are counted.
    if (refused > 1) news.push(`${words.count(refused, "file")} refused.`);
    if (failed > 1) news.push(`${words.count(failed, "file")} failed.`);
    byId("said").textContent = news.slice(-4).join(" ");
    news = [];
    tally = { active: 0, refused: 0, failed: 0 };
  }, SAY_MS);
}

/**
 * @param {"refused" | "failed"} what
 * @param {string} name
 * @param {string} why
 */
function sayFailure(what, name, why) {
  tally[what] += 1;
  if (tally[what] === 1) news.push(`${name}: ${why}`);
  say();
}

// ---- one file ----

/** A file that is uploaded in this tab. */
class Item {
  sent = 0;
  isDone = false;
  row;
  #file;
  #rule;
  #rate = new Rate();
  #text = "";
  /** @type {Progress["phase"]} */
  #phase = "authorizing";
  #cancel = new AbortController();
  /** @type {number | undefined} */
  #fileId;
  /** @type {FileObject | undefined} */
  #uploaded;

  /**
   * @param {File} file
   * @param {FileType} rule
   */
  constructor(file, rule) {
    this.#file = file;
    this.#rule = rule;
    const link = () => linkOf(/** @type {FileObject} */ (this.#uploaded));
    this.row = new Row({ name: file.name, file }, { cancel: () => this.cancel(), retry: () => this.retry(), link, say });
    const why = refusal(rule, file);
    if (!why) {
      queue.add(this);
      return;
    }
    this.isDone = true;
    this.row.show("refused", why);
    sayFailure("refused", file.name, why);
  }

  get size() {
    return this.#file.size;
  }

  cancel() {
    if (this.isDone) return;
    this.#cancel.abort();
    if (this.row.state !== "waiting") return;
    queue.remove(this);
    this.#ended("cancelled", "Cancelled");
  }

  retry() {
    this.#cancel = new AbortController();
    this.#rate = new Rate();
    this.sent = 0;
    this.isDone = false;
    this.row.show("waiting", "Waiting");
    queue.add(this);
  }

  async run() {
    const { signal } = this.#cancel;
    const disposition = /** @type {"attachment" | undefined} */ (this.#rule.dispositions.includes("attachment") ? undefined : this.#rule.dispositions[0]);
    try {
      this.#uploaded = await client.upload(this.#file, {
        type: this.#rule.name,
        disposition,
        resume: true,
        fileId: this.#fileId,
        signal,
        onSlip: ({ id }) => {
          this.#fileId = id;
          session.files.add(id);
          // It goes on where an earlier visit stopped.
          recalled.get(id)?.element.remove();
          recalled.delete(id);
        },
        onProgress: (progress) => this.#progressed(progress),
      });
      this.sent = this.size;
      session.files.add(this.#uploaded.id);
      tally.active += 1;
      say();
      this.#ended("active", activeText(this.#uploaded, this.#file.name));
    } catch (failed) {
      if (signal.aborted) return this.#ended("cancelled", "Cancelled");
      const error = failed instanceof DropslipError ? failed : new DropslipError(String(failed), { step: "read" });
      const isRefused = [400, 422].includes(error.status ?? 0) && error.step !== "upload";
      const why = words.failure(error);
      sayFailure(isRefused ? "refused" : "failed", this.#file.name, why);
      this.#ended(isRefused ? "refused" : "failed", why);
      if (error.status === 401) signIn("This token is not accepted any more.");
    }
  }

  paint() {
    if (this.isDone || this.row.state === "waiting") return;
    const text = this.#phase === "uploading" ? words.progress(this.sent, this.size, this.#rate.perSecond) : this.#text;
    this.row.show("uploading", text, this.size > 0 ? this.sent / this.size : 1);
  }

  /** @param {Progress} progress */
  #progressed({ phase, loaded }) {
    this.#phase = phase;
    this.sent = loaded;
    if (phase === "uploading") this.#rate.add(loaded);
    const waiting = navigator.onLine ? "The connection was lost. Trying again…" : "No network. It goes on when there is one.";
    this.#text = { preparing: "Preparing…", authorizing: "Preparing…", uploading: "", waiting, confirming: "Checking…" }[phase];
    if (this.row.state === "waiting") this.row.show("uploading", this.#text, 0);
    paintSoon();
  }

  /**
   * @param {import("./row.js").RowState} state
   * @param {string} text
   */
  #ended(state, text) {
    this.isDone = true;
    this.row.show(state, text);
    paintSoon();
  }
}

/**
 * @param {FileObject} file
 * @param {string} name what it is called here
 */
function activeText({ size, filename, mimeType }, name) {
  // Hostile names are cleaned, and then the person should know.
  const renamed = filename === name ? [] : [`now called ${filename}`];
  return ["Active", words.size(size), mimeType, ...renamed].join(" · ");
}

/** @param {FileObject} file */
function linkOf(file) {
  return file.downloadURL || `${client.server}/v2/files/${file.id}.json`;
}

// ---- adding ----

/**
 * Chosen, dropped or pasted before it was known what may be uploaded: they wait for that.
 * @type {File[]}
 */
let early = [];

/** @param {File[]} files */
async function add(files) {
  const rule = rules.find(({ name }) => name === kind.value) ?? rules[0];
  if (!rule) {
    early = [...early, ...files].slice(0, MOST_FILES);
    return;
  }
  if (files.length === 0) return;
  const taken = files.slice(0, MOST_FILES);
  const before = list.firstChild;
  say(`${words.count(taken.length, "file")} added.`);
  if (files.length > taken.length) say(`Only the first ${MOST_FILES} files of many were taken.`);
  for (let start = 0; start < taken.length; start += ROWS_AT_ONCE) {
    const fresh = taken.slice(start, start + ROWS_AT_ONCE).map((file) => new Item(file, rule));
    for (const item of fresh) items.add(item);
    const anchor = before?.parentNode === list ? before : null;
    const rows = document.createDocumentFragment();
    rows.append(...fresh.map(({ row }) => row.element));
    list.insertBefore(rows, anchor);
    await new Promise((resume) => setTimeout(resume));
  }
}

/**
 * A record that is gone is forgotten; one that cannot be read just then is asked for again, so that its line is not missing.
 * @param {number} id
 */
async function recalledFile(id) {
  for (let pause = 500; pause <= 4000; pause *= 2) {
    try {
      return await client.file(id);
    } catch (failed) {
      if (/** @type {{ status?: number }} */ (failed)?.status === 404) return session.files.forget(id);
      await new Promise((resume) => setTimeout(resume, pause));
    }
  }
}

/** Files of earlier visits: read again, because their state may have changed. */
async function recall() {
  const ids = session.files.read();
  for (let start = 0; start < ids.length; start += 4) {
    const read = ids.slice(start, start + 4).map((id) => recalledFile(id));
    for (const file of await Promise.all(read)) {
      // One that was deleted is hidden; it may come back.
      if (!file || file.state === "deleted") continue;
      const row = new Row({ name: file.filename }, { cancel() {}, retry() {}, link: () => linkOf(file), say });
      if (file.state === "temp") row.show("temp", "Not finished. Choose the same file again to go on.");
      else row.show("active", activeText(file, file.filename));
      recalled.set(file.id, row);
      list.append(row.element);
    }
  }
  paintSoon();
}

// ---- all together ----

/** @type {ReturnType<typeof setTimeout> | undefined} */
let painting;

function paintSoon() {
  painting ??= setTimeout(() => {
    painting = undefined;
    paint();
    // Speed and time left change also while nothing moves.
    if (queue.isBusy) paintSoon();
  }, PAINT_MS);
}

function paint() {
  for (const item of items) item.paint();
  const { files, done, size, sent, rate } = queue.total();
  byId("total").hidden = files < 2;
  byId("total-said").textContent = queue.isBusy
    ? `${done} of ${words.count(files, "file")} · ${words.progress(sent, size, rate)}`
    : `${words.count(files, "file")} · ${words.size(sent)} sent`;
  const bar = /** @type {HTMLProgressElement} */ (byId("total-progress"));
  bar.value = size > 0 ? sent / size : 1;
  byId("cancel-all").hidden = !queue.isBusy || files < 2;
  byId("clear").hidden = queue.isBusy || list.childElementCount === 0;
}

function clear() {
  for (const id of session.files.read()) session.files.forget(id);
  items.clear();
  list.replaceChildren();
  byId("total").hidden = true;
  byId("clear").hidden = true;
  byId("chosen").focus();
  say("The list is empty. The files themselves are kept.");
}

// ---- who is asking ----

/** @param {string} [why] */
function signIn(why) {
  session.token.write(undefined);
  byId("sign-in").hidden = false;
  byId("drop").hidden = true;
  byId("files").hidden = items.size === 0;
  byId("sign-out").hidden = true;
  byId("token-error").textContent = why ?? "";
  byId("token").focus();
}

/** Shows the page for uploads, if the token is good. */
async function enter() {
  try {
    rules = await client.fileTypes();
  } catch (failed) {
    const error = /** @type {DropslipError} */ (failed);
    if (error.status === 401) return signIn("This token is not accepted here.");
    return signIn(words.failure(error));
  }
  kind.replaceChildren(...rules.map(({ name, title }) => new Option(`${name}: ${title}`, name)));
  kind.value = rules.some(({ name }) => name === "attachment") ? "attachment" : (rules[0]?.name ?? "");
  byId("kind-line").hidden = rules.length < 2;
  tellRule();
  byId("sign-in").hidden = true;
  for (const id of ["drop", "files", "sign-out"]) byId(id).hidden = false;
  const isNew = items.size === 0;
  if (isNew) list.replaceChildren();
  const waited = early;
  early = [];
  add(waited);
  if (isNew) await recall();
}

function tellRule() {
  const rule = rules.find(({ name }) => name === kind.value);
  byId("rule").textContent = rule ? described(rule) : "";
}

function start() {
  byId("sign-in").querySelector("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (byId("token"));
    session.token.write(input.value.trim());
    input.value = "";
    byId("token-error").textContent = "";
    enter().then(() => byId("chosen").focus());
  });
  byId("sign-out").addEventListener("click", () => {
    for (const item of items) item.cancel();
    items.clear();
    list.replaceChildren();
    signIn();
  });
  kind.addEventListener("change", tellRule);
  byId("clear").addEventListener("click", clear);
  byId("cancel-all").addEventListener("click", () => {
    for (const item of items) item.cancel();
  });
  byId("chosen").addEventListener("change", ({ target }) => {
    const input = /** @type {HTMLInputElement} */ (target);
    add([...(input.files ?? [])]);
    // The same file may be chosen again.
    input.value = "";
  });
  listen(byId("drop"), (files) => void files.then(add));
  addEventListener("beforeunload", (event) => {
    if (queue.isBusy) event.preventDefault();
  });
  addEventListener("hashchange", fromLink);
  if (!fromLink()) {
    if (session.token.read()) enter();
    else signIn();
  }
}

function fromLink() {
  const token = session.tokenFromLink();
  if (!token) return false;
  session.token.write(token);
  enter();
  return true;
}

start();
