// Comfort on top of pages that work without it: keys, the list of keys, and where the focus goes after a change.
(() => {
  "use strict";

  const OFF = "tracker-keys-off";
  const dialog = () => document.getElementById("shortcuts");
  let waitsForRoom = 0;

  const keysAreOn = () => localStorage.getItem(OFF) !== "1";
  const isTyping = (element) =>
    element.closest("input:not([type=checkbox]), select, textarea, [contenteditable], dialog") !== null;
  const isSeen = (element) => element.checkVisibility();

  function openHelp() {
    const list = dialog();
    if (!list) return false;
    list.querySelector("[data-keys-on]").checked = keysAreOn();
    list.showModal();
    list.scrollTop = 0;
    return true;
  }

  // A letter after g leads to a room; a letter alone presses what carries it on this page.
  function press(key) {
    if (key === "/") {
      const field = document.querySelector("[data-search]");
      if (!field) return false;
      field.focus();
      field.select();
      return true;
    }
    if (key === "?") return openHelp();
    if (key === "g") {
      waitsForRoom = Date.now();
      return true;
    }
    const name = Date.now() - waitsForRoom < 2000 ? "data-go" : "data-key";
    waitsForRoom = 0;
    if (name === "data-key" && pressOnLine(key)) return true;
    const wanted = [...document.querySelectorAll(`[${name}="${CSS.escape(key)}"]`)].find(isSeen);
    if (!wanted) return false;
    wanted.focus();
    wanted.click();
    return true;
  }

  // In a list, j and k go from line to line, x ticks the line, and a letter does what the line offers.
  function pressOnLine(key) {
    const line = document.activeElement.closest("[data-row]");
    if (key === "j" || key === "k") return goToLine(line, key === "j" ? 1 : -1);
    const wanted = line?.querySelector(key === "x" ? "input[type=checkbox]" : `[data-act="${CSS.escape(key)}"]`);
    wanted?.click();
    return Boolean(wanted);
  }

  function goToLine(line, step) {
    const lines = [...document.querySelectorAll("[data-row]")];
    const next = lines[line ? lines.indexOf(line) + step : 0];
    const first = next?.querySelector("[data-first], a, button");
    first?.focus();
    return Boolean(first);
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!keysAreOn() || isTyping(event.target)) return;
    if (press(event.key)) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-opens=shortcuts]") && openHelp()) event.preventDefault();
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-keys-on]")) {
      if (event.target.checked) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "1");
    }
  });

  // A form that was put into a line: closed again, the line has the focus.
  function close(form) {
    const line = form.closest("[data-row]");
    form.parentElement.replaceChildren();
    line?.querySelector("[data-first], a")?.focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-closes]");
    if (button) close(button.form);
  });

  document.addEventListener("keydown", (event) => {
    const form = event.key === "Escape" && event.target.closest("[data-row] form");
    if (form) close(form);
  });

  // One box ticks all that a page shows.
  const showTicks = () => document.querySelectorAll("[data-ticks]").forEach((box) => (box.hidden = false));
  document.addEventListener("change", (event) => {
    const name = event.target.dataset.ticks;
    if (name) document.getElementsByName(name).forEach((box) => (box.checked = event.target.checked));
  });
  showTicks();

  // What is filled in already needs no typing.
  function firstBlank(form) {
    const fields = [...form.querySelectorAll("input:not([type=hidden]), select, textarea")];
    return fields.find((field) => !field.value) ?? fields[0];
  }

  // On a narrow screen the list comes first; its filters in force are told above it.
  if (matchMedia("(max-width: 48rem)").matches) {
    document.querySelectorAll("[data-narrow-closed]").forEach((part) => (part.open = false));
  }

  // What htmx has put into the page: its first field has the focus, or what it says is read aloud.
  document.addEventListener("htmx:load", (event) => {
    const part = event.detail.elt;
    if (part === document.body) return;
    const find = (wanted) => (part.matches(wanted) ? part : part.querySelector(wanted));
    const told = document.getElementById("told");
    const says = find("[data-say]");
    if (told && says) told.textContent = says.dataset.say;
    const wanted = find("[data-focus]") ?? (part.matches("[data-row] form") ? firstBlank(part) : null);
    wanted?.focus({ preventScroll: true });
    wanted?.closest("[data-row]")?.scrollIntoView({ block: "nearest" });
    showTicks();
  });

  // What was done is read aloud and can be undone at once.
  const said = () => document.getElementById("said");
  if (said()) said().focus({ preventScroll: true });
})();
