// Debian's Node 18 keeps WebCrypto behind a flag; the client is for Node 20, which has it.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
