// What can be refused before anything is asked. The server judges every file again; this only saves the way there.

/** @import { FileType } from "../clients/js/types/index.js" */

import { size } from "./words.js";

/** Extensions that are shown; there may be many more. */
const SHOWN = 12;

/** @param {string} name */
export function extension(name) {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1).toLowerCase();
}

/**
 * Every extension the rule takes; nothing when it takes others too.
 * @param {FileType} rule
 */
function onlyExtensions(rule) {
  const all = rule.contentTypes.flatMap((allowed) => allowed.extensions);
  return all.includes("*") ? undefined : all;
}

/** @param {string[]} extensions */
function listed(extensions) {
  const shown = extensions.slice(0, SHOWN).map((extension) => `.${extension}`).join(", ");
  return extensions.length > SHOWN ? `${shown} and ${extensions.length - SHOWN} more` : shown;
}

/**
 * The rule in one line.
 * @param {FileType} rule
 */
export function described(rule) {
  const only = onlyExtensions(rule);
  return `${only ? `${listed(only)}, up` : "Up"} to ${size(rule.maxSize)} each.`;
}

/**
 * Why this file cannot be uploaded under this rule; nothing when it may be.
 * @param {FileType} rule
 * @param {{ name: string, size: number }} file
 */
export function refusal(rule, file) {
  const reasons = [];
  const ending = extension(file.name);
  const only = onlyExtensions(rule);
  if (rule.refusedExtensions.includes(ending)) reasons.push(`Files that end in .${ending} are not taken.`);
  else if (only && ending && !only.includes(ending)) reasons.push(`Files that end in .${ending} are not taken here, only ${listed(only)}.`);
  if (file.size > rule.maxSize) reasons.push(`Too large: it has ${size(file.size)}, the limit is ${size(rule.maxSize)}.`);
  if (file.size < rule.minSize) {
    reasons.push(file.size === 0 ? "It is empty." : `Too small: it has ${size(file.size)}, at least ${size(rule.minSize)} are needed.`);
  }
  return reasons.join(" ") || undefined;
}
