/**
 * From times to places. Pure: the clock and the width are arguments, places are fractions of the width.
 *
 * A run that sleeps for an hour between steps of ten milliseconds would show nothing but the hour. A folded scale gives each
 * stretch of time in which nothing was executed a fixed small share, and the rest, in proportion, to what was.
 */
import type { Segment, SegmentKind, Span } from "../store/spans";

export interface Interval {
  start: number;
  end: number;
}

export interface Stretch extends Interval {
  from: number;
  to: number;
  folded: boolean;
}

export interface Scale extends Interval {
  stretches: Stretch[];
}

export interface Tick {
  at: number;
  place: number;
}

/** The kinds of segments in which a run holds nothing and does nothing. */
const IDLE: ReadonlySet<SegmentKind> = new Set(["retry", "sleeping", "waiting"]);
const FOLDED_SHARE = 0.05;
const FOLDED_MOST = 0.4;

export function domain(spans: Span[], run: { start: number; end: number | null }, now: number): Interval {
  let end = run.end ?? now;
  for (const span of spans) for (const segment of span.segments) end = Math.max(end, segment.end ?? 0);
  return { start: run.start, end: Math.max(end, run.start + 1) };
}

/** The stretches of at least a twentieth of the whole in which no span was busy. */
export function idle(spans: Span[], whole: Interval): Interval[] {
  const busy = spans
    .flatMap((span) => span.segments)
    .filter((segment) => !IDLE.has(segment.kind))
    .map((segment) => ({ start: segment.start, end: segment.end ?? whole.end }))
    .sort((a, b) => a.start - b.start);
  const found: Interval[] = [];
  let reached = whole.start;
  for (const { start, end } of [...busy, { start: whole.end, end: whole.end }]) {
    if (start - reached > (whole.end - whole.start) * FOLDED_SHARE) found.push({ start: reached, end: start });
    reached = Math.max(reached, end);
  }
  return found;
}

/** Folding helps where idle time is most of the whole. */
export function worthFolding(gaps: Interval[], whole: Interval): boolean {
  return gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0) > (whole.end - whole.start) * 0.5;
}

export function scale(whole: Interval, gaps: Interval[] = []): Scale {
  const share = gaps.length > 0 ? Math.min(FOLDED_SHARE * 2, FOLDED_MOST / gaps.length) : 0;
  const idleTime = gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
  const busyTime = whole.end - whole.start - idleTime;
  const unit = busyTime > 0 ? (1 - share * gaps.length) / busyTime : 0;
  const stretches: Stretch[] = [];
  let place = 0;
  let reached = whole.start;
  const lay = (interval: Interval, width: number, folded: boolean) => {
    if (width > 0) stretches.push({ ...interval, from: place, to: place + width, folded });
    place += width;
    reached = interval.end;
  };
  for (const gap of gaps) {
    lay({ start: reached, end: gap.start }, (gap.start - reached) * unit, false);
    lay(gap, busyTime > 0 ? share : 1 / gaps.length, true);
  }
  lay({ start: reached, end: whole.end }, (whole.end - reached) * unit, false);
  return { ...whole, stretches };
}

/** Where an instant is, from 0 to 1. */
export function place(scale: Scale, at: number): number {
  for (const stretch of scale.stretches) {
    if (at <= stretch.end) {
      const length = stretch.end - stretch.start;
      const within = length > 0 ? Math.max(0, at - stretch.start) / length : 0;
      return stretch.from + within * (stretch.to - stretch.from);
    }
  }
  return scale.stretches.length > 0 ? 1 : 0;
}

export interface Bar {
  left: number;
  width: number;
}

/** Where a segment is; an open one reaches to the end of the scale. */
export function bar(scale: Scale, segment: Segment): Bar {
  const left = place(scale, segment.start);
  return { left, width: Math.max(0, place(scale, segment.end ?? scale.end) - left) };
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000];
const LONGER = [900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000, 604_800_000];

/** Round times since the start, at least `apart` of the width from each other. */
export function ticks(scale: Scale, apart: number): Tick[] {
  const busy = scale.stretches.filter((stretch) => !stretch.folded);
  const widest = busy.reduce<Stretch | null>((found, each) => (!found || each.to - each.from > found.to - found.from ? each : found), null);
  if (!widest) return [];
  const perWidth = (widest.end - widest.start) / (widest.to - widest.from);
  const step = [...STEPS, ...LONGER].find((size) => size >= perWidth * apart);
  if (step === undefined) return [];
  const found: Tick[] = [];
  for (const stretch of busy) {
    const first = Math.ceil((stretch.start - scale.start) / step) * step;
    for (let since = first; scale.start + since <= stretch.end && found.length < 64; since += step) {
      const at = place(scale, scale.start + since);
      if (found.length === 0 || at - (found.at(-1)?.place ?? 0) >= apart * 0.9) found.push({ at: since, place: at });
    }
  }
  return found;
}

/** How long a run spent in each kind of segment, counting time that several spans share once, the busier kind first. */
export function totals(spans: Span[], whole: Interval): Record<SegmentKind | "engine", number> {
  const order: SegmentKind[] = ["executing", "dispatch", "queued", "retry", "waiting", "sleeping"];
  const segments = spans.flatMap((span) => span.segments);
  const edges = new Set<number>([whole.start, whole.end]);
  for (const segment of segments) edges.add(segment.start).add(segment.end ?? whole.end);
  const instants = [...edges].filter((at) => at >= whole.start && at <= whole.end).sort((a, b) => a - b);
  const sums = { executing: 0, dispatch: 0, queued: 0, retry: 0, waiting: 0, sleeping: 0, engine: 0 };
  for (const [index, start] of instants.entries()) {
    const end = instants[index + 1];
    if (end === undefined) break;
    const kinds = new Set(segments.filter((each) => each.start <= start && (each.end ?? whole.end) >= end).map((each) => each.kind));
    sums[order.find((kind) => kinds.has(kind)) ?? "engine"] += end - start;
  }
  return sums;
}
