/**
 * From a run's journal to the bars of its waterfall. Pure; times are milliseconds since the epoch, an open end is null.
 *
 * A bar has segments. From the moment a step could run to the moment its call left: `queued`. From there until the app took
 * it up, and the commit: `dispatch`. These two are the durable delay. The time in the app: `executing`. After a failed
 * attempt until its next try: `retry`. And `sleeping`, `waiting`. Where the journal tells the time spent in the app, it is
 * laid against the commit that ended it: that holds for one step a call and for many steps in one call alike.
 */
import type { Entry, ErrorData, PlannedStep } from "../api/types";
import type { Trace } from "./trace";

export type SegmentKind = "queued" | "dispatch" | "executing" | "retry" | "sleeping" | "waiting";
export type Outcome = "planned" | "running" | "retrying" | "sleeping" | "waiting" | "completed" | "failed" | "skipped" | "stopped";

export interface Segment {
  kind: SegmentKind;
  start: number;
  end: number | null;
  failed?: boolean;
}

export interface Attempt {
  number: number;
  ordinal: number;
  at: number;
  appMs: number | null;
  error: ErrorData | null;
  retryAt: number | null;
}

export interface Span {
  id: string;
  name: string;
  type: string;
  summary: string;
  depth: number;
  group: boolean;
  outcome: Outcome;
  segments: Segment[];
  attempts: Attempt[];
  result: Entry | null;
  declaration: string | null;
  due: number | null;
  awaiting: string | null;
}

/** What happened to the run as a whole, at an instant. */
export interface Marker {
  at: number;
  entry: string;
}

export interface Drawing {
  spans: Span[];
  markers: Marker[];
}

const LIVE = new Set(["executing", "queued", "compensating"]);
const TICK = 0.5;
/** The row of failures that no step can be blamed for. */
const HANDLER = "(handler)";

export function draw(trace: Trace): Drawing {
  return new Drafter(trace).draw();
}

class Drafter {
  private readonly spans = new Map<string, Span>();
  private readonly markers: Marker[] = [];
  private readonly planned: Map<string, PlannedStep>;
  /** The instants at which the run could go on: its start, and each result. */
  private readonly milestones: number[];
  /** Failed attempts of a step that nobody could name: they belong to whatever comes next. */
  private unnamed: Entry[] = [];

  constructor(private readonly trace: Trace) {
    this.planned = new Map(trace.plan.map((step) => [step.name, step]));
    this.milestones = [Date.parse(trace.run.createdAt)];
  }

  draw(): Drawing {
    for (const entry of this.trace.entries) this.add(entry);
    const active = this.trace.run.status === "active";
    if (this.unnamed.length > 0) this.span(HANDLER, "handler").outcome = active ? "retrying" : "failed";
    for (const wait of this.trace.waits) this.awaiting(wait);
    if (active && LIVE.has(this.trace.run.activity ?? "")) this.addRunning();
    if (!active) this.close(Date.parse(this.trace.run.endedAt ?? this.trace.run.createdAt));
    return { spans: this.ordered(), markers: this.markers };
  }

  private add(entry: Entry): void {
    const at = Date.parse(entry.committedAt);
    if (entry.step === null) {
      if (entry.entry === "attempt_failed") this.unnamed.push(entry);
      else if (!["run_completed", "run_failed", "run_cancelled"].includes(entry.entry)) {
        this.markers.push({ at, entry: entry.entry });
      }
      return;
    }
    const span = this.span(entry.step, entry.type);
    switch (entry.entry) {
      case "attempt_failed":
        this.attempt(span, entry, at);
        break;
      case "step_completed":
      case "step_failed":
        this.called(span, entry, at);
        this.settle(span, entry, entry.entry === "step_completed" ? "completed" : "failed", at);
        break;
      case "step_skipped":
        this.settle(span, entry, "skipped", at);
        break;
      case "wait_started": {
        const kind = entry.type === "sleep" ? "sleeping" : "waiting";
        span.segments.push({ kind, start: at, end: null });
        span.outcome = kind;
        span.due = entry.due === null ? null : Date.parse(entry.due);
        this.milestones.push(at);
        break;
      }
      case "wait_completed": {
        const open = span.segments.at(-1);
        if (open?.end === null) open.end = at;
        this.settle(span, entry, "completed", at);
        break;
      }
    }
  }

  private span(name: string, type: string | null): Span {
    let span = this.spans.get(name);
    if (!span) {
      const step = this.planned.get(name);
      span = blank(name, step?.kind ?? type ?? "run", step);
      this.spans.set(name, span);
      for (const entry of this.unnamed) this.attempt(span, entry, Date.parse(entry.committedAt));
      this.unnamed = [];
    }
    return span;
  }

  private attempt(span: Span, entry: Entry, at: number): void {
    this.called(span, entry, at);
    const retryAt = entry.due === null ? null : Date.parse(entry.due);
    span.attempts.push({ number: entry.attempt, ordinal: entry.ordinal, at, appMs: entry.appMs, error: entry.error, retryAt });
    if (retryAt !== null) span.segments.push({ kind: "retry", start: at, end: null });
    span.outcome = "retrying";
    span.due = retryAt;
  }

  /** The segments of one exchange with the app, which ended at `end`. */
  private called(span: Span, entry: Entry, end: number): void {
    const left = entry.calledAt === null ? null : Date.parse(entry.calledAt);
    const began = entry.appMs === null ? (left ?? end) : end - entry.appMs;
    const before = span.segments.at(-1);
    let ready = latest(this.milestones, began + TICK);
    if (before) {
      before.end ??= Math.min(left ?? began, span.due ?? Infinity, end);
      ready = Math.max(ready, before.end);
    }
    const start = Math.min(Math.max(began, ready), end);
    const sent = left === null ? ready : Math.min(Math.max(left, ready), start);
    const failed = entry.entry !== "step_completed";
    if (sent > ready) span.segments.push({ kind: "queued", start: ready, end: sent });
    if (start > sent) span.segments.push({ kind: "dispatch", start: sent, end: start });
    span.segments.push({ kind: "executing", start, end, ...(failed && { failed }) });
  }

  private settle(span: Span, entry: Entry, outcome: Outcome, at: number): void {
    span.outcome = outcome;
    span.result = entry;
    span.due = null;
    if (entry.entry !== "wait_completed" && entry.entry !== "step_skipped") {
      const { attempt: number, ordinal, appMs, error } = entry;
      span.attempts.push({ number, ordinal, at, appMs, error, retryAt: null });
    }
    this.milestones.push(at);
  }

  private awaiting(wait: Trace["waits"][number]): void {
    const span = this.spans.get(wait.step);
    if (!span) return;
    span.awaiting = wait.event;
    span.due = wait.due === null ? span.due : Date.parse(wait.due);
  }

  /** What the run is at now has no entry yet: a workflow's next steps are known, a function's are not. */
  private addRunning(): void {
    const kind: SegmentKind = this.trace.run.activity === "queued" ? "queued" : "executing";
    const due = [...this.spans.values()].filter((span) => span.outcome === "retrying");
    if (due.length > 0) {
      for (const span of due) this.run(span, kind);
      return;
    }
    const next = this.nextPlanned();
    if (next.length > 0) for (const step of next) this.run(this.span(step.name, null), kind);
    else {
      const name = kind === "queued" ? "next step" : "running";
      this.run(this.span(name, "live"), kind);
    }
  }

  private run(span: Span, kind: SegmentKind): void {
    const before = span.segments.at(-1);
    const start = Math.max(before ? (span.due ?? before.start) : 0, this.milestones.at(-1) ?? 0);
    if (before) before.end ??= start;
    span.segments.push({ kind, start, end: null });
    span.outcome = "running";
  }

  private nextPlanned(): PlannedStep[] {
    if (this.trace.run.activity === "compensating") return [];
    const settled = (step: PlannedStep) => this.spans.get(step.name)?.result != null;
    const first = this.trace.plan.find((step) => !isGroup(step) && !settled(step));
    if (!first) return [];
    const parent = first.parent === null ? undefined : this.planned.get(first.parent);
    if (parent?.kind !== "parallel") return [first];
    return this.trace.plan.filter((step) => step.parent === parent.name && !settled(step) && !this.spans.has(step.name));
  }

  private close(end: number): void {
    for (const span of this.spans.values()) {
      const last = span.segments.at(-1);
      if (last?.end === null) last.end = Math.max(last.start, end);
      if (span.result === null && span.outcome !== "planned" && span.outcome !== "failed") span.outcome = "stopped";
    }
  }

  /** A workflow's steps as declared, with those still to come; then what the plan does not name, in the order it began. */
  private ordered(): Span[] {
    const listed = this.trace.plan.map((step) => {
      const span = this.spans.get(step.name) ?? blank(step.name, step.kind, step);
      span.group = isGroup(step) && span.segments.length === 0;
      return span;
    });
    for (const span of listed.filter((each) => each.group)) this.gather(span, listed);
    return [...listed, ...[...this.spans.values()].filter((span) => !this.planned.has(span.id))];
  }

  private gather(group: Span, listed: Span[]): void {
    const members = listed.filter((span) => this.planned.get(span.id)?.parent === group.id);
    const begun = members.filter((span) => span.segments.length > 0);
    if (begun.length === 0) return;
    if (members.some((span) => span.outcome === "failed")) group.outcome = "failed";
    else if (members.every((span) => span.result !== null)) group.outcome = "completed";
    else group.outcome = this.trace.run.status === "active" ? "running" : "stopped";
  }
}

function isGroup(step: PlannedStep): boolean {
  return step.kind === "parallel" || step.kind === "switch";
}

function blank(name: string, type: string, step: PlannedStep | undefined): Span {
  return {
    id: name,
    name,
    type,
    summary: step?.summary ?? "",
    depth: step?.depth ?? 0,
    group: false,
    outcome: "planned",
    segments: [],
    attempts: [],
    result: null,
    declaration: step?.declaration ?? null,
    due: null,
    awaiting: null,
  };
}

/** The latest instant that is not after `bound`; the first if all are. */
function latest(instants: number[], bound: number): number {
  let found = instants[0] ?? bound;
  for (const at of instants) if (at <= bound && at > found) found = at;
  return found;
}
