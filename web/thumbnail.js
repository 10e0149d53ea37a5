// Small pictures of images, made here: nothing is uploaded for them and no object URL has to be given back.

const TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"];
/** Decoding takes memory by pixels; what is larger than this in bytes is not worth it. */
const MOST_BYTES = 25 * 1024 * 1024;
const PIXELS = 96;

/** One at a time: decoding must not get in the way of the page. @type {Promise<void>} */
let last = Promise.resolve();

const seen = typeof IntersectionObserver === "undefined" ? undefined : new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen?.unobserve(target);
    const file = waiting.get(target);
    if (file) last = last.then(() => draw(target, file));
  }
});

/** @type {WeakMap<Element, File>} */
const waiting = new WeakMap();

/**
 * Draws the image into `place` once that is seen.
 * @param {Element} place
 * @param {File} file
 */
export function picture(place, file) {
  if (!TYPES.includes(file.type) || file.size > MOST_BYTES) return;
  waiting.set(place, file);
  seen?.observe(place);
}

/**
 * @param {Element} place
 * @param {File} file
 */
async function draw(place, file) {
  try {
    const image = await createImageBitmap(file);
    const canvas = document.createElement("canvas");
    canvas.width = PIXELS;
    canvas.height = PIXELS;
    // The middle, as large a square as there is.
    const side = Math.min(image.width, image.height);
    const context = canvas.getContext("2d");
    if (context) {
      context.imageSmoothingQuality = "high";
      context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, PIXELS, PIXELS);
      place.replaceChildren(canvas);
    }
    image.close();
  } catch {
    // No image after all: the extension stays where the picture would be.
  }
}
