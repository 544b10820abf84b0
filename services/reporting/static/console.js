// Keeps a page fresh: ages tick, and when the server says that something changed, the page is asked for again.
"use strict";

const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"], [1, "s", 0, ""]];
const BUSY_MS = 1500;
let skew = 0; // the server's clock less this one's: ages are the same on every screen
let asking = false;
let again = false;

const now = () => Date.now() + skew;

function duration(milliseconds) {
  const total = Math.max(0, Math.floor(milliseconds / 1000));
  const [size, unit, smaller, smallerUnit] = UNITS.find(([seconds]) => total >= seconds) || UNITS[3];
  const rest = smaller ? Math.floor((total % size) / smaller) : 0;
  return `${Math.floor(total / size)} ${unit}` + (rest ? ` ${rest} ${smallerUnit}` : "");
}

function tick() {
  for (const time of document.querySelectorAll("time[data-since]")) {
    const text = duration(now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

function say(text, state) {
  const live = document.querySelector("[data-live]");
  live.dataset.live = state;
  if (live.textContent !== text) live.textContent = text;
}

function isSelecting() {
  const selection = getSelection();
  return !selection.isCollapsed && document.querySelector("main").contains(selection.anchorNode);
}

// Puts the new content in the old one's place without closing what is open, moving the focus or the page.
function swap(fresh) {
  const main = document.querySelector("main");
  const open = [...main.querySelectorAll("details[open]")].map((details) => details.id);
  const before = new Map([...main.querySelectorAll("[data-state]")].map((row) => [row.id, row.dataset.state]));
  const href = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  main.replaceChildren(...fresh.querySelector("main").childNodes);
  document.title = fresh.title;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const row of main.querySelectorAll("[data-state]")) {
    if (before.get(row.id) !== row.dataset.state) row.classList.add("fresh");
  }
  if (href) main.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
}

async function ask() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    do {
      again = false;
      while (isSelecting()) await new Promise((done) => setTimeout(done, BUSY_MS));
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      skew = Date.parse(fresh.documentElement.dataset.now) - Date.now();
      swap(fresh);
      tick();
    } while (again);
    say("live", "on");
  } catch {
    say("not up to date", "off");
    setTimeout(ask, 2 * BUSY_MS);
  } finally {
    asking = false;
  }
}

skew = Date.parse(document.documentElement.dataset.now) - Date.now();
setInterval(tick, 1000);
let events = null;

function listen() {
  events?.close();
  events = new EventSource("/events");
  events.addEventListener("changed", ask);
  events.addEventListener("error", () => {
    say("reconnecting", "off");
    // After a refusal (too many readers) the browser gives up by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 30000);
  });
}

// A browser has six connections to a server for all its tabs: those that nobody sees leave theirs to the others.
document.addEventListener("visibilitychange", () => {
  events.close();
  if (!document.hidden) listen();
});
listen();
