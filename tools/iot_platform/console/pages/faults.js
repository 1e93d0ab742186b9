// The fault switches of a device.

import { post } from "/pages/api.js";
import { el, fill, note } from "/pages/dom.js";
import { field, select, toggle } from "/pages/forms.js";

const FAULTS = [
  {
    fault: "lost",
    name: "Answer lost",
    about: "The next registration takes effect and its answer is lost; so is a reply over MQTT.",
  },
  {
    fault: "slow",
    name: "Slow answers",
    about: "Registration, CONNACK and replies come late.",
    fields: () => ({ seconds: ["Seconds late", amount("10")] }),
  },
  {
    fault: "certificate",
    name: "Wrong certificate",
    about: "The next TLS connection from this address is shown a certificate to refuse.",
    fields: () => ({
      address: ["From IP address", el("input", { placeholder: "its last one", size: 14 })],
      problem: ["What is wrong", select([
        ["other-ca", "another CA of the same name"],
        ["self-signed", "self-signed"],
        ["expired", "expired"],
        ["not-yet-valid", "not yet valid"],
        ["wrong-host", "names another host"],
      ], {}, "other-ca")],
    }),
  },
  {
    fault: "refuse",
    name: "Refuse",
    about: "Registrations and connects are refused: the platform is busy, or by a code.",
    fields: () => ({
      code: ["With code", select([
        ["", "busy: 500, CONNACK 3"],
        ["429", "registration: 429 too many requests"],
        ["6100", "registration: 6100 device not found"],
        ["6288", "registration: 6288 switched off"],
        ["6289", "registration: 6289 already active"],
        ["6600", "registration: 6600 wrong secret"],
        ["3", "connect: CONNACK 3"],
        ["4", "connect: CONNACK 4"],
        ["5", "connect: CONNACK 5"],
        ["256", "connect: closed, no CONNACK"],
      ], {}, "")],
    }),
  },
  {
    fault: "disconnect",
    name: "Disconnect",
    about: "Its connection is closed: now if it is online, and after its next connects.",
    fields: () => ({ seconds: ["Seconds after a connect", amount("0")] }),
  },
];

const amount = (value) => el("input", { type: "number", min: 0, max: 120, step: "any", value });

/** The section; show(device) brings its switches up to date. */
export function faultsSection(path) {
  const changed = () => document.dispatchEvent(new Event("changed"));
  const shown = FAULTS.map((kind) => {
    const given = kind.fields?.() ?? {};
    const times = select([["1", "once"], ["3", "3 times"], ["", "until switched off"]], {}, "1");
    const state = el("span", { class: "quiet small" });
    const button = toggle(kind.name, false, async (on) => {
      if (on) {
        const body = { fault: kind.fault, times: times.value ? Number(times.value) : null };
        for (const [name, [, control]] of Object.entries(given)) {
          if (control.value === "") continue;
          const number = name === "seconds" || name === "code";
          body[name] = number ? Number(control.value) : control.value;
        }
        const now = await post([...path, "faults"], body);
        if (!now.items.some((item) => item.fault === kind.fault)) note(`${kind.name}: done`);
        show({ faults: now.items });
      } else {
        show({ faults: (await post([...path, "faults", "clear"], { fault: kind.fault })).items });
      }
      changed();
    });
    const row = el("li", { "data-fault": kind.fault },
      el("div", { class: "faulthead" },
        el("div", {}, el("b", {}, kind.name), " ", state,
          el("p", { class: "hint" }, kind.about)),
        button),
      el("div", { class: "row" },
        Object.entries(given).map(([name, [label, control]]) => field(name, label, control)),
        field("times", "How often", times)));
    return { kind, button, state, row };
  });

  function show(device) {
    for (const { kind, button, state } of shown) {
      const on = device.faults.find((item) => item.fault === kind.fault);
      button.setAttribute("aria-checked", String(on !== undefined));
      button.lastChild.textContent = on ? "on" : "off";
      fill(state, on && words(on));
    }
  }

  return {
    section: el("section", { class: "card wide" },
      el("h3", {}, "Faults for it to meet"),
      el("ul", { class: "faults" }, shown.map((entry) => entry.row))),
    show,
  };
}

function words(fault) {
  const parts = [fault.times === null ? "until switched off"
    : fault.times === 1 ? "once" : `${fault.times} times`];
  for (const name of ["seconds", "code", "address", "problem"]) {
    if (fault[name] !== undefined && fault[name] !== null) parts.push(`${name} ${fault[name]}`);
  }
  return parts.join(", ");
}
