// Uppy 6 through dropslip, with no code of your own: each upload is confirmed by its own last request.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import "@uppy/core/css/style.min.css";
import Dashboard from "@uppy/dashboard";
import "@uppy/dashboard/css/style.min.css";

const box = document.querySelector("#uppy");
const uppy = new Uppy();
uppy.use(Dashboard, { target: box, inline: true });
uppy.use(AwsS3, { companionEndpoint: box.dataset.companionEndpoint, shouldUseMultipart: true });

uppy.on("upload-success", (file, { uploadURL }) => {
  // Where your backend reads the file's record: https://files.example.com/v2/files/42.json
  console.log(file.name, uploadURL);
});
