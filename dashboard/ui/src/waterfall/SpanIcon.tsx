/** What kind of step a row is; its colour says how it stands. */
import type { Outcome } from "../store/spans";

const PATHS: Record<string, string> = {
  sleep: "M5.5 4.5h5l-5 7h5",
  wait: "M6 4.5v7M10 4.5v7",
  waitForEvent: "M6 4.5v7M10 4.5v7",
  waitForSignal: "M6 4.5v7M10 4.5v7",
  parallel: "M4 5h3.5L10 8 7.5 11H4M10 8h2.5",
  switch: "M4 8h3l2-3h3M7 8l2 3h3",
  http: "M3.5 8h9M8 3.5c2.5 2.4 2.5 6.6 0 9-2.5-2.4-2.5-6.6 0-9z",
  sendEvent: "M3.5 8h8M8.5 5l3 3-3 3",
  compensate: "M11.5 10.8V9a2.4 2.4 0 0 0-2.4-2.4H4.8M7 4.4 4.8 6.6 7 8.8",
  workflow: "M4 4.5h3.5v3H4zM8.5 8.5H12v3H8.5zM5.8 7.5V10h2.7",
};
const RUN = "M6 4.6v6.8L11.6 8z";

export function SpanIcon({ type, outcome }: { type: string; outcome: Outcome }) {
  return (
    <svg className={`span-icon outcome-${outcome}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[type] ?? RUN} />
    </svg>
  );
}
