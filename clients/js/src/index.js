// The client of a dropslip broker: an ES module without dependencies, for browsers and for Node.
export { Dropslip } from "./client.js";
export { DropslipError } from "./errors.js";
