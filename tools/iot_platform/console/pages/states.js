// States of devices. Each has a shape and its name: none is told by colour alone.

import { el } from "/pages/dom.js";

export const IDENTITIES = ["never registered", "registered", "active"];

const badge = (kind, text) =>
  el("span", { class: `badge ${kind}` }, el("i", { class: "shape", "aria-hidden": "true" }), text);

/** "online" or "offline". */
export const connection = (device) => badge(device.connection, device.connection);

/** How far it has come: "never registered", "registered", "active". */
export const identity = (device) => badge(device.identity.replace(" ", "-"), device.identity);

/** All of a device's states. */
export function states(device) {
  return [
    connection(device),
    identity(device),
    device.disabled && badge("disabled", "disabled"),
    device.faults.length > 0 && badge("faulty", `${device.faults.length} fault switch${
      device.faults.length > 1 ? "es" : ""} on`),
  ];
}

const STEPS = [
  ["added", "Pre-registered", () => true],
  ["registered", "Registered", (d) => d.registrations > 0 || d.activatedAt !== null],
  ["active", "Active", (d) => d.activatedAt !== null],
  ["online", "Online", (d) => d.connection === "online"],
];

/** The way of a device from the list to being online, with where it stands. */
export function steps(device) {
  const done = STEPS.map(([, , holds]) => holds(device));
  const current = done.lastIndexOf(true);
  return el(
    "ol",
    { class: "steps" },
    STEPS.map(([name, text], at) => {
      const state = done[at] ? "done" : "open";
      const reached = name === "registered" && device.registrations === 0 && done[at];
      return el(
        "li",
        { class: state, "data-step": name, "aria-current": at === current ? "step" : null },
        el("i", { class: "shape", "aria-hidden": "true" }),
        el("span", {}, reached ? "Own secret" : text),
        el("span", { class: "hidden" }, done[at] ? " (reached)" : " (not yet)"),
      );
    }),
  );
}

/** The last error with what to do about it; null when there is none, or it is over. */
export function lastError(device) {
  const error = device.lastError;
  if (!error || error.over) return null;
  return [
    el("span", { class: "what" }, error.what),
    error.advice && el("span", { class: "advice" }, error.advice),
  ];
}

export const nameOf = (device) => `${device.productKey}/${device.deviceName}`;

export const linkTo = (names) =>
  `#/device/${encodeURIComponent(names.productKey)}/${encodeURIComponent(names.deviceName)}`;
