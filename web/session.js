// What this browser keeps: the token for as long as the tab is open, and the numbers of the files it uploaded.

const TOKEN = "dropslip:token";
const FILES = "dropslip:files";
const MOST_FILES = 200;

/** Private windows and strict settings may have no storage; then the page works until it is closed. */
/** @type {Map<string, string>} */
const fallback = new Map();

/**
 * @param {() => Storage} storage
 * @param {string} key
 */
function read(storage, key) {
  try {
    return storage().getItem(key);
  } catch {
    return fallback.get(key) ?? null;
  }
}

/**
 * @param {() => Storage} storage
 * @param {string} key
 * @param {string | undefined} value
 */
function write(storage, key, value) {
  try {
    if (value === undefined) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    if (value === undefined) fallback.delete(key);
    else fallback.set(key, value);
  }
}

const tab = () => sessionStorage;
const browser = () => localStorage;

/** The token of a link `#token=…`. It leaves the address bar at once: a fragment is sent to nobody, but it can be read and shared. */
export function tokenFromLink() {
  const found = /^#token=([\w-]{1,500})$/.exec(location.hash);
  if (!found) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return found[1];
}

export const token = {
  read: () => read(tab, TOKEN) ?? undefined,
  /** @param {string | undefined} value */
  write: (value) => write(tab, TOKEN, value),
};

/** Numbers of files, the newest first. */
export const files = {
  /** @returns {number[]} */
  read() {
    try {
      const kept = JSON.parse(read(browser, FILES) ?? "[]");
      return Array.isArray(kept) ? kept.filter((id) => Number.isSafeInteger(id) && id > 0).slice(0, MOST_FILES) : [];
    } catch {
      return [];
    }
  },
  /** @param {number} id */
  add(id) {
    const others = files.read().filter((other) => other !== id);
    write(browser, FILES, JSON.stringify([id, ...others].slice(0, MOST_FILES)));
  },
  /** @param {number} id */
  forget(id) {
    write(browser, FILES, JSON.stringify(files.read().filter((other) => other !== id)));
  },
};
