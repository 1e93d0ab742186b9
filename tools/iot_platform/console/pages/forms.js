// Forms: labelled fields, errors beside the field they belong to, dialogs.

import { el, note } from "/pages/dom.js";

let number = 0;

/** A field with its label. name: as in the API; control: input, select or textarea. */
export function field(name, label, control, hint) {
  number += 1;
  control.id = `field-${number}`;
  control.name = name;
  const about = `${control.id}-hint`;
  const wrong = `${control.id}-wrong`;
  control.setAttribute("aria-describedby", hint ? `${about} ${wrong}` : wrong);
  return el(
    "div",
    { class: "field", "data-field": name },
    el("label", { for: control.id }, label),
    control,
    hint && el("p", { class: "hint", id: about }, hint),
    el("p", { class: "wrong", id: wrong, role: "alert" }),
  );
}

/** A checkbox with its label beside it. */
export function check(name, label, checked = false) {
  number += 1;
  const id = `field-${number}`;
  return el(
    "div",
    { class: "check", "data-field": name },
    el("input", { type: "checkbox", id, name, checked }),
    el("label", { for: id }, label),
  );
}

/** A select; options: texts, or [value, text]. */
export function select(options, props = {}, chosen = "") {
  const made = el(
    "select",
    props,
    options.map((option) => {
      const [value, text] = Array.isArray(option) ? option : [option, option];
      return el("option", { value }, text);
    }),
  );
  made.value = chosen;
  return made;
}

/** Shows an ApiError at the field it names, or below the form. */
function showError(form, error) {
  const at = error.field && form.querySelector(`[data-field="${CSS.escape(error.field)}"]`);
  const place = at?.querySelector(".wrong") ?? form.querySelector(".wrong.general");
  if (!place) {
    note(error.message, true);
    return;
  }
  const more = error.lines?.length > 1
    ? error.lines.slice(1, 6).map((entry) => `\nline ${entry.line}: ${entry.message}`).join("")
    : "";
  place.textContent = error.message + more;
  const control = at?.querySelector("input, select, textarea");
  control?.setAttribute("aria-invalid", "true");
  control?.focus();
}

const busy = new WeakSet();

/** Does the work unless it is being done. Not by `disabled`, which would take the focus away. */
async function once(element, work, failed) {
  if (busy.has(element)) return;
  busy.add(element);
  element.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    failed(error);
  } finally {
    busy.delete(element);
    element.removeAttribute("aria-busy");
  }
}

/** A form; send(form) does the work and may throw an ApiError. */
export function form(props, send, ...children) {
  const made = el("form", { novalidate: true, ...props }, children,
    el("p", { class: "wrong general", role: "alert" }));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const wrong of made.querySelectorAll(".wrong")) wrong.textContent = "";
    for (const control of made.elements) control.removeAttribute("aria-invalid");
    await once(made, () => send(made), (error) => showError(made, error));
  });
  return made;
}

/** A dialog with a form: closes when `send` is through, on Cancel and on Escape. */
export function dialog(title, action, send, ...children) {
  number += 1;
  const heading = `dialog-${number}`;
  const made = el("dialog", { "aria-labelledby": heading });
  made.append(
    form({}, async (filled) => {
      await send(filled);
      made.close();
    },
    el("h2", { id: heading }, title),
    children,
    el("div", { class: "actions end" },
      el("button", { type: "button", onclick: () => made.close() }, "Cancel"),
      el("button", { class: "main" }, action))),
  );
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

/** Asks before something that cannot be taken back. */
export function confirm(title, text, action, work) {
  return dialog(title, action, work, el("p", {}, text));
}

/** A button that does one thing; what goes wrong is noted. */
export function action(text, work, props = {}) {
  return el("button", {
    type: "button",
    "data-focus": text,
    ...props,
    onclick: (event) => once(event.currentTarget, work, (error) => note(error.message, true)),
  }, text);
}

/** An on/off switch. turn(on) does it and may throw. */
export function toggle(label, on, turn, props = {}) {
  return el("button", {
    type: "button",
    role: "switch",
    class: "switch",
    "aria-checked": String(on),
    "aria-label": label,
    ...props,
    onclick: (event) => {
      const wanted = event.currentTarget.getAttribute("aria-checked") !== "true";
      once(event.currentTarget, () => turn(wanted), (error) =>
        note(error.field ? `${error.field}: ${error.message}` : error.message, true));
    },
  }, el("i", { class: "knob", "aria-hidden": "true" }), el("span", {}, on ? "on" : "off"));
}

let hideShown = () => {};

/** A secret: masked until it is asked for, and again after a while, a click, or another one. */
export function secret(name, ask, shown = () => {}) {
  const value = el("code", { class: "secret" }, "••••••••••••");
  const button = el("button", { type: "button", "aria-label": `Show ${name}` }, "Show");
  const copy = el("button", { type: "button", "aria-label": `Copy ${name}`, hidden: true }, "Copy");
  const box = el("span", { class: "secretbox" }, value, button, copy);
  let timer;
  function hide() {
    clearTimeout(timer);
    value.textContent = "••••••••••••";
    button.textContent = "Show";
    button.setAttribute("aria-label", `Show ${name}`);
    copy.hidden = true;
    shown(null);
  }
  button.addEventListener("click", async () => {
    if (button.textContent === "Hide") {
      hide();
      return;
    }
    try {
      const text = await ask();
      hideShown();
      hideShown = hide;
      value.textContent = text;
      button.textContent = "Hide";
      button.setAttribute("aria-label", `Hide ${name}`);
      copy.hidden = !navigator.clipboard;
      shown(text);
      timer = setTimeout(hide, 60000);
    } catch (error) {
      note(error.message, true);
    }
  });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value.textContent);
      note(`${name} copied`);
    } catch {
      note("The browser does not let this page copy.", true);
    }
  });
  return box;
}
