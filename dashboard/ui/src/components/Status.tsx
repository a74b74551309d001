/** A run's state as a mark and a word: never by colour alone. */
import { type State, stateOf } from "../api/types";
import type { Run } from "../api/types";

const LABELS: Record<State, string> = {
  queued: "Queued",
  scheduled: "Scheduled",
  executing: "Executing",
  waiting: "Waiting",
  sleeping: "Sleeping",
  compensating: "Compensating",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

const PATHS: Record<State, string> = {
  completed: "M4 8.5 6.8 11.2 12 5.4",
  failed: "M5 5l6 6M11 5l-6 6",
  cancelled: "M4.5 8h7",
  executing: "M6 4.6v6.8L11.6 8z",
  queued: "M4.6 8h.01M8 8h.01M11.4 8h.01",
  scheduled: "M8 4.6V8l2.4 1.6",
  waiting: "M6 4.8v6.4M10 4.8v6.4",
  sleeping: "M5.5 5h5l-5 6h5",
  compensating: "M11.5 10.8V9a2.4 2.4 0 0 0-2.4-2.4H4.8M7 4.4 4.8 6.6 7 8.8",
  paused: "M8 4.6v4M8 11.2h.01",
};

export function label(state: State): string {
  return LABELS[state];
}

export function StateIcon({ state }: { state: State }) {
  return (
    <svg className={`state-icon is-${state}`} viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="8" cy="8" r="7.25" />
      <path d={PATHS[state]} />
    </svg>
  );
}

export function Status({ run, large }: { run: Pick<Run, "status" | "activity">; large?: boolean }) {
  const state = stateOf(run);
  return (
    <span className={`status is-${state}${large ? " status-large" : ""}`}>
      <StateIcon state={state} />
      {LABELS[state]}
    </span>
  );
}
