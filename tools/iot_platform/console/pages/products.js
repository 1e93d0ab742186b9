// Products: the secret their boards register with, and the switch that lets them.

import { get, post } from "/pages/api.js";
import { el, fill, fillOnChange, note, rows } from "/pages/dom.js";
import { check, dialog, field, secret, select, toggle } from "/pages/forms.js";

const changed = () => document.dispatchEvent(new Event("changed"));
const LIMIT = 50;

/** Shows the list. */
export function productsView(root) {
  const list = el("ul", { class: "products" });
  const empty = el("div", { class: "empty" });
  const pages = el("div", { class: "pager" });
  let offset = 0;
  root.append(
    el("div", { class: "headline" },
      el("h2", { tabindex: "-1" }, "Products"),
      el("button", { class: "main", type: "button", onclick: addDialog }, "Add product")),
    list,
    empty,
    pages,
  );

  async function refresh() {
    const page = await get(["products"], { offset, limit: LIMIT });
    rows(list, page.items, (item) => item.productKey, card);
    fill(empty, page.total === 0
      ? el("p", {}, "No product yet. Add one, with the ProductKey and ProductSecret of your"
        + " board's product.json or with new ones.")
      : null);
    const turn = (by, name, off) => el("button", { type: "button", "data-focus": name, disabled: off,
      onclick: () => {
        offset += by;
        refresh();
      } }, name);
    fillOnChange(pages, [offset, page.total], () => page.total > LIMIT && [
      el("p", { class: "quiet" }, `${offset + 1}–${offset + page.items.length} of ${page.total}`),
      el("div", { class: "actions" },
        turn(-LIMIT, "Previous", offset === 0),
        turn(LIMIT, "Next", offset + LIMIT >= page.total)),
    ]);
  }

  refresh().catch((error) => note(error.message, true));
  return { refresh, touched: (value) => value.entries.some((e) => e.kind === "admin"
    || e.kind === "register") };
}

function card(product) {
  const key = product.productKey;
  const content = el("pre");
  const file = el("div", { class: "file", hidden: true },
    el("p", { class: "hint" }, "product.json for its boards:"), content);
  return el("li", { class: "card" },
    el("div", { class: "headline" },
      el("h3", {}, key, el("span", { class: "quiet small" },
        product.nodeType === "gateway" ? "gateway" : "device")),
      el("a", { href: `#/devices?product=${encodeURIComponent(key)}`, "data-focus": `devices ${key}` },
        `${product.devices.toLocaleString()} device${product.devices === 1 ? "" : "s"}`)),
    el("div", { class: "line" },
      el("span", { class: "name" }, "Dynamic registration"),
      toggle(`Dynamic registration of ${key}`, product.dynamicRegistration, async (on) => {
        await post(["products", key], { dynamicRegistration: on });
        note(`Dynamic registration of ${key} is ${on ? "on" : "off"}`);
        changed();
      }, { "data-focus": `switch ${key}` }),
      product.registrationFree
        && el("span", { class: "quiet small" }, "without pre-registration, too")),
    el("div", { class: "line" },
      el("span", { class: "name" }, "ProductSecret"),
      secret(`ProductSecret of ${key}`,
        async () => (await post(["products", key, "secret"])).productSecret,
        (text) => {
          file.hidden = text === null;
          content.textContent = text === null ? ""
            : `{"productKey": ${JSON.stringify(key)},\n `
              + `"productSecret": ${JSON.stringify(text)},\n "region": "cn-shanghai"}`;
        })),
    file,
  );
}

function addDialog() {
  const key = el("input", { autocomplete: "off", spellcheck: "false", maxlength: 20,
    autofocus: true });
  const own = el("input", { type: "password", autocomplete: "new-password", maxlength: 64 });
  const type = select([["device", "devices, or sub-devices of a gateway"], ["gateway", "gateways"]],
    {}, "device");
  dialog("Add a product", "Add", async (filled) => {
    const made = await post(["products"], {
      productKey: key.value.trim() || null,
      productSecret: own.value || null,
      nodeType: type.value,
      dynamicRegistration: filled.elements.dynamicRegistration.checked,
      registrationFree: filled.elements.registrationFree.checked,
    });
    note(`Product ${made.productKey} is there`);
    changed();
  },
  field("productKey", "ProductKey", key, "Empty: one is made up."),
  field("productSecret", "ProductSecret", own, "Empty: one is made up."),
  field("nodeType", "Its devices are", type),
  check("dynamicRegistration", "Dynamic registration", true),
  check("registrationFree", "Also without pre-registration (authType regnwl)"));
}
