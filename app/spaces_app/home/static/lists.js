// For the home page and the operator's: lists that keep their elements, so that hover and focus survive an update; numbers in words.

export const one = (id) => document.getElementById(id);

export function show(list, name, items, key, fill) {
  const before = new Map([...list.children].map((element) => [element.dataset.key, element]));
  const wanted = items.map((item) => {
    const element = before.get(key(item)) ?? one(name).content.firstElementChild.cloneNode(true);
    element.dataset.key = key(item);
    fill(element, item);
    return element;
  });
  for (const element of [...list.children]) {
    if (!wanted.includes(element)) element.remove();
  }
  wanted.forEach((element, place) => {
    if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
  });
}

export function write(element, part, text) {
  const target = element.querySelector(`.${part}`);
  if (target.textContent !== text) target.textContent = text;
  return target;
}

export function tell(state, text) {
  one("live").dataset.state = state;
  if (one("live").textContent !== text) one("live").textContent = text;
}

export function joined(...parts) {
  return parts.filter(Boolean).join(" · ");
}

export function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.95) return `${Math.max(0, Math.round(seconds * 100)) / 100} s`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export function gigabytes(bytes) {
  return bytes < 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

// As `ON_DEVICE` of farm_status.py.
export const ON_DEVICE = "on the device";

export function resident({ space, level, held_bytes, host_bytes }) {
  const sizes = [held_bytes && gigabytes(held_bytes), host_bytes && `${gigabytes(host_bytes)} of the host`];
  const facts = [level !== ON_DEVICE && level, ...sizes].filter(Boolean).join(", ");
  return facts ? `${space} (${facts})` : space;
}

export const withoutProcess = (text) => text.replace(/ \(pid .*\)$/, "");
