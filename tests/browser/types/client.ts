// The types that the client is published with are those of its code, and read well in use.
import type * as published from "../../../clients/js/types/index.js";
import * as real from "../../../clients/js/src/index.js";

export const asPublished: typeof published = real;

export async function use(client: published.Dropslip, input: HTMLInputElement, cancel: AbortController): Promise<number> {
  const [file] = input.files ?? [];
  if (!file) return 0;
  const uploaded = await client.upload(file, {
    type: "image",
    disposition: "attachment-inline",
    sha256: true,
    resume: true,
    signal: cancel.signal,
    onProgress: ({ phase, loaded, total }) => console.log(phase, loaded / total),
  });
  // @ts-expect-error there is no such disposition
  await client.upload(file, { disposition: "inline" });
  // @ts-expect-error a path is no file
  await client.upload("photo.jpg");
  return uploaded.id;
}
