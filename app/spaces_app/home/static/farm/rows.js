// The content of each row of the page.

import { ON_DEVICE, gigabytes, joined, resident, span, withoutProcess, write } from "../lists.js";

export function fillGpu(element, worker, farm) {
  const busy = worker.busy.map(withoutProcess);
  write(element, "name", worker.name);
  write(element, "device", worker.device);
  write(element, "load", joined(load(worker), worker.drained && "drained"));
  write(element, "work", busy.length ? `▶ runs ${busy.join(", ")}` : "○ idle").classList.toggle("busy", busy.length > 0);
  const swaps = farm.swaps[worker.name] ?? 0;
  write(element, "facts", joined(residents(worker), `${worker.done} done`, `${swaps} ${swaps === 1 ? "swap" : "swaps"} in the last hour`));
  verb(element.querySelector(".drain"), worker.drained ? "undrain" : "drain", worker.drained ? "Undrain" : "Drain", worker.name);
  strip(element.querySelector(".strip"), worker);
}

function load({ utilization_percent, temperature_celsius }) {
  const parts = [utilization_percent != null && `${utilization_percent} % used`, temperature_celsius != null && `${temperature_celsius} °C`];
  return joined(...parts);
}

function residents(worker) {
  const told = worker.residents.map(resident);
  return told.length ? `resident: ${told.join(", ")}` : "nothing resident";
}

// Each resident Space is as wide as its part of the memory.
function strip(element, worker) {
  const held = worker.residents.filter((each) => each.held_bytes > 0);
  element.hidden = !held.length;
  element.setAttribute("aria-label", residents(worker));
  element.replaceChildren(...held.map((each) => {
    const part = document.createElement("span");
    part.style.width = `${Math.max(2, (100 * each.held_bytes) / Math.max(1, worker.memory_bytes))}%`;
    part.textContent = each.space;
    part.title = `${each.space}: ${gigabytes(each.held_bytes)}`;
    return part;
  }));
}

export function fillTask(element, task, farm) {
  const rank = farm.ranks[task.id];
  const waits = task.state === "queued";
  element.dataset.state = task.state;
  write(element, "place", waits ? `${task.position + 1}.` : "▶");
  write(element, "label", task.label);
  write(element, "pill", waits ? "waiting" : "running");
  const since = farm.status.now - (task.started_at ?? task.enqueued_at);
  write(element, "facts", joined(
    `${waits ? "for" : "since"} ${span(since)}`,
    rank && `estimate ${span(rank.estimate)}`,
    rank && waits && `rank ${(rank.score - farm.status.now).toFixed(1)} s`,
    rank?.visitor && `visitor ${rank.visitor}`,
    rank?.attempt > 1 && `attempt ${rank.attempt}`,
    task.worker,
    task.id.slice(0, 8),
  ));
  element.querySelector("button").dataset.target = task.id;
}

export function fillEnded(element, task, farm) {
  element.dataset.state = task.state;
  write(element, "label", task.label);
  write(element, "pill", task.state);
  write(element, "ago", `${span(farm.status.now - task.ended_at)} ago`);
  const retry = element.querySelector(".retry");
  retry.hidden = !farm.retryable.includes(task.id);
  retry.dataset.target = task.id;
  const parts = [task.wait, task.swap ?? 0, task.run ?? 0, task.overhead];
  const whole = Math.max(0.001, parts.reduce((sum, part) => sum + part, 0));
  [...element.querySelectorAll(".bar .part")].forEach((part, number) => { part.style.width = `${(100 * parts[number]) / whole}%`; });
  const words = joined(`waited ${span(task.wait)}`, task.run != null && `${task.swap > 0.05 ? `swap ${span(task.swap)}` : "warm"}`,
    task.run != null && `ran ${span(task.run)}`);
  element.querySelector(".bar").setAttribute("aria-label", words);
  write(element, "facts", joined(words, task.visitor && `visitor ${task.visitor}`, task.worker, task.id.slice(0, 8)));
  write(element, "error .text", task.error || task.reason);
  element.querySelector(".error").hidden = !(task.error || task.reason);
  const more = element.querySelector(".more");
  more.hidden = !task.traceback;
  more.dataset.task = task.id;
}

export function fillSpace(element, space, farm) {
  const page = space.page;
  const revision = farm.hosted[space.name];
  const paused = space.terms.paused;
  const pinned = farm.pinned_by_file.includes(space.name) ? "file" : space.terms.pinned && "operator";
  const state = paused ? "paused" : page ? page.serving : "no page here";
  element.dataset.state = state;
  write(element, "name", page?.title || space.name);
  write(element, "pill", state);
  write(element, "facts", joined(
    page?.title && page.title !== space.name && space.name,
    `${space.running} running`,
    `${space.waiting} waiting`,
    space.expected_wait != null && `wait about ${span(space.expected_wait)}`,
    page?.memory_bytes && `${gigabytes(page.memory_bytes)} of this host`,
    revision?.revision > 0 && `revision ${revision.revision} (${revision.label}), made ${span(farm.status.now - revision.made_at)} ago`,
    pinned && `pinned${pinned === "file" ? " by farm.toml" : ""}`,
    space.terms.max_gpus != null && `at most ${space.terms.max_gpus} GPUs`,
    space.terms.priority && `priority ${space.terms.priority} s`,
  ));
  write(element, "error .text", page?.problem ?? "");
  element.querySelector(".error").hidden = !page?.problem;
  verb(element.querySelector(".pause"), paused ? "resume" : "pause", paused ? "Resume" : "Pause", space.name);
  verb(element.querySelector(".pin"), pinned ? "unpin" : "pin", pinned ? "Unpin" : "Pin", space.name);
  element.querySelector(".pin").hidden = pinned === "file";
  const load = element.querySelector(".early");
  load.hidden = paused || !space.functions.length || farm.status.workers.some((worker) => holds(worker, space.name));
  load.dataset.target = space.name;
  element.querySelector(".log").dataset.space = space.name;
  for (const button of element.querySelectorAll(".hosted")) {
    button.dataset.target = space.name;
    button.hidden = !revision || (button.dataset.verb === "rollback" && revision.revision < 2);
  }
}

function holds(worker, space) {
  return worker.residents.some((each) => each.space === space && each.level === ON_DEVICE);
}

export function fillQuota(element, { visitor, quota, reserved, tasks }) {
  write(element, "name", visitor);
  write(element, "left", quota.left == null ? "no limit" : `${Math.floor(quota.left)} s left`);
  write(element, "facts", joined(quota.tier, `${Math.ceil(quota.used)} s used${quota.limit == null ? "" : ` of ${Math.floor(quota.limit)}`}`,
    reserved > 0 && `${Math.ceil(reserved)} s reserved`, tasks > 0 && `${tasks} tasks`, quota.resets_in > 0 && `more in ${span(quota.resets_in)}`));
}

export function fillAction(element, action, now) {
  write(element, "name", joined(action.verb, action.target.slice(0, 24)));
  write(element, "ago", `${span(now - action.at)} ago`);
  write(element, "facts", joined(action.by, action.detail));
}

function verb(button, name, text, target) {
  button.dataset.verb = name;
  button.dataset.target = target;
  button.textContent = text;
}
