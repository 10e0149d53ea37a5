// Uploads a File or Blob through dropslip, in a page: const file = await upload(server, token, input.files[0]);
const TRIES = 4;
const PASSING = [408, 429, 500, 502, 503, 504];

// The broker or the store said no; the same request would be refused again.
// `fields` is what the broker complains of: {"filename": ["must not end in ‘.exe’"]}
export class Refused extends Error {
  constructor(status, said, fields = {}) {
    super(`${status}: ${said}`);
    Object.assign(this, { status, fields });
  }
}

const pause = (attempt, answer) => {
  const seconds = Number(answer?.headers.get("Retry-After")) || attempt;
  return new Promise((done) => setTimeout(done, 1000 * Math.min(seconds, 60)));
};

// Ends a request after some seconds, or when the caller's own signal says so.
async function withTimeout(seconds, signal, work) {
  const ending = new AbortController();
  const end = () => ending.abort(signal.reason);
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end);
  const timer = setTimeout(() => ending.abort(new DOMException("no answer in time", "TimeoutError")), seconds * 1000);
  try {
    return await work(ending.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

// One request that is answered, or undefined for a lost connection, a missed time, or an answer that CORS hides.
async function request(url, init, seconds, signal) {
  try {
    return await withTimeout(seconds, signal, async (ending) => {
      const answer = await fetch(url, { ...init, credentials: "omit", redirect: "error", signal: ending });
      return { status: answer.status, headers: answer.headers, text: await answer.text() };
    });
  } catch (lost) {
    if (signal?.aborted) throw lost;
    return undefined;
  }
}

// Steps 1 and 3: JSON, with the token.
async function ask({ server, token, signal }, method, path, { body, headers, seconds = 30 } = {}) {
  for (let attempt = 1; ; attempt++) {
    const answer = await request(server + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
      body: body && JSON.stringify(body),
    }, seconds, signal);
    if (attempt < TRIES && (!answer || PASSING.includes(answer.status))) {
      await pause(attempt, answer);
      continue;
    }
    if (!answer) throw new Refused(0, "no answer from the broker; its log and DROPSLIP_CORS_ORIGINS may say why");
    let said;
    try {
      said = JSON.parse(answer.text);
    } catch {
      throw new Refused(answer.status, "the broker's answer is no JSON");
    }
    if (answer.status === 200 || answer.status === 201) return said;
    const complaints = Object.entries(said.errors).map(([field, why]) => `${field} ${why.join(", ")}`);
    throw new Refused(answer.status, complaints.join("; "), said.errors);
  }
}

// Step 2: as the slip says, without the token. The browser reads the file while it sends it.
function send(slip, file, signal) {
  const method = slip.method ?? "POST";
  const seconds = 60 + file.size / 10_000; // gives up on what is slower than 10 kB a second
  if (method === "POST") {
    const form = new FormData();
    for (const [name, value] of Object.entries(slip.params)) form.append(name, value);
    form.append("file", file, "file"); // last: stores ignore what comes after it
    return request(slip.url, { method, body: form }, seconds, signal);
  }
  if (method === "PUT") return request(slip.url, { method, headers: slip.headers, body: file }, seconds, signal);
  throw new Refused(method, "this script sends a file in one request");
}

/** All three steps; gives the active file. `name` is for a Blob, which has none. */
export async function upload(server, token, file, { name = file.name, type = "attachment", disposition = "attachment", signal } = {}) {
  const broker = { server, token, signal };
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  let slip = await ask(broker, "POST", "/v2/files/ref.json", {
    body: { type, filename: name, mimeType: file.type, size: file.size, disposition },
    headers: { "Idempotency-Key": key }, // a repeated step 1 answers the same file
  });
  const { id } = slip.file;
  for (let attempt = 1; ; attempt++) {
    const answer = await send(slip, file, signal);
    // 412: an earlier try of this PUT did arrive. No answer: step 3 tells whether the bytes are there.
    if (!answer || [200, 201, 204].includes(answer.status) || (answer.status === 412 && slip.method === "PUT")) {
      try {
        // Sealing a large file is a copy inside the store, so this may take minutes.
        return (await ask(broker, "PATCH", `/v2/files/${id}.json`, { seconds: 330 })).file;
      } catch (refusal) {
        if (refusal.status !== 409 || attempt === TRIES) throw refusal; // 409: nothing there yet
      }
    } else {
      const expired = answer.status === 403;
      if (attempt === TRIES || !(expired || [...PASSING, 409].includes(answer.status))) throw new Refused(answer.status, answer.text.slice(0, 2000));
      if (expired) slip = await ask(broker, "POST", `/v2/files/${id}/ref.json`);
    }
    await pause(attempt, answer);
  }
}
