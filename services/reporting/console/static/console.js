// Keeps a page up to date: ages tick, and when the server reports a change, the page is requested again.
"use strict";

const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"], [1, "s", 0, ""]];
const RETRY_MS = 1500;
const LATE_MS = 7000; // spans are exported after five seconds
let skew = 0; // the server's clock less this one's: ages are the same on every screen
let refreshing = false;
let late = 0;
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

function showState(text, state) {
  const live = document.querySelector("[data-live]");
  live.dataset.live = state;
  if (live.textContent !== text) live.textContent = text;
}

function isSelecting() {
  const selection = getSelection();
  return !selection.isCollapsed && document.querySelector("main").contains(selection.anchorNode);
}

// Replaces content without closing open details, moving the focus or scrolling.
function preserving(place, change) {
  const open = [...place.querySelectorAll("details[open]")].map((details) => details.id);
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  const href = active?.getAttribute("href");
  const details = active?.matches("summary") ? active.parentElement.id : null;
  change();
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const again = href ? `a[href="${CSS.escape(href)}"]` : details ? `#${CSS.escape(details)} > summary` : null;
  if (again) place.querySelector(again)?.focus({ preventScroll: true });
}

function swap(fresh) {
  const main = document.querySelector("main");
  const before = new Map([...main.querySelectorAll("[data-state]")].map((row) => [row.id, row.dataset.state]));
  const trace = main.querySelector("[data-trace]");
  preserving(main, () => {
    // The drawn trace stays until it is drawn again.
    if (trace) fresh.querySelector("[data-trace]")?.replaceWith(trace);
    main.replaceChildren(...fresh.querySelector("main").childNodes);
  });
  document.title = fresh.title;
  for (const row of main.querySelectorAll("[data-state]")) {
    if (before.get(row.id) !== row.dataset.state) row.classList.add("fresh");
  }
}

async function load(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok && answer.status !== 404) throw new Error(answer.status);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function selectionEnds() {
  while (isSelecting()) await new Promise((done) => setTimeout(done, RETRY_MS));
}

async function refresh() {
  if (refreshing) { again = true; return; }
  refreshing = true;
  try {
    do {
      again = false;
      await selectionEnds();
      const fresh = await load(location.href);
      skew = Date.parse(fresh.documentElement.dataset.now) - Date.now();
      swap(fresh);
      tick();
      late ||= setTimeout(draw, LATE_MS);
    } while (again);
    showState("live", "on");
  } catch {
    showState("not up to date", "off");
    setTimeout(refresh, 2 * RETRY_MS);
  } finally {
    refreshing = false;
  }
}

// The trace comes from another backend, which may be slow or down: the page itself never waits for it.
async function draw() {
  late = 0;
  const place = document.querySelector("[data-trace]");
  if (!place) return;
  try {
    const fresh = (await load(place.dataset.trace)).querySelector("[data-trace]");
    await selectionEnds();
    // When the backend is down for a moment, the picture stays.
    const only = place.querySelector(".waterfall") && !fresh.querySelector(".waterfall");
    if (only) place.querySelector(".note").replaceWith(fresh.querySelector(".note"));
    else preserving(place, () => place.replaceChildren(...fresh.childNodes));
  } catch {
    place.querySelector(".note").textContent = "The trace could not be loaded.";
  }
}

skew = Date.parse(document.documentElement.dataset.now) - Date.now();
setInterval(tick, 1000);
let events = null;

function listen() {
  events?.close();
  events = new EventSource("/events");
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    showState("reconnecting", "off");
    // After a refusal (too many readers) the browser does not reconnect by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 30000);
  });
}

if (!("still" in document.documentElement.dataset)) {
  // A browser has six connections to a server for all its tabs, so hidden tabs give theirs up.
  document.addEventListener("visibilitychange", () => {
    events.close();
    if (!document.hidden) listen();
  });
  listen();
  draw();
}
