/**
 * One run as a pure reducer: the journal's entries are canonical, everything drawn is derived from them (`spans.ts`).
 *
 * Snapshot and stream go through the same guard: an entry at or below the ordinal already held is known and dropped, and the
 * run's own state is taken from whatever has seen at least as much of the journal.
 */
import type { Entry, PlannedStep, Payload, Run, RunChange, RunDetail } from "../api/types";

export interface Trace {
  run: Run;
  input: Payload;
  output: Payload | null;
  error: Payload | null;
  plan: PlannedStep[];
  entries: Entry[];
  waits: RunChange["waits"];
  ordinal: number;
}

export function open(detail: RunDetail): Trace {
  const { run, input, output, error, plan, entries, waits, ordinal } = detail;
  return { run, input, output, error, plan, entries, waits, ordinal };
}

export function advance(trace: Trace, change: RunChange): Trace {
  const fresh = change.entries.filter((entry) => entry.ordinal > trace.ordinal);
  if (change.ordinal < trace.ordinal) return trace;
  return {
    ...trace,
    run: change.run,
    output: change.output,
    error: change.error,
    waits: change.waits,
    entries: fresh.length > 0 ? [...trace.entries, ...fresh] : trace.entries,
    ordinal: change.ordinal,
  };
}
