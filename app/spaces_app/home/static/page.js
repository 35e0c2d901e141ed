// Requests the farm's status from the server while the page is visible, and updates the page.

import { isDrawn } from "./emoji.js";
import { gigabytes, joined, one, resident, show, span, tell, withoutProcess, write } from "./lists.js";

const INTERVAL_MS = 1500;
const COLOURS = {
  red: "#dc2626", yellow: "#eab308", green: "#16a34a", blue: "#2563eb",
  indigo: "#4f46e5", purple: "#9333ea", pink: "#db2777", gray: "#6b7280",
};

// --- the content of each element

function fillSpace(element, space, home) {
  const page = space.page;
  const card = element.querySelector(".card");
  const address = page?.url ? addressOf(page, home) : null;
  if (address) card.setAttribute("href", address);
  else card.removeAttribute("href");
  card.style.setProperty("--from", COLOURS[page?.colour_from] ?? "");
  card.style.setProperty("--to", COLOURS[page?.colour_to] ?? "");
  write(element, "emoji", isDrawn(page?.emoji) ? page.emoji : initial(page?.title || space.name));
  write(element, "title", page?.title || space.name);
  write(element, "cover .pill", stateOf(space));
  const words = write(element, "words", page?.problem || page?.description || space.functions.join(", "));
  words.classList.toggle("problem", Boolean(page?.problem));
  write(element, "counts .running", `${space.running} running`).classList.toggle("some", space.running > 0);
  write(element, "counts .waiting", `${space.waiting} waiting`).classList.toggle("some", space.waiting > 0);
  write(element, "counts .wait", waitOf(space));
  write(element, "counts .memory", page?.memory_bytes ? gigabytes(page.memory_bytes) : "");
}

function initial(text) {
  return [...text][0].toUpperCase();
}

function stateOf(space) {
  const page = space.page;
  if (!page) return space.served ? "no page here" : "nobody serves it";
  if (page.importing) return `imports ${page.importing}`;
  if (page.serving !== "serving") return page.serving;
  return space.functions.length && page.warmth ? page.warmth : "ready";
}

function waitOf(space) {
  if (!space.functions.length) return "";
  if (space.expected_wait == null) return "no worker";
  return space.expected_wait < 1 ? "no wait" : `wait about ${span(space.expected_wait)}`;
}

function fillWorker(element, worker) {
  const busy = worker.busy.length > 0;
  element.classList.toggle("busy", busy);
  write(element, "name", worker.name);
  write(element, "device", worker.device);
  const work = busy ? worker.busy.map(withoutProcess).join(", ") : "idle";
  const residents = worker.residents.map(resident).join("; ");
  write(element, "work", residents ? `${work}; Spaces: ${residents}` : work);
  write(element, "done", `${worker.done} done`);
}

function fillTask(element, task, now) {
  element.dataset.state = task.state;
  write(element, "label", task.label);
  write(element, "pill", task.state === "queued" && task.position ? `queued, ${task.position} ahead` : task.state);
  write(element, "where", joined(task.worker, task.id.slice(0, 8)));
  write(element, "time", duration(task, now));
}

// A reverse proxy shows the pages below paths of its own; whoever opens the home page directly finds them at their ports.
// The farm's front door shows them beside the home page, wherever that is.
function addressOf(page, home) {
  if (isProxied(home) && page.root_path) return `${page.root_path}/`;
  if (home && page.url.startsWith(`${home}/`)) return new URL(`${page.url.slice(home.length + 1)}/`, location.href).href;
  return reachable(page.url);
}

function isProxied(home) {
  return Boolean(home) && new URL(home).port !== location.port;
}

// The farm lists pages by their local addresses; a visitor from another host reaches them at the home page's host.
function reachable(url) {
  if (url.startsWith(":")) return `${location.protocol}//${location.hostname}${url}`;
  const address = new URL(url, location.href);
  if (["127.0.0.1", "localhost", "[::1]"].includes(address.hostname)) address.hostname = location.hostname;
  return address.href;
}

function duration(task, now) {
  if (task.ended_at) {
    const ago = span(now - task.ended_at);
    return task.started_at ? `took ${span(task.ended_at - task.started_at)}, ${ago} ago` : `${ago} ago`;
  }
  return `for ${span(now - (task.started_at ?? task.enqueued_at))}`;
}

// --- the page

function update(farm) {
  const sum = (items, value) => items.reduce((total, item) => total + value(item), 0);
  one("running").textContent = farm.tasks.filter((task) => task.state === "running").length;
  one("waiting").textContent = waiting(farm.queues, sum(farm.queues, (queue) => queue.waiting));
  one("worker-count").textContent = farm.workers.length;
  one("flower").hidden = !farm.flower || !atDoor(farm);
  one("operator").hidden = !farm.operators;
  one("first").hidden = !farm.home;  // else no `zerofarm up` is there to add it
  one("done").textContent = sum(farm.workers, (worker) => worker.done);
  show(one("spaces"), "space", farm.spaces, (space) => space.name, (element, space) => fillSpace(element, space, farm.home));
  show(one("workers"), "worker", farm.workers, (worker) => worker.name, fillWorker);
  show(one("tasks"), "task", farm.tasks.slice(0, 20), (task) => task.id, (element, task) => fillTask(element, task, farm.now));
}

// Flower stands below the home page only at the farm's front door.
function atDoor(farm) {
  return farm.flower.startsWith(`${farm.home}/`);
}

function waiting(queues, count) {
  const wait = Math.max(...queues.map((queue) => queue.expected_wait ?? 0));
  return count && wait ? `${count}, about ${span(wait)}` : count;
}

async function look() {
  try {
    const answer = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    const farm = await answer.json();
    if (!answer.ok) throw new Error(farm.problem);
    update(farm);
    tell("live", "Live");
  } catch (error) {
    tell("lost", error instanceof TypeError ? "The farm does not answer" : error.message);
  }
}

async function follow() {
  if (!document.hidden) await look();
  setTimeout(follow, INTERVAL_MS);
}

document.addEventListener("visibilitychange", () => document.hidden || look());
follow();
