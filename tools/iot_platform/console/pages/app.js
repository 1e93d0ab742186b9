// The page: which view is shown, and what becomes of news.

import { get } from "/pages/api.js";
import { devicesView } from "/pages/devices.js";
import { deviceView } from "/pages/device.js";
import { el, fill } from "/pages/dom.js";
import { productsView } from "/pages/products.js";
import { listen } from "/pages/stream.js";
import { trafficPanel } from "/pages/traffic.js";

const main = document.querySelector("#main");
const traffic = trafficPanel(document.querySelector("#traffic"));
let view = null;
const titles = { products: "Products", traffic: "Traffic" };

/** "#/devices?product=a1" -> {name, parts, query}. */
function route() {
  const [path, query] = (location.hash.replace(/^#\/?/, "") || "devices").split("?");
  const parts = path.split("/").map(decodeURIComponent);
  return { name: parts[0], parts: parts.slice(1), query: new URLSearchParams(query ?? "") };
}

function show(first) {
  const { name, parts, query } = route();
  if (name === "main") return; // the skip link
  if (view?.name === name && name === "devices") {
    view.go(query);
    return;
  }
  document.body.dataset.view = name;
  const title = name === "device" ? parts[1] : titles[name] ?? "Devices";
  document.title = `${title} – Local IoT Platform`;
  for (const link of document.querySelectorAll("header nav a")) {
    const here = link.dataset.view === name || (name === "device" && link.dataset.view === "devices");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const shown = el("div", { class: "view" });
  if (name === "products") view = productsView(shown);
  else if (name === "device") view = deviceView(shown, ...parts);
  else if (name === "traffic") view = null;
  else view = devicesView(shown, query);
  main.replaceChildren(shown);
  if (view) view.name = name;
  traffic.follow(name === "device" ? parts.join("/") : query.get("device") ?? "");
  if (!first) {
    (name === "traffic" ? document.querySelector("#traffic") : main).querySelector("h2")?.focus();
  }
}

// Not more than one refresh under way, and a pause after each, however much happens.

function coalesced(work, pause) {
  let wanted = false;
  let busy = false;
  return async function run() {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      await work().catch(() => {});
      await new Promise((done) => setTimeout(done, pause));
    }
    busy = false;
  };
}

const summarise = coalesced(async () => {
  const { counts } = await get(["status"]);
  const parts = [
    `${counts.products.toLocaleString()} product${counts.products === 1 ? "" : "s"}`,
    `${counts.devices.toLocaleString()} device${counts.devices === 1 ? "" : "s"}`,
    `${counts.online.toLocaleString()} online`,
  ];
  if (counts.failing) parts.push(`${counts.failing.toLocaleString()} failing`);
  fill(document.querySelector("#summary"), parts.join(" · "));
}, 800);

const refresh = coalesced(async () => view?.refresh(), 400);

document.addEventListener("changed", () => {
  refresh();
  summarise();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("main input[type=search]");
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

document.querySelector("#skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

addEventListener("hashchange", () => show(false));
show(true);
summarise();
listen({
  news(value) {
    traffic.news(value);
    const touched = value.skipped > 0 || view?.touched?.(value) !== false;
    if (touched) refresh();
    summarise();
  },
  restarted() {
    traffic.reload();
    refresh();
    summarise();
  },
  state(text, good) {
    const place = document.querySelector("#live");
    place.className = good ? "good" : "bad";
    fill(place, el("i", { class: "shape", "aria-hidden": "true" }), text);
  },
});
