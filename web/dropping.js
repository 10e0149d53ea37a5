// Files that come by drag and drop, by paste, or by the file dialog; folders are taken apart.

/** More than anybody means to drop at once, and few enough for a page. */
export const MOST_FILES = 5000;

/**
 * Every file of a drop or a paste. Must be called while the event is handled: afterwards the browser has taken its data away.
 * @param {DataTransfer} data
 * @returns {Promise<File[]>}
 */
export async function filesOf(data) {
  const entries = [...data.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...data.files];
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  /** @type {File[]} */
  const found = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

/**
 * @param {FileSystemEntry | null} entry
 * @param {File[]} found
 */
async function collect(entry, found) {
  if (!entry || found.length > MOST_FILES) return;
  if (entry.isFile) {
    const file = await new Promise((resolve) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, () => resolve(undefined)));
    if (file) found.push(/** @type {File} */ (file));
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // A folder is read piece by piece; the end is an empty piece.
    /** @type {FileSystemEntry[]} */
    const piece = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (piece.length === 0) return;
    for (const child of piece) await collect(child, found);
  }
}

/** @param {DataTransfer | null} data */
const hasFiles = (data) => data?.types.includes("Files") ?? false;

/**
 * The whole page takes files: a drop beside the marked place would otherwise open the file and leave the page.
 * @param {HTMLElement} place what is marked while something is dragged
 * @param {(files: Promise<File[]>) => void} take
 */
export function listen(place, take) {
  let inside = 0;
  const mark = (/** @type {number} */ change) => {
    inside = Math.max(0, inside + change);
    place.classList.toggle("over", inside > 0);
  };
  addEventListener("dragenter", ({ dataTransfer }) => hasFiles(dataTransfer) && mark(1));
  addEventListener("dragleave", ({ dataTransfer }) => hasFiles(dataTransfer) && mark(-1));
  addEventListener("dragover", (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer || !hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    mark(-inside);
    take(filesOf(event.dataTransfer));
  });
  addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData && clipboardData.files.length > 0) take(filesOf(clipboardData));
  });
}
