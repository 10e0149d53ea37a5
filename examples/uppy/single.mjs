// Uppy 6 through dropslip, small files in one request each: the page confirms them, because Uppy does not.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import "@uppy/core/css/style.min.css";
import Dashboard from "@uppy/dashboard";
import "@uppy/dashboard/css/style.min.css";

const box = document.querySelector("#uppy");
const { companionEndpoint } = box.dataset;
const uppy = new Uppy();
uppy.use(Dashboard, { target: box, inline: true });
uppy.use(AwsS3, { companionEndpoint });

// With the size declared, a file that is too large is refused before any byte moves.
uppy.on("file-added", (file) => uppy.setFileMeta(file.id, { size: file.size }));

uppy.addPostProcessor(async (ids) => {
  for (const file of uppy.getFilesByIds(ids)) {
    if (file.error || !file.response) continue;
    const { key } = file.response.body;
    try {
      const answer = await fetch(`${companionEndpoint}/s3/confirm?${new URLSearchParams({ key })}`, { method: "POST" });
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.message);
      console.log(file.name, said.location);
    } catch (error) {
      uppy.emit("upload-error", file, error);
    }
  }
});
