/** Small runs and journals for tests. Instants are milliseconds after an arbitrary start. */
import type { Entry, PlannedStep, Run, RunDetail } from "../api/types";

export const START = Date.parse("2026-01-02T03:04:05Z");

export function iso(ms: number): string {
  return new Date(START + ms).toISOString();
}

export function exampleRun(values: Partial<Run> = {}): Run {
  return {
    id: "019b7d00-0000-7000-8000-000000000001",
    app: { id: "app_1", namespace: "", name: "shop", environment: "dev" },
    definitionId: 1,
    kind: "function",
    definition: "order",
    revision: 1,
    status: "active",
    activity: "executing",
    reason: null,
    trigger: "manual",
    event: null,
    labels: {},
    error: null,
    steps: 0,
    pending: null,
    createdAt: iso(0),
    startedAt: iso(0),
    endedAt: null,
    rerunOf: null,
    ...values,
  };
}

export function exampleEntry(ordinal: number, entry: string, at: number, values: Partial<Entry> = {}): Entry {
  return {
    ordinal,
    entry,
    step: "load",
    type: "run",
    attempt: 1,
    data: null,
    error: null,
    due: null,
    calledAt: null,
    appMs: null,
    committedAt: iso(at),
    ...values,
  };
}

export function exampleDetail(run: Partial<Run>, entries: Entry[], plan: PlannedStep[] = []): RunDetail {
  return {
    run: exampleRun(run),
    input: { text: "{}", size: 2, truncated: false },
    output: null,
    error: null,
    entries,
    waits: [],
    plan,
    ordinal: entries.at(-1)?.ordinal ?? 0,
    more: false,
    serverTime: iso(0),
  };
}

export function planned(name: string, kind: string, values: Partial<PlannedStep> = {}): PlannedStep {
  return { name, kind, summary: "", depth: 0, parent: null, declaration: "{}", ...values };
}
