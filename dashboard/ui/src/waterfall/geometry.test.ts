import { describe, expect, it } from "vitest";

import type { Segment, SegmentKind, Span } from "../store/spans";
import { bar, domain, idle, place, scale, ticks, totals, worthFolding } from "./geometry";

const span = (...segments: [SegmentKind, number, number | null][]): Span => ({
  id: "s",
  name: "s",
  type: "run",
  summary: "",
  depth: 0,
  group: false,
  outcome: "completed",
  segments: segments.map(([kind, start, end]): Segment => ({ kind, start, end })),
  attempts: [],
  result: null,
  declaration: null,
  due: null,
  awaiting: null,
});

describe("the scale", () => {
  it("spans a run from its creation to its end, or to now", () => {
    expect(domain([], { start: 100, end: 400 }, 900)).toEqual({ start: 100, end: 400 });
    expect(domain([], { start: 100, end: null }, 900)).toEqual({ start: 100, end: 900 });
    expect(domain([], { start: 100, end: null }, 50)).toEqual({ start: 100, end: 101 });
  });

  it("places instants in proportion and never outside", () => {
    const plain = scale({ start: 0, end: 200 });
    expect([-5, 0, 50, 200, 300].map((at) => place(plain, at))).toEqual([0, 0, 0.25, 1, 1]);
  });

  it("draws an open segment to the present", () => {
    expect(bar(scale({ start: 0, end: 200 }), { kind: "executing", start: 50, end: null })).toEqual({ left: 0.25, width: 0.75 });
  });

  it("folds an hour of sleep into a small share and keeps the order of everything", () => {
    const spans = [span(["executing", 0, 10], ["sleeping", 10, 3_600_010], ["executing", 3_600_010, 3_600_020])];
    const whole = { start: 0, end: 3_600_020 };
    const gaps = idle(spans, whole);
    expect(gaps).toEqual([{ start: 10, end: 3_600_010 }]);
    expect(worthFolding(gaps, whole)).toBe(true);
    const folded = scale(whole, gaps);
    expect(place(folded, 10)).toBeCloseTo(0.45);
    expect(place(folded, 3_600_010)).toBeCloseTo(0.55);
    expect(place(folded, 3_600_020)).toBeCloseTo(1);
  });

  it("folds a run that has done nothing but wait into one stretch", () => {
    const folded = scale({ start: 0, end: 100 }, [{ start: 0, end: 100 }]);
    expect(folded.stretches).toEqual([{ start: 0, end: 100, from: 0, to: 1, folded: true }]);
  });

  it("does not fold what overlaps with work", () => {
    expect(idle([span(["sleeping", 0, 1000]), span(["executing", 0, 1000])], { start: 0, end: 1000 })).toEqual([]);
  });
});

describe("ticks", () => {
  it("are round times, far enough apart", () => {
    expect(ticks(scale({ start: 0, end: 1000 }), 0.2).map((tick) => tick.at)).toEqual([0, 200, 400, 600, 800, 1000]);
  });

  it("are never too many, whatever the length", () => {
    for (let length = 1; length < 1e12; length *= 7) {
      expect(ticks(scale({ start: 0, end: length }), 0.1).length).toBeLessThanOrEqual(11);
    }
  });
});

describe("totals", () => {
  it("count each moment once, the busier kind first", () => {
    const spans = [span(["queued", 0, 10], ["executing", 10, 60]), span(["executing", 10, 40], ["sleeping", 40, 100])];
    expect(totals(spans, { start: 0, end: 110 })).toEqual({
      queued: 10,
      dispatch: 0,
      executing: 50,
      retry: 0,
      sleeping: 40,
      waiting: 0,
      engine: 10,
    });
  });
});
