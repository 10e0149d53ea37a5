// A film for the tests: VP8 that Chromium itself encodes, in a WebM that is written here, with an index as every film to be sought in has.

export const WIDTH = 64;
export const HEIGHT = 48;
/** Each frame is a key frame, and each second a cluster. */
export const FRAMES_A_SECOND = 5;

/** Frames of VP8, encoded in a page of Chromium's; `page` must be at a secure origin. */
async function encoded(page, seconds) {
  const frames = await page.evaluate(
    async ([width, height, rate, count]) => {
      const frames = [];
      const encoder = new VideoEncoder({
        output: (chunk) => {
          const bytes = new Uint8Array(chunk.byteLength);
          chunk.copyTo(bytes);
          frames.push(Array.from(bytes));
        },
        error: (why) => {
          throw why;
        },
      });
      encoder.configure({ codec: "vp8", width, height, bitrate: 200_000, framerate: rate });
      const canvas = new OffscreenCanvas(width, height);
      const painted = canvas.getContext("2d");
      for (let number = 0; number < count; number++) {
        painted.fillStyle = `hsl(${(number * 37) % 360} 80% 50%)`;
        painted.fillRect(0, 0, width, height);
        const frame = new VideoFrame(canvas, { timestamp: Math.round((number * 1e6) / rate), duration: Math.round(1e6 / rate) });
        encoder.encode(frame, { keyFrame: true });
        frame.close();
      }
      await encoder.flush();
      return frames;
    },
    [WIDTH, HEIGHT, FRAMES_A_SECOND, seconds * FRAMES_A_SECOND],
  );
  return frames.map((bytes) => Buffer.from(bytes));
}

/** An element of EBML: its number as it is written, its length in one byte or in eight, its content. */
function element(number, ...content) {
  const body = Buffer.concat(content);
  const length = Buffer.alloc(body.length < 127 ? 1 : 8);
  if (length.length === 1) length[0] = 0x80 | body.length;
  else length.writeBigUInt64BE((1n << 56n) | BigInt(body.length));
  return Buffer.concat([Buffer.from(number, "hex"), length, body]);
}

const whole = (number, value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return element(number, bytes);
};
const real = (number, value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return element(number, bytes);
};
const text = (number, value) => element(number, Buffer.from(value));

/** A film of so many seconds, each of which has `padding` bytes that nobody looks at, so that it is too long to be fetched at once. */
export async function film(page, seconds, padding) {
  const frames = await encoded(page, seconds);
  const clusters = Array.from({ length: seconds }, (_, second) => {
    const blocks = frames.slice(second * FRAMES_A_SECOND, (second + 1) * FRAMES_A_SECOND).map((frame, number) => {
      const head = Buffer.from([0x81, 0, 0, 0x80]);
      head.writeInt16BE((number * 1000) / FRAMES_A_SECOND, 1);
      return element("a3", head, frame);
    });
    return Buffer.concat([element("1f43b675", whole("e7", second * 1000), ...blocks), element("ec", Buffer.alloc(padding))]);
  });
  const about = element("1549a966", whole("2ad7b1", 1_000_000), real("4489", seconds * 1000), text("4d80", "test"), text("5741", "test"));
  const video = element("e0", whole("b0", WIDTH), whole("ba", HEIGHT));
  const tracks = element("1654ae6b", element("ae", whole("d7", 1), whole("73c5", 1), whole("83", 1), text("86", "V_VP8"), video));
  const index = (start) => {
    let place = start;
    const points = clusters.map((cluster, second) => {
      const point = element("bb", whole("b3", second * 1000), element("b7", whole("f7", 1), whole("f1", place)));
      place += cluster.length;
      return point;
    });
    return element("1c53bb6b", ...points);
  };
  const before = about.length + tracks.length + index(0).length;
  const head = element("1a45dfa3", whole("4286", 1), whole("42f7", 1), whole("42f2", 4), whole("42f3", 8), text("4282", "webm"), whole("4287", 4), whole("4285", 2));
  return Buffer.concat([head, element("18538067", about, tracks, index(before), ...clusters)]);
}
