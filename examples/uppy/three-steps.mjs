// Uppy 6 and dropslip's three steps by Uppy's own hooks: for pages that have an access token of their own, or a backend
// that passes steps 1 and 3 on.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import "@uppy/core/css/style.min.css";
import Dashboard from "@uppy/dashboard";
import "@uppy/dashboard/css/style.min.css";

const box = document.querySelector("#uppy");
const { broker, token, type } = box.dataset;

async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const answer = await fetch(broker + path, { method, headers, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (answer.ok) return said;
  throw new Error(Object.entries(said.errors).map(([field, messages]) => `${field} ${messages.join(", ")}`).join("; "));
}

const slips = new Map(); // by Uppy's id of the file
const uppy = new Uppy();
uppy.use(Dashboard, { target: box, inline: true });
uppy.use(AwsS3, {
  shouldUseMultipart: false, // this hook would have to sign S3's own multipart requests, which no slip allows
  generateObjectKey: (file) => file.id, // only a name for signRequest: dropslip chooses the key
  async signRequest({ key: id }) {
    const file = uppy.getFile(id);
    const wish = { type, filename: file.name, mimeType: file.type ?? "", size: file.size };
    const slip = await ask("POST", "/v2/files/ref.json", wish);
    slips.set(id, slip);
    return { url: slip.url, fields: slip.params };
  },
});

uppy.addPostProcessor(async (ids) => {
  for (const file of uppy.getFilesByIds(ids)) {
    if (file.error || !slips.has(file.id)) continue;
    try {
      const confirmed = await ask("PATCH", `/v2/files/${slips.get(file.id).file.id}.json`);
      console.log(confirmed.file.filename, confirmed.file.id);
    } catch (error) {
      uppy.emit("upload-error", file, error);
    }
  }
});
