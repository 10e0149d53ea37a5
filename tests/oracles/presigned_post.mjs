// What the AWS SDK for JavaScript makes of the same form. The lines are those of boto3_post.py; two things differ in the
// answers, because the SDK writes them so: the field names ("Policy", "X-Amz-Signature", ...) and the policy's own
// conditions for them.

// Nothing of the person's own AWS set-up may change an answer; so this runs before the SDK is loaded.
for (const name of Object.keys(process.env).filter((name) => name.startsWith("AWS_"))) delete process.env[name];
process.env.AWS_CONFIG_FILE = process.env.AWS_SHARED_CREDENTIALS_FILE = "/dev/null";

const { S3Client } = await import("@aws-sdk/client-s3");
const { createPresignedPost } = await import("@aws-sdk/s3-presigned-post");
const { SignatureV4 } = await import("@smithy/signature-v4");

function credentials(request) {
  if (!request.access_key || !request.secret_key) throw new Error("access_key and secret_key are needed");
  return {
    accessKeyId: request.access_key,
    secretAccessKey: request.secret_key,
    sessionToken: request.session_token ?? undefined,
  };
}

function moment(request) {
  const now = Date.parse(request.now);
  if (Number.isNaN(now)) throw new Error(`now is not a time: ${request.now}`);
  return now;
}

async function form(request) {
  const now = moment(request);
  const client = new S3Client({ region: request.region, credentials: credentials(request) });
  const realNow = Date.now;
  Date.now = () => now; // the only clock that createPresignedPost reads
  try {
    const { url, fields } = await createPresignedPost(client, {
      Bucket: request.bucket,
      Key: request.key,
      Fields: request.fields,
      Conditions: request.conditions,
      Expires: request.expires_in,
    });
    return { fields, policy_json: JSON.parse(Buffer.from(fields.Policy, "base64").toString()), url };
  } finally {
    Date.now = realNow;
  }
}

async function signature(request) {
  const sha256 = new S3Client({ region: request.region, credentials: credentials(request) }).config.sha256;
  const signer = new SignatureV4({ service: "s3", region: request.region, credentials: credentials(request), sha256 });
  return { signature: await signer.sign(request.policy_b64, { signingDate: new Date(moment(request)) }) };
}

// Not node:readline, which also ends a line at U+2028, a character that a JSON string may hold.
async function* linesOf(stream) {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    yield* lines;
  }
  if (rest !== "") yield rest;
}

let number = 0;
for await (const line of linesOf(process.stdin)) {
  number += 1;
  try {
    const request = JSON.parse(line);
    const answer = "policy_b64" in request ? await signature(request) : await form(request);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  } catch (error) {
    console.error(`presigned_post.mjs: line ${number}: ${error}`);
    process.exitCode = 1; // and not exit(): what was written so far must still get out
    break;
  }
}
