/** Why a run that is due is not going on: what keeps its app from being called. */
import type { Run } from "../api/types";

const REASONS: Record<string, string> = {
  EndpointUnreachable: "its app can’t be reached",
  ClockSkewed: "its app’s clock is wrong",
};

/** In words, or null when nothing is wrong. */
export function heldBy(run: Pick<Run, "activity" | "reason">): string | null {
  if (run.activity !== "queued" || run.reason === null) return null;
  return REASONS[run.reason] ?? run.reason;
}
