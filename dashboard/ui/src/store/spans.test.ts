import { describe, expect, it } from "vitest";

import type { Entry, PlannedStep, Run } from "../api/types";
import { exampleDetail, exampleEntry, iso, planned, START } from "./examples";
import { draw, type Span } from "./spans";
import { advance, open } from "./trace";

const spansOf = (run: Partial<Run>, entries: Entry[], plan: PlannedStep[] = []) => draw(open(exampleDetail(run, entries, plan))).spans;
const segments = (span: Span | undefined) =>
  span?.segments.map(({ kind, start, end }) => [kind, start - START, end === null ? null : end - START]);
const ended: Partial<Run> = { status: "completed", activity: null, endedAt: iso(1000) };

describe("the trace", () => {
  it("takes an entry once, whether it comes in the snapshot, in the stream or twice", () => {
    const [first, second] = [exampleEntry(1, "step_completed", 10), exampleEntry(2, "step_completed", 20, { step: "save" })];
    const detail = exampleDetail({}, [first]);
    let trace = open(detail);
    for (const entries of [[first, second], [second], []]) trace = advance(trace, { ...detail, entries, ordinal: 2 });
    expect(trace.entries.map((entry) => entry.ordinal)).toEqual([1, 2]);
  });

  it("does not go back to an older state of the run", () => {
    const detail = exampleDetail({ status: "completed", activity: null }, [exampleEntry(1, "step_completed", 10)]);
    const older = { ...exampleDetail({}, []), ordinal: 0 };
    expect(advance(open(detail), older).run.status).toBe("completed");
  });
});

describe("a bar", () => {
  it("is split into the wait for a worker, the way to the app, and the app's own time", () => {
    const [span] = spansOf(ended, [exampleEntry(1, "step_completed", 100, { calledAt: iso(20), appMs: 70 })]);
    expect(segments(span)).toEqual([
      ["queued", 0, 20],
      ["dispatch", 20, 30],
      ["executing", 30, 100],
    ]);
  });

  it("begins where the step before it ended, also when one call carried both", () => {
    const entries = [
      exampleEntry(1, "step_completed", 50, { calledAt: iso(10), appMs: 30 }),
      exampleEntry(2, "step_completed", 90, { step: "save", calledAt: iso(10), appMs: 35 }),
    ];
    expect(segments(spansOf(ended, entries)[1])).toEqual([
      ["dispatch", 50, 55],
      ["executing", 55, 90],
    ]);
  });

  it("of a parallel branch begins with its own call, not with its sibling's end", () => {
    const entries = [
      exampleEntry(1, "step_completed", 30, { step: "mail", calledAt: iso(5), appMs: 25 }),
      exampleEntry(2, "step_completed", 80, { step: "sms", calledAt: iso(5), appMs: 75 }),
    ];
    expect(segments(spansOf(ended, entries)[1])).toEqual([
      ["queued", 0, 5],
      ["executing", 5, 80],
    ]);
  });

  it("shows each attempt and the time between them", () => {
    const entries = [
      exampleEntry(1, "attempt_failed", 50, { calledAt: iso(0), appMs: 50, due: iso(250), error: { name: "E", message: "m", stack: null, retryable: true } }),
      exampleEntry(2, "step_completed", 300, { attempt: 2, calledAt: iso(260), appMs: 40 }),
    ];
    const [span] = spansOf(ended, entries);
    expect(segments(span)).toEqual([
      ["executing", 0, 50],
      ["retry", 50, 250],
      ["queued", 250, 260],
      ["executing", 260, 300],
    ]);
    expect(span?.attempts.map((attempt) => [attempt.number, attempt.error?.message ?? null])).toEqual([
      [1, "m"],
      [2, null],
    ]);
    expect(span?.segments[0]?.failed).toBe(true);
  });

  it("gets the failures that came before anybody knew the step's name", () => {
    const entries = [
      exampleEntry(1, "attempt_failed", 20, { step: null, calledAt: iso(0), appMs: 20, due: iso(60) }),
      exampleEntry(2, "step_completed", 90, { calledAt: iso(60), appMs: 30 }),
    ];
    expect(segments(spansOf(ended, entries)[0])?.map(([kind]) => kind)).toEqual(["executing", "retry", "executing"]);
  });

  it("of its own shows a failure that no step can be blamed for", () => {
    const failed: Partial<Run> = { status: "failed", activity: null, endedAt: iso(60) };
    const entries = [exampleEntry(1, "step_completed", 20), exampleEntry(2, "attempt_failed", 50, { step: null, type: null, appMs: 25 })];
    expect(spansOf(failed, entries).map((span) => [span.name, span.outcome])).toEqual([
      ["load", "completed"],
      ["(handler)", "failed"],
    ]);
  });

  it("of a sleep is open until it has ended", () => {
    const started = exampleEntry(1, "wait_started", 10, { step: "cool", type: "sleep", due: iso(500) });
    const sleeping = spansOf({ activity: "sleeping" }, [started])[0];
    expect(segments(sleeping)).toEqual([["sleeping", 10, null]]);
    expect(sleeping?.due).toBe(START + 500);
    const over = spansOf(ended, [started, exampleEntry(2, "wait_completed", 501, { step: "cool", type: "sleep" })])[0];
    expect(segments(over)).toEqual([["sleeping", 10, 501]]);
  });

  it("stops where the run was cancelled", () => {
    const started = exampleEntry(1, "wait_started", 10, { step: "approve", type: "wait" });
    const [span] = spansOf({ status: "cancelled", activity: null, endedAt: iso(400) }, [started]);
    expect(segments(span)).toEqual([["waiting", 10, 400]]);
    expect(span?.outcome).toBe("stopped");
  });

  it("of a running function grows under a name of its own", () => {
    const spans = spansOf({}, [exampleEntry(1, "step_completed", 40, { calledAt: iso(0), appMs: 40 })]);
    expect(spans.map((span) => [span.name, span.outcome])).toEqual([
      ["load", "completed"],
      ["running", "running"],
    ]);
    expect(segments(spans[1])).toEqual([["executing", 40, null]]);
  });
});

describe("a workflow", () => {
  const plan = [
    planned("reserve", "call"),
    planned("tell", "parallel"),
    planned("mail", "call", { depth: 1, parent: "tell" }),
    planned("sms", "call", { depth: 1, parent: "tell" }),
    planned("cool", "sleep"),
  ];
  const reserved = exampleEntry(1, "step_completed", 40, { step: "reserve", type: "call", calledAt: iso(0), appMs: 40 });

  it("shows its plan: what has ended, what runs now, what is still to come", () => {
    const spans = spansOf({ kind: "workflow" }, [reserved], plan);
    expect(spans.map((span) => [span.name, span.outcome])).toEqual([
      ["reserve", "completed"],
      ["tell", "running"],
      ["mail", "running"],
      ["sms", "running"],
      ["cool", "planned"],
    ]);
    expect(spans[1]?.group).toBe(true);
  });

  it("that failed shows what was never reached", () => {
    const failed = exampleEntry(1, "step_failed", 40, { step: "reserve", type: "call" });
    const spans = spansOf({ kind: "workflow", status: "failed", activity: null, endedAt: iso(50) }, [failed], plan);
    expect(spans.map((span) => span.outcome)).toEqual(["failed", "planned", "planned", "planned", "planned"]);
  });

  it("names what happened to the run between its steps", () => {
    const lost = exampleEntry(2, "lease_lost", 60, { step: null, type: null });
    const { markers } = draw(open(exampleDetail({ kind: "workflow" }, [reserved, lost], plan)));
    expect(markers).toEqual([{ at: START + 60, entry: "lease_lost" }]);
  });
});
