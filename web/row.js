// One line of the list: what is shown of a file, and what can be done about it.

import { extension } from "./policy.js";
import { picture } from "./thumbnail.js";

/** @typedef {"waiting" | "uploading" | "active" | "temp" | "refused" | "failed" | "cancelled"} RowState */

/** @typedef {object} RowActions
 * @property {() => void} cancel
 * @property {() => void} retry
 * @property {() => string} link
 * @property {(text: string) => void} say
 */

/** What can be done in each state; the first of them gets the focus of one that goes away. @type {Record<RowState, string[]>} */
const ACTS = {
  waiting: ["cancel"],
  uploading: ["cancel"],
  active: ["copy"],
  temp: [],
  refused: [],
  failed: ["retry"],
  cancelled: ["retry"],
};

export class Row {
  element;
  /** @type {RowState} */
  state = "waiting";
  #state;
  #progress;
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();

  /**
   * @param {{ name: string, file?: File }} what
   * @param {RowActions} actions
   */
  constructor({ name, file }, actions) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("row"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLLIElement} */ (copy.querySelector("li"));
    /** @type {<T extends Element>(selector: string) => T} */
    const find = (selector) => /** @type {any} */ (this.element.querySelector(selector));
    find("bdi").textContent = name;
    this.#state = find(".state");
    this.#progress = /** @type {HTMLProgressElement} */ (find("progress"));
    this.#progress.setAttribute("aria-label", `Progress of ${name}`);
    const place = find(".picture");
    place.textContent = extension(name).slice(0, 4).toUpperCase() || "FILE";
    if (file) picture(place, file);
    for (const act of ["cancel", "retry", "copy"]) {
      const button = /** @type {HTMLButtonElement} */ (find(`.${act}`));
      button.setAttribute("aria-label", `${button.textContent}: ${name}`);
      this.#buttons.set(act, button);
    }
    this.#on("cancel", actions.cancel);
    this.#on("retry", actions.retry);
    this.#on("copy", () => this.#copy(actions));
    this.show("waiting", "Waiting");
  }

  /**
   * @param {RowState} state
   * @param {string} text
   * @param {number} [done] of 1; shown while it uploads
   */
  show(state, text, done) {
    if (this.#state.textContent !== text) this.#state.textContent = text;
    this.#progress.hidden = state !== "uploading";
    if (done !== undefined) this.#progress.value = done;
    if (state === this.element.dataset.state) return;
    this.state = state;
    this.element.dataset.state = state;
    const acts = ACTS[state];
    const hadFocus = this.element.contains(document.activeElement);
    for (const [act, button] of this.#buttons) button.hidden = !acts.includes(act);
    // A button that goes away must not take the keyboard's place in the page with it.
    if (hadFocus) this.#buttons.get(acts[0] ?? "")?.focus();
  }

  /**
   * @param {string} act
   * @param {() => void} does
   */
  #on(act, does) {
    this.#buttons.get(act)?.addEventListener("click", does);
  }

  /** @param {RowActions} actions */
  async #copy({ link, say }) {
    const button = /** @type {HTMLButtonElement} */ (this.#buttons.get("copy"));
    const copied = await copyText(link());
    say(copied ? "Link copied." : "The link could not be copied.");
    button.textContent = copied ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  }
}

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard outside a secure context: the old way.
    const area = document.createElement("textarea");
    const before = document.activeElement;
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return copied;
  }
}
