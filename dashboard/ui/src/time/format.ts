/** Durations and instants as people read them. Pure: `now` is an argument. */

const UNITS: [name: string, size: number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** `0.4 ms`, `12 ms`, `1.2 s`, `42 s`, `3m 20s`, `2h 5m`, `4d 2h`. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 10) return `${trim(value, 1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 9950) return `${trim(value / 1000, 1)} s`;
  if (value < 59_500) return `${Math.round(value / 1000)} s`;
  const rounded = value < 3_600_000 ? Math.round(value / 1000) * 1000 : Math.round(value / 60_000) * 60_000;
  const at = UNITS.findIndex(([, size]) => rounded >= size);
  const [name, size] = UNITS[at] ?? ["s", 1000];
  const [lesser, part] = UNITS[at + 1] ?? ["s", 1000];
  const rest = Math.floor((rounded % size) / part);
  return rest > 0 ? `${Math.floor(rounded / size)}${name} ${rest}${lesser}` : `${Math.floor(rounded / size)}${name}`;
}

/** `just now`, `12 s ago`, `in 3m 20s`. */
export function relative(instant: number, now: number): string {
  const distance = instant - now;
  if (Math.abs(distance) < 1000) return distance >= 0 ? "now" : "just now";
  return distance > 0 ? `in ${coarse(distance)}` : `${coarse(-distance)} ago`;
}

/** One unit for what is long past, two where the second matters. */
function coarse(ms: number): string {
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 600_000) return duration(Math.floor(ms / 1000) * 1000);
  const [name, size] = UNITS.find(([, unit]) => ms >= unit) ?? ["s", 1000];
  return `${Math.floor(ms / size)}${name}`;
}

/** The local date and time, to the second. */
export function instant(at: number): string {
  return new Date(at).toLocaleString(undefined, {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

/** The local time of day with milliseconds. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  if (size < 1_000_000) return `${trim(size / 1000, 1)} kB`;
  return `${trim(size / 1_000_000, 1)} MB`;
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

function trim(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0$/, "");
}
