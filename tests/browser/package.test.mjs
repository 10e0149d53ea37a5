// The client as it would be published: what is in the package, that it can be installed and imported, and that its types are true.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../..");
const clientFolder = join(root, "clients/js");
const run = (command, args, cwd) => execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const tsc = (cwd, ...args) => run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), ...args], cwd);

test("client and page pass the type checker", () => {
  for (const project of ["client", "page"]) tsc(here, "-p", `types/${project}.tsconfig.json`);
});

test("the package holds what it needs and nothing else, and works where it is installed", () => {
  const folder = mkdtempSync(join(tmpdir(), "dropslip-package-"));
  try {
    const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder], clientFolder));
    const sources = readdirSync(join(clientFolder, "src")).map((name) => `src/${name}`);
    const expected = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json", ...sources, "types/index.d.ts"];
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), expected.sort());
    assert.ok(packed.unpackedSize < 100_000, `${packed.unpackedSize} bytes`);

    writeFileSync(join(folder, "package.json"), '{"private": true, "type": "module"}');
    run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", join(folder, packed.filename)], folder);
    assert.deepEqual(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith(".")), ["dropslip"]);
    const script = 'import { Dropslip } from "dropslip"; console.log(new Dropslip({ server: "https://files.example.com/a/" }).server);';
    assert.equal(run(process.execPath, ["--input-type=module", "-e", script], folder), "https://files.example.com/a\n");

    const program = 'import { Dropslip, type FileObject } from "dropslip";\nexport const up = (file: File): Promise<FileObject> => new Dropslip({ server: "/" }).upload(file);\n';
    writeFileSync(join(folder, "use.ts"), program);
    tsc(folder, "--strict", "--noEmit", "--module", "NodeNext", "--target", "ES2022", "--lib", "ES2022,DOM", "use.ts");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the package has the project's version and licences", () => {
  const { version, license, dependencies } = JSON.parse(readFileSync(join(clientFolder, "package.json"), "utf8"));
  const cargo = readFileSync(join(root, "Cargo.toml"), "utf8");
  assert.equal(version, /^version = "(.*)"$/m.exec(cargo)[1]);
  assert.equal(license, /^license = "(.*)"$/m.exec(cargo)[1]);
  assert.equal(dependencies, undefined);
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) {
    assert.equal(readFileSync(join(clientFolder, name), "utf8"), readFileSync(join(root, name), "utf8"));
  }
});
