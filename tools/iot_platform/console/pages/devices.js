// The list of devices.

import { get, post } from "/pages/api.js";
import { el, fill, fillOnChange, note, rows, time } from "/pages/dom.js";
import { dialog, field, select } from "/pages/forms.js";
import { lastError, linkTo, nameOf, states } from "/pages/states.js";

const LIMIT = 50;
const STATES = [
  ["", "any state"],
  ["connection=online", "online"],
  ["connection=offline", "offline"],
  ["identity=never registered", "never registered"],
  ["identity=registered", "registered"],
  ["identity=active", "active"],
  ["disabled=true", "disabled"],
  ["failing=true", "with an error"],
];
const MOST_CSV = 1000000;

/** Shows the list; query: of the address, what the list is narrowed to. */
export function devicesView(root, query) {
  let offset = 0;
  const search = el("input", { type: "search", placeholder: "DeviceName", "aria-label": "Search" });
  const product = select([["", "all products"]], { "aria-label": "Product" });
  const state = select(STATES, { "aria-label": "State" });
  const under = el("p", { class: "chips" });
  const body = el("tbody");
  const place = el("p", { class: "quiet", role: "status" });
  const empty = el("div", { class: "empty" });
  const pages = el("div", { class: "pager" });

  root.append(
    el("div", { class: "headline" },
      el("h2", { tabindex: "-1" }, "Devices"),
      el("div", { class: "actions" },
        el("button", { type: "button", onclick: () => importDialog(product.value) }, "Import CSV"),
        el("button", { class: "main", type: "button", onclick: () => addDialog(product.value) },
          "Add device"))),
    el("div", { class: "filters", role: "search" }, search, product, state),
    under,
    el("div", { class: "tablebox" },
      el("table", { class: "devices" },
        el("thead", {}, el("tr", {},
          ["Device", "State", "Last address", "Last error, and what to do"].map((text) =>
            el("th", { scope: "col" }, text)))),
        body),
      empty),
    pages,
  );

  let gateway = "";
  let newest = 0;

  function wanted() {
    const [name, value] = state.value.split("=");
    return {
      product: product.value,
      search: search.value.trim(),
      gateway,
      ...(name ? { [name]: value } : {}),
    };
  }

  async function refresh() {
    newest += 1;
    const mine = newest;
    await listProducts();
    const page = await get(["devices"], { ...wanted(), offset, limit: LIMIT });
    if (mine !== newest) return; // a later answer counts
    if (page.total > 0 && offset >= page.total) {
      offset = Math.floor((page.total - 1) / LIMIT) * LIMIT;
      await refresh();
      return;
    }
    rows(body, page.items, nameOf, row);
    body.parentElement.hidden = page.total === 0;
    fillOnChange(empty, [page.total === 0, wanted(), product.options.length], () =>
      page.total === 0 && nothing());
    showPages(page);
  }

  function nothing() {
    const narrowed = Object.values(wanted()).some((value) => value);
    if (narrowed) return el("p", {}, "No device is like that.");
    if (product.options.length === 1) {
      return [
        el("p", {}, "No product yet. A product holds the secret that its boards register with."),
        el("p", {}, el("a", { class: "button main", href: "#/products" }, "Add a product")),
      ];
    }
    return el("p", {}, "No device yet. Add one by its DeviceName: for this package's boards the"
      + " MAC address in lower-case hex, such as 246f28aabbcc.");
  }

  function showPages(page) {
    const last = Math.min(page.offset + page.items.length, page.total);
    const text = page.total > LIMIT
      ? `${page.offset + 1}–${last} of ${page.total.toLocaleString()}`
      : `${page.total} device${page.total === 1 ? "" : "s"}`;
    place.textContent = page.total ? text : "";
    const turn = (by, name) => el("button", {
      type: "button",
      "data-focus": name,
      disabled: by < 0 ? page.offset === 0 : last >= page.total,
      onclick: () => {
        offset = Math.max(0, offset + by);
        refresh();
      },
    }, name);
    fillOnChange(pages, [page.offset, page.total], () => [place, page.total > LIMIT
      && el("div", { class: "actions" }, turn(-LIMIT, "Previous"), turn(LIMIT, "Next"))]);
  }

  async function listProducts() {
    const found = await get(["products"], { limit: 200 });
    const options = [["", "all products"],
      ...found.items.map((item) => [item.productKey, item.productKey])];
    const chosen = product.value || query.get("product") || "";
    if (JSON.stringify(options.map(([value]) => value))
      !== JSON.stringify([...product.options].map((option) => option.value))) {
      product.replaceChildren(...select(options).childNodes);
      product.value = options.some(([value]) => value === chosen) ? chosen : "";
    }
  }

  function again() {
    offset = 0;
    refresh().catch((error) => note(error.message, true));
  }

  function go(next) {
    query = next;
    gateway = query.get("gateway") ?? "";
    product.value = query.get("product") ?? "";
    fill(under, gateway && ["sub-devices of ", el("b", {}, gateway), " ",
      el("a", { href: "#/devices" }, "show all")]);
    again();
  }

  let timer;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(again, 200);
  });
  product.addEventListener("change", () => {
    query = new URLSearchParams();
    again();
  });
  state.addEventListener("change", again);
  go(query);
  return { refresh, go };
}

function row(device) {
  const error = lastError(device);
  return el("tr", {},
    el("th", { scope: "row", "data-label": "Device" },
      el("a", { href: linkTo(device), "data-focus": nameOf(device) }, device.deviceName),
      el("span", { class: "quiet small" }, device.productKey,
        device.gateway && ` under ${device.gateway.deviceName}`)),
    el("td", { "data-label": "State" }, el("div", { class: "badges" }, states(device))),
    el("td", { "data-label": "Last address" }, device.lastAddress
      ? [el("span", { class: "address" }, device.lastAddress),
        el("span", { class: "quiet small" }, time(device.lastSeenAt))]
      : el("span", { class: "quiet" }, "–")),
    el("td", { "data-label": "Last error", class: error ? "failing" : "" },
      error ?? el("span", { class: "quiet" }, "–")),
  );
}

async function productSelect(chosen) {
  const found = await get(["products"], { limit: 200 });
  return select(found.items.map((item) => item.productKey), { required: true },
    chosen || found.items[0]?.productKey);
}

async function addDialog(chosen) {
  const product = await productSelect(chosen);
  const name = el("input", { autocomplete: "off", spellcheck: "false", maxlength: 32,
    autofocus: true });
  const own = el("input", { type: "password", autocomplete: "new-password", maxlength: 64 });
  dialog("Add a device", "Add", async () => {
    await post(["devices"], {
      productKey: product.value,
      deviceName: name.value.trim(),
      deviceSecret: own.value || null,
    });
    note(`${product.value}/${name.value.trim()} is pre-registered`);
    document.dispatchEvent(new Event("changed"));
  },
  field("productKey", "Product", product),
  field("deviceName", "DeviceName", name, "4 to 32 letters, digits or - _ @ . :"),
  el("details", {}, el("summary", {}, "It has a DeviceSecret of its own"),
    field("deviceSecret", "DeviceSecret", own, "Empty: one is made up.")));
}

async function importDialog(chosen) {
  const product = await productSelect(chosen);
  const file = el("input", { type: "file", accept: ".csv,text/csv" });
  const text = el("textarea", { rows: 6, spellcheck: "false",
    placeholder: "DeviceName,Nickname\n246f28aabbcc,\n246f28aabbcd," });
  file.addEventListener("change", async () => {
    if (!file.files[0]) return;
    if (file.files[0].size > MOST_CSV) {
      note("The file is longer than 1 MB: split it.", true);
      return;
    }
    text.value = await file.files[0].text();
  });
  dialog("Import devices", "Import", async () => {
    const made = await post(["devices", "import"], {
      productKey: product.value,
      csv: text.value,
    });
    note(`${made.added} devices added${
      made.thereAlready ? `, ${made.thereAlready} were there already` : ""}`);
    document.dispatchEvent(new Event("changed"));
  },
  field("productKey", "Product", product),
  field("file", "File", file),
  field("csv", "List", text, "First row: DeviceName; other columns are ignored. All are added or none."));
}
