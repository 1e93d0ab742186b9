// Traffic as it happens: a list that is never longer than MOST, filtered by device and kind.

import { get, post } from "/pages/api.js";
import { el, fill, note, time } from "/pages/dom.js";
import { action, select } from "/pages/forms.js";
import { linkTo } from "/pages/states.js";

const PAGE = 50;
const MOST = 300;

/** The panel in `root`. */
export function trafficPanel(root) {
  let followed = "";
  let paused = false;
  let missed = 0;
  let newest = 0;
  let more = false;
  const device = el("input", { type: "search", placeholder: "any device: ProductKey/DeviceName", class: "whole",
    "aria-label": "Device", spellcheck: "false", autocomplete: "off" });
  const group = select([["", "everything"], ["registrations", "registrations"],
    ["connections", "connections"], ["messages", "messages"], ["operator", "operator, faults"]],
  { "aria-label": "Kind" });
  const refused = el("input", { type: "checkbox", id: "refused" });
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const list = el("ol", { class: "entries", "aria-label": "Events, newest first" });
  const status = el("p", { class: "quiet small", role: "status" });
  const older = el("button", { type: "button", hidden: true }, "Older");

  root.append(
    el("div", { class: "headline" },
      el("h2", { tabindex: "-1" }, "Traffic"), pause),
    el("div", { class: "filters" }, device, group,
      el("span", { class: "check" }, refused, el("label", { for: "refused" }, "refused only"))),
    status, list, older,
  );

  const wanted = () => ({
    device: followed,
    group: group.value,
    refused: refused.checked ? "true" : "",
  });

  function fits(entry) {
    return (!followed || `${entry.productKey}/${entry.deviceName}` === followed)
      && (!group.value || entry.group === group.value)
      && (!refused.checked || entry.refused);
  }

  async function reload() {
    newest += 1;
    const mine = newest;
    const page = await get(["events"], { ...wanted(), limit: PAGE });
    if (mine !== newest) return;
    list.replaceChildren(...page.items.map(row));
    more = page.more;
    missed = 0;
    say();
  }

  const load = () => reload().catch((error) => note(error.message, true));

  function say() {
    const parts = [];
    if (paused) parts.push(`paused${missed ? `, ${missed} since` : ""}`);
    if (!list.children.length) parts.push(followed ? "nothing of this device yet" : "nothing yet");
    fill(status, parts.join(" · "));
    older.hidden = !more || list.children.length >= MOST;
  }

  older.addEventListener("click", async () => {
    const last = list.lastElementChild;
    if (!last) return;
    try {
      const page = await get(["events"], { ...wanted(), before: last.dataset.number, limit: PAGE });
      list.append(...page.items.map(row));
      more = page.more;
      say();
      last.nextElementSibling?.querySelector("summary, a")?.focus();
    } catch (error) {
      note(error.message, true);
    }
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) say();
    else load();
  });
  device.addEventListener("change", () => {
    followed = device.value.trim();
    load();
  });
  device.addEventListener("search", () => device.dispatchEvent(new Event("change")));
  group.addEventListener("change", load);
  refused.addEventListener("change", load);

  return {
    /** Narrows the list to a device, "PK/DN", or to none, "". */
    follow(name) {
      followed = name;
      device.value = name;
      load();
    },
    reload: load,
    /** Takes what the stream tells. */
    news(value) {
      const fresh = value.entries.filter(fits);
      if (paused) {
        missed += fresh.length + value.skipped;
        say();
        return;
      }
      if (value.skipped && (followed || group.value || refused.checked)) {
        load(); // what was left out may be what is looked for
        return;
      }
      const known = Number(list.firstElementChild?.dataset.number ?? 0);
      const added = fresh.filter((entry) => entry.number > known).map(row);
      if (value.skipped) added.unshift(gap(value.skipped));
      list.prepend(...added.reverse());
      while (list.children.length > MOST) {
        list.lastElementChild.remove();
        more = true;
      }
      if (added.length) say();
    },
  };
}

const gap = (count) => el("li", { class: "entry gap", "data-number": 0 },
  `${count.toLocaleString()} more in between`);

function row(entry) {
  const [arrow, text] = describe(entry);
  const props = {
    class: `entry ${entry.kind}${entry.refused ? " refused" : ""}`,
    "data-number": entry.number,
  };
  return el("li", props,
    time(entry.at),
    el("div", { class: "said" },
      el("p", {},
        el("span", { class: "arrow", "aria-hidden": "true" }, arrow),
        el("b", { class: "kind" }, entry.refused ? `${entry.kind} ✕` : entry.kind,
          entry.refused && el("span", { class: "hidden" }, " refused")),
        " ",
        el("span", { class: "text", title: text }, short(text, entry))),
      entry.productKey && el("p", { class: "of" }, entry.deviceName
        ? el("a", { href: linkTo(entry) }, `${entry.productKey}/${entry.deviceName}`)
        : entry.productKey),
      entry.advice && el("p", { class: "advice" }, entry.advice),
      unknown(entry) && action("Add it", async () => {
        const names = { productKey: entry.productKey, deviceName: entry.deviceName };
        await post(["devices"], names);
        note(`${entry.productKey}/${entry.deviceName} is pre-registered`);
        document.dispatchEvent(new Event("changed"));
      }, { class: "little" }),
      entry.payload && payload(entry.payload)));
}

// A device's names in its own topics are a long way to say nothing: they stand below anyway.
const short = (text, entry) => (entry.deviceName
  ? String(text).replaceAll(`/${entry.productKey}/${entry.deviceName}/`, "/…/") : text);

// A device that was refused since nobody pre-registered it.
const unknown = ({ productKey, deviceName, details, refused }) => refused && productKey && deviceName
  && (details.reason === "not pre-registered" || details.reason === "device unknown");

function payload(value) {
  const text = value.text ?? value.hex;
  const size = `${value.size.toLocaleString()} byte${value.size === 1 ? "" : "s"}${
    value.text === undefined ? ", hex" : ""}${value.cut ? ", the beginning" : ""}`;
  if (value.size === 0) return el("p", { class: "payload quiet" }, "no payload");
  if (text.length <= 90 && !text.includes("\n")) {
    return el("p", { class: "payload", title: size }, text);
  }
  return el("details", { class: "payload" },
    el("summary", {}, el("span", { class: "start" }, text.slice(0, 90)), " ",
      el("span", { class: "quiet" }, size)),
    el("pre", {}, text));
}

/** An arrow (to the platform, to the device, neither) and what happened, in words. */
function describe({ kind, code, details, refused }) {
  const reason = details.reason ? `: ${details.reason}` : "";
  switch (kind) {
    case "register":
      return ["↑", refused ? `${code}${reason}` : `registered by ${details.via}${
        details.answered === false ? ", answer lost" : ""}`];
    case "bootstrap":
      return ["↑", `${code}${reason}`];
    case "connect":
      if (!refused) return ["↑", `connected${details.tls ? ` over ${details.tls}` : ""}`];
      return ["↑", `${code === 256 ? "closed without CONNACK" : `CONNACK ${code}`}${reason}`];
    case "activate":
      return ["•", "active: its first connection"];
    case "disconnect":
      return ["•", details.reason ?? "disconnected"];
    case "online":
      return ["↑", `logged in by ${details.gateway}`];
    case "offline":
      return ["•", `offline${reason}`];
    case "publish":
      return ["↑", `${details.topic}${refused ? ` ${code}${reason}` : ""}`];
    case "deliver":
      return ["↓", details.topic];
    case "undelivered":
      return ["↓", `${details.topic}${reason}`];
    case "subscribe":
    case "unsubscribe":
      return ["↑", (details.topics ?? []).join(" ")];
    case "request":
      return ["↑", `${details.topic} ${code}${reason}`];
    case "tls-failed":
      return ["↑", `${details.port} from ${details.peer}${reason}`];
    case "notice":
      return ["↓", `${code} ${details.message ?? ""}`];
    case "admin":
    case "fault":
      return ["•", details.what ?? ""];
    default:
      return ["•", Object.entries(details).map(([name, value]) => `${name} ${value}`).join(", ")];
  }
}
