// Pauses: between two tries, and until there is a network again. Each ends at once when the signal aborts.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const LONGEST_OFFLINE_MS = 5 * 60_000;

/**
 * How long to wait after the n-th failure: twice as long each time, and not the same for everybody.
 * @param {number} failures from 1
 */
export function backoff(failures) {
  const whole = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
  return whole / 2 + Math.random() * (whole / 2);
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const aborted = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", aborted, { once: true });
  });
}

/** Whether the browser knows that there is no network. Anywhere else nobody knows. */
export function isOffline() {
  return typeof window !== "undefined" && globalThis.navigator?.onLine === false;
}

/**
 * Waits until the browser says that there is a network again, five minutes at most.
 * @param {AbortSignal} signal
 */
export async function untilOnline(signal) {
  if (!isOffline()) return;
  const waiting = linked(signal);
  const back = () => waiting.abort();
  window.addEventListener("online", back, { once: true });
  try {
    await pause(LONGEST_OFFLINE_MS, waiting.signal);
  } catch (ended) {
    if (signal.aborted) throw ended;
  } finally {
    window.removeEventListener("online", back);
    waiting.unlink();
  }
}

/**
 * A controller that aborts when `signal` does. `AbortSignal.any` would do the same, but is too new for many browsers.
 * @param {AbortSignal | undefined} signal
 */
export function linked(signal) {
  const controller = new AbortController();
  const pass = () => controller.abort(signal?.reason);
  if (signal?.aborted) pass();
  signal?.addEventListener("abort", pass, { once: true });
  return {
    signal: controller.signal,
    /** @param {unknown} [reason] */
    abort: (reason) => controller.abort(reason),
    unlink: () => signal?.removeEventListener("abort", pass),
  };
}
