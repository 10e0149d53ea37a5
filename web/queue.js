// Uploads in line: some at a time, and how far they are all together.

const AT_ONCE = 4;
/** Speed is that of the last seconds. */
const WINDOW_MS = 5000;

/** Bytes a second over the last seconds. */
export class Rate {
  /** @type {[number, number][]} time and bytes so far */
  #samples = [];

  /** @param {number} bytes so far */
  add(bytes) {
    const now = performance.now();
    const last = this.#samples.at(-1);
    // Sent again from the start: what was measured before says nothing any more.
    if (last && bytes < last[1]) this.#samples = [];
    if (last && now - last[0] < 100 && this.#samples.length > 1) this.#samples.pop();
    this.#samples.push([now, bytes]);
    while (this.#samples.length > 2 && now - /** @type {[number, number]} */ (this.#samples[0])[0] > WINDOW_MS) this.#samples.shift();
  }

  /** 0 when it cannot be told yet. */
  get perSecond() {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last[0] - first[0] < 300) return 0;
    // It goes down while nothing moves.
    return ((last[1] - first[1]) * 1000) / (Math.max(performance.now(), last[0]) - first[0]);
  }
}

/** @typedef {object} Job
 * @property {number} size bytes
 * @property {number} sent bytes
 * @property {boolean} isDone
 * @property {() => Promise<void>} run never rejects
 */

export class Queue {
  /** @type {Job[]} */
  #waiting = [];
  /** Every job since the queue was last empty. @type {Set<Job>} */
  #batch = new Set();
  #running = 0;
  #changed;
  #rate = new Rate();

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  get isBusy() {
    return this.#running > 0 || this.#waiting.length > 0;
  }

  /** @param {Job} job */
  add(job) {
    if (!this.isBusy) {
      this.#batch.clear();
      this.#rate = new Rate();
    }
    this.#batch.add(job);
    this.#waiting.push(job);
    this.#next();
  }

  /**
   * Takes a job out of the line, if it has not begun.
   * @param {Job} job
   */
  remove(job) {
    this.#waiting = this.#waiting.filter((other) => other !== job);
    this.#batch.delete(job);
    this.#changed();
  }

  /** How far the batch is. Files that will not be sent any more count as done with what they sent. */
  total() {
    let [files, done, size, sent] = [0, 0, 0, 0];
    for (const job of this.#batch) {
      files += 1;
      done += job.isDone ? 1 : 0;
      size += job.isDone ? job.sent : job.size;
      sent += job.sent;
    }
    this.#rate.add(sent);
    return { files, done, size, sent, rate: this.#rate.perSecond };
  }

  #next() {
    while (this.#running < AT_ONCE) {
      const job = this.#waiting.shift();
      if (!job) break;
      this.#running += 1;
      job.run().finally(() => {
        this.#running -= 1;
        this.#next();
        this.#changed();
      });
    }
    this.#changed();
  }
}
