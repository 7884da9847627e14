// Comfort on top of pages that work without it: keys, the list of keys, and where the focus goes after a change.
(() => {
  "use strict";

  const OFF = "tracker-keys-off";
  const dialog = () => document.getElementById("shortcuts");
  let waitsForRoom = 0;

  const keysAreOn = () => localStorage.getItem(OFF) !== "1";
  const isTyping = (element) => element.closest("input, select, textarea, [contenteditable], dialog") !== null;
  const isSeen = (element) => element.checkVisibility();

  function openHelp() {
    const list = dialog();
    if (!list) return false;
    list.querySelector("[data-keys-on]").checked = keysAreOn();
    list.showModal();
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
    const wanted = [...document.querySelectorAll(`[${name}="${CSS.escape(key)}"]`)].find(isSeen);
    if (!wanted) return false;
    wanted.focus();
    wanted.click();
    return true;
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

  // What was done is read aloud and can be undone at once.
  const said = () => document.getElementById("said");
  if (said()) said().focus({ preventScroll: true });
})();
