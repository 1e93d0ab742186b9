// Elements made by hand. Text goes in as text only: what a device sends is never markup.

/** An element. props: attributes, `class`, and `on…` listeners; children: nodes or text. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else if (name === "checked") made.checked = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  add(made, children);
  return made;
}

function add(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces what is in an element; the focus stays where it was. */
export function fill(parent, ...children) {
  const next = document.createElement(parent.tagName);
  add(next, children);
  const focused = keyOfFocus(parent);
  parent.replaceChildren(...next.childNodes);
  refocus(parent, focused);
}

/** As `fill`, but only when `state` is another than the last: a click under way is not lost. */
export function fillOnChange(parent, state, make) {
  const text = JSON.stringify(state);
  if (parent.state === text) return;
  parent.state = text;
  fill(parent, make());
}

/** Shows a list: only rows whose item changed are made anew. Each row keeps its item's key. */
export function rows(parent, items, keyOf, render) {
  const old = new Map();
  for (const row of [...parent.children]) old.set(row.dataset.key, row);
  const focused = keyOfFocus(parent);
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const state = JSON.stringify(item);
    const known = old.get(key);
    if (known && known.state === state) return known;
    const made = render(item);
    made.dataset.key = key;
    made.state = state;
    return made;
  });
  if (wanted.length === parent.children.length
    && wanted.every((row, at) => row === parent.children[at])) return;
  parent.replaceChildren(...wanted);
  refocus(parent, focused);
}

function keyOfFocus(parent) {
  const focused = document.activeElement;
  return focused && parent.contains(focused) ? focused.dataset.focus : undefined;
}

function refocus(parent, key) {
  if (key === undefined || parent.contains(document.activeElement)) return;
  parent.querySelector(`[data-focus="${CSS.escape(key)}"]`)?.focus();
}

const two = (number) => String(number).padStart(2, "0");

/** A <time>: the time of day, with the date unless it is today's. */
export function time(seconds) {
  if (seconds === null || seconds === undefined) return el("span", { class: "quiet" }, "never");
  const at = new Date(seconds * 1000);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const today = at.toDateString() === new Date().toDateString();
  return el(
    "time",
    { datetime: at.toISOString(), title: `${day} ${clock}` },
    today ? clock : `${day} ${clock}`,
  );
}

/** A short line that tells what came of an action, for a while. wrong: it did not work. */
export function note(text, wrong = false) {
  const notes = document.querySelector("#notes");
  const made = el("p", { class: wrong ? "note wrong" : "note" }, text);
  notes.append(made);
  while (notes.children.length > 3) notes.firstElementChild.remove();
  setTimeout(() => made.remove(), wrong ? 9000 : 4000);
}
