// The operator's page: follows the farm by server-sent events, and asks the server to act.

import { draw } from "./charts.js";
import { one, show, span, tell } from "../lists.js";
import { fillAction, fillEnded, fillGpu, fillQuota, fillSpace, fillTask } from "./rows.js";

const TOKEN = document.querySelector("meta[name=farm-token]").content;
const CHARTS_MS = 30000;
const SAID_MS = 6000;

let farm = null;
let found = null; // the answer to a search, or null
let period = "hour";
let log = null;

// --- what the server sends

function ask(path, options = {}) {
  return fetch(`farm/${path}`, { ...options, cache: "no-store", headers: { "x-farm-token": TOKEN, ...options.headers } }).then(answered);
}

async function answered(answer) {
  if (answer.status === 401) location.assign("farm"); // which knows where to log in
  if (answer.status === 204) return null;
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

function follow() {
  const events = new EventSource(`farm/events?token=${encodeURIComponent(TOKEN)}`);
  events.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.problem) return tell("lost", told.problem);
    farm = told;
    update();
    tell("live", "Live");
  };
  events.onerror = () => {
    tell("lost", "The farm does not answer");
    if (events.readyState === EventSource.CLOSED) ask("charts").then(() => setTimeout(follow, 2000), () => setTimeout(follow, 5000));
  };
}

// --- the page

function update() {
  const { status, history, quotas, actions } = farm;
  const under_way = status.tasks.filter((task) => task.ended_at == null);
  one("running").textContent = under_way.filter((task) => task.state === "running").length;
  const waiting = status.queues.reduce((sum, queue) => sum + queue.waiting, 0);
  const further = waiting - under_way.filter((task) => task.state === "queued").length;
  one("waiting").textContent = waiting;
  one("further").textContent = further > 0 ? `and ${further} more` : "";
  one("expected").textContent = expected(status.queues);
  one("flower").hidden = !status.flower;
  show(one("gpus"), "gpu", status.workers, (worker) => worker.name, (element, worker) => fillGpu(element, worker, farm));
  show(one("queue"), "task", under_way, (task) => task.id, (element, task) => fillTask(element, task, farm));
  show(one("spaces"), "space", status.spaces, (space) => space.name, (element, space) => fillSpace(element, space, farm));
  show(one("quotas"), "quota", quotas, (each) => each.visitor, fillQuota);
  show(one("actions"), "action", actions, (each) => `${each.at} ${each.verb} ${each.target}`, (element, each) => fillAction(element, each, status.now));
  showHistory(found ?? history);
}

function showHistory(tasks) {
  show(one("history"), "ended", tasks, (task) => task.id, (element, task) => fillEnded(element, task, farm));
}

function expected(queues) {
  const waits = queues.filter((queue) => queue.expected_wait != null).map((queue) => queue.expected_wait);
  if (!waits.length) return "no worker";
  return Math.max(...waits) < 0.1 ? "none" : span(Math.max(...waits));
}

async function chart() {
  const points = await ask(`charts?span=${period}`);
  draw(one("charts"), points);
  if (period === "hour") one("failed").textContent = points.reduce((sum, point) => sum + point.failed, 0);
}

// --- what the operator does

document.addEventListener("click", async ({ target }) => {
  if (target.matches(".act")) act(target);
  else if (target.matches(".more")) details(await ask(`history/${target.dataset.task}`));
  else if (target.matches(".log")) openLog(target.dataset.space, "web");
  else if (target.matches("[data-kind]")) openLog(one("details").dataset.space, target.dataset.kind);
  else if (target.matches("[data-span]")) choose(target);
});

async function act(button) {
  const { verb, target } = button.dataset;
  button.disabled = true;
  try {
    const body = JSON.stringify({ verb, target });
    say((await ask("act", { method: "POST", body, headers: { "content-type": "application/json" } })).done);
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

function say(text) {
  one("said").textContent = text;
  one("said").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { one("said").hidden = true; }, SAID_MS);
}

function details(task) {
  one("log-kind").hidden = true;
  one("details-title").textContent = `${task.label} ${task.state}`;
  one("details-text").textContent = `${task.error}\n\n${task.traceback}`;
  one("details").showModal();
}

function openLog(space, kind) {
  log?.close();
  one("log-kind").hidden = false;
  for (const button of one("log-kind").children) button.setAttribute("aria-pressed", button.dataset.kind === kind);
  one("details").dataset.space = space;
  one("details-title").textContent = `Log of ${space}`;
  one("details-text").textContent = "";
  if (!one("details").open) one("details").showModal();
  log = new EventSource(`farm/log/${encodeURIComponent(space)}?kind=${kind}&token=${encodeURIComponent(TOKEN)}`);
  log.onopen = () => { one("details-text").textContent = ""; };
  log.onmessage = ({ data }) => append(one("details-text"), JSON.parse(data));
}

function append(place, text) {
  const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
  place.append(text);
  if (atEnd) place.scrollTop = place.scrollHeight;
}

function choose(button) {
  period = button.dataset.span;
  for (const each of button.parentElement.children) each.setAttribute("aria-pressed", each === button);
  chart();
}

one("close").onclick = () => one("details").close();
one("details").addEventListener("close", () => { log?.close(); log = null; });
one("leave").onclick = () => ask("logout", { method: "POST" }).finally(() => location.assign("farm/login"));
one("search").addEventListener("input", ({ target }) => {
  clearTimeout(one("search").timer);
  one("search").timer = setTimeout(async () => {
    const words = target.value.trim();
    found = words ? await ask(`history?words=${encodeURIComponent(words)}`) : null;
    if (farm) showHistory(found ?? farm.history);
  }, 250);
});

follow();
chart();
setInterval(() => document.hidden || chart(), CHARTS_MS);
