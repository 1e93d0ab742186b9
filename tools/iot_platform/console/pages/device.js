// One device: its states, what went wrong, what can be done to it.

import { get, post } from "/pages/api.js";
import { el, fill, fillOnChange, note, rows, time } from "/pages/dom.js";
import { faultsSection } from "/pages/faults.js";
import { action, confirm, field, form, secret, select } from "/pages/forms.js";
import { connection, linkTo, nameOf, states, steps } from "/pages/states.js";

const changed = () => document.dispatchEvent(new Event("changed"));

/** Shows a device. */
export function deviceView(root, productKey, deviceName) {
  const path = ["devices", productKey, deviceName];
  const names = { productKey, deviceName };
  const badges = el("div", { class: "badges" });
  const way = el("div");
  const error = el("div");
  const facts = el("dl", { class: "facts" });
  const buttons = el("div", { class: "actions" });
  const subdevices = el("section", { class: "card", hidden: true });
  const faults = faultsSection(path);
  const parts = el("div", { class: "cards" });

  root.append(
    el("p", { class: "back" }, el("a", { href: "#/devices" }, "← Devices")),
    el("div", { class: "headline" },
      el("h2", { tabindex: "-1" }, deviceName, el("span", { class: "quiet small" }, productKey)),
      badges),
    way,
    error,
    parts,
  );
  parts.append(
    el("section", { class: "card" },
      el("h3", {}, "Device"),
      facts,
      el("div", { class: "line" }, el("span", { class: "name" }, "DeviceSecret"),
        secret("DeviceSecret", async () => (await post([...path, "secret"])).deviceSecret)),
      buttons),
    publishSection(path, names),
    subdevices,
    faults.section,
  );

  async function refresh() {
    let device;
    try {
      device = await get(path);
    } catch (failure) {
      if (failure.field === "deviceName") {
        fill(error, el("div", { class: "callout" }, el("p", {}, failure.message), el("p", {},
          el("a", { href: "#/devices" }, "Back to the list"))));
        way.hidden = parts.hidden = true;
        fill(badges);
        return;
      }
      throw failure;
    }
    way.hidden = parts.hidden = false;
    fillOnChange(badges, device, () => states(device));
    fillOnChange(way, device, () => steps(device));
    fillOnChange(error, device, () => errorOf(device));
    fillOnChange(facts, device, () => factRows(device));
    fillOnChange(buttons, device, () => actions(device));
    faults.show(device);
    if (device.nodeType === "gateway") await showSubdevices();
  }

  function errorOf(device) {
    const last = device.lastError;
    return last && !last.over && el("div", { class: "callout" },
      el("p", { class: "what" }, time(last.at), " ", last.what),
      last.advice && el("p", { class: "advice" }, last.advice),
      remedy(device));
  }

  // What the advice asks for, where one click does it.
  function remedy(device) {
    const code = device.lastError.code;
    if (!device.dynamicRegistration && code === 6288) {
      return action("Switch dynamic registration on", async () => {
        await post(["products", productKey], { dynamicRegistration: true });
        note(`Dynamic registration of ${productKey} is on`);
        changed();
      });
    }
    if (device.disabled) return enable(device);
    if (code === 6289) return reset();
    return null;
  }

  const doIt = (text, what, said, props) => action(text, async () => {
    await post([...path, what]);
    note(said);
    changed();
  }, props);

  const enable = () => doIt("Enable", "enable", `${deviceName} is enabled`);

  const reset = () => doIt("Reset", "reset", `${deviceName} may register again`,
    { title: "Open dynamic registration again, as ResetThing" });

  function actions(device) {
    return [
      reset(),
      device.disabled ? enable() : doIt("Disable", "disable", `${deviceName} is disabled`),
      device.connection === "online"
        && doIt("Disconnect", "disconnect", `${deviceName} was disconnected`),
      device.gateway && doIt("Unbind", "unbind", `${deviceName} is taken from its gateway`),
      el("button", {
        type: "button",
        class: "danger",
        "data-focus": "Delete",
        onclick: () => confirm(`Delete ${deviceName}?`,
          "A board with its identity is refused from then on.", "Delete", async () => {
            await post([...path, "delete"]);
            note(`${deviceName} is deleted`);
            location.hash = "#/devices";
            changed();
          }),
      }, "Delete"),
    ];
  }

  async function showSubdevices() {
    const page = await get(["devices"], { gateway: `${productKey}/${deviceName}`, limit: 10 });
    subdevices.hidden = false;
    if (!subdevices.firstChild) {
      subdevices.append(el("h3", {}, "Sub-devices"), el("ul", { class: "subdevices" }), el("p"));
    }
    const [, list, more] = subdevices.children;
    rows(list, page.items, nameOf, (device) => el("li", {},
      el("a", { href: linkTo(device), "data-focus": nameOf(device) }, device.deviceName),
      el("span", { class: "quiet small" }, device.productKey), connection(device)));
    fillOnChange(more, page.total, () => page.total === 0
      ? el("span", { class: "quiet" }, "None: the gateway adds them to its topology itself.")
      : page.total > page.items.length && el("a", {
        href: `#/devices?gateway=${encodeURIComponent(`${productKey}/${deviceName}`)}`,
      }, `all ${page.total.toLocaleString()} of them`));
  }

  refresh().catch((failure) => note(failure.message, true));
  return {
    refresh,
    touched: (value) => value.devices.includes(`${productKey}/${deviceName}`)
      || value.entries.some((entry) => entry.productKey === productKey && !entry.deviceName)
      || !subdevices.hidden,
  };
}

function factRows(device) {
  const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, value)];
  return [
    fact("Last address", device.lastAddress ?? el("span", { class: "quiet" }, "none yet")),
    fact("Last seen", time(device.lastSeenAt)),
    fact("First online", time(device.activatedAt)),
    fact("Registrations", device.registrations, " ",
      el("span", { class: "quiet" }, device.registrationOpen
        ? "(it may register)" : "(closed since it connected; Reset opens it)")),
    device.gateway && fact("Gateway",
      el("a", { href: linkTo(device.gateway) }, device.gateway.deviceName)),
    device.clients > 0 && fact("Clients", device.clients,
      el("span", { class: "quiet" }, " registered without pre-registration")),
    !device.dynamicRegistration && fact("Dynamic registration",
      "off for its product, ", el("a", { href: "#/products" }, "see Products")),
  ];
}

function publishSection(path, names) {
  const topic = el("input", {
    value: `/${names.productKey}/${names.deviceName}/user/get`,
    spellcheck: "false",
    autocomplete: "off",
  });
  const payload = el("textarea", { rows: 3, spellcheck: "false", value: '{"lamp": 1}' });
  const encoding = select([["text", "as text"], ["hex", "as hex"], ["base64", "as base64"]],
    {}, "text");
  const qos = select([["0", "QoS 0"], ["1", "QoS 1"]], {}, "0");
  return el("section", { class: "card" },
    el("h3", {}, "Publish to it"),
    form({ "aria-label": "Publish" }, async () => {
      const made = await post([...path, "publish"], {
        topic: topic.value,
        payload: payload.value,
        encoding: encoding.value,
        qos: Number(qos.value),
      });
      if (!made.sent) note(`Not sent: ${made.reason}`, true);
      else note(made.queued ? "Queued for its next connection" : "Sent");
    },
    field("topic", "Topic", topic),
    field("payload", "Payload", payload),
    el("div", { class: "row" },
      field("encoding", "Payload is given", encoding),
      field("qos", "Quality of service", qos),
      el("button", { class: "main" }, "Publish"))));
}
