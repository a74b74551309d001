/** Figures as pictures. Each says in words what it shows. */
import type { Minute, RecentRun, StateCount, Stats } from "../api/types";
import { type State, stateOf } from "../api/types";
import { count, duration, timeOfDay } from "../time/format";
import { Link } from "../router";
import { label } from "./Status";

const ORDER: State[] = ["executing", "compensating", "queued", "scheduled", "waiting", "sleeping", "paused", "completed", "failed", "cancelled"];

export function countsByState(counts: StateCount[]): Map<State, number> {
  const found = new Map<State, number>();
  for (const row of counts) found.set(stateOf(row), (found.get(stateOf(row)) ?? 0) + row.runs);
  return new Map(ORDER.filter((state) => (found.get(state) ?? 0) > 0).map((state) => [state, found.get(state) ?? 0]));
}

/** One bar of all runs. Small shares keep a visible width. */
export function StateBar({ counts }: { counts: StateCount[] }) {
  const states = countsByState(counts);
  const total = [...states.values()].reduce((sum, runs) => sum + runs, 0);
  const words = [...states].map(([state, runs]) => `${count(runs)} ${label(state).toLowerCase()}`).join(", ");
  return (
    <div className="state-bar" role="img" aria-label={total > 0 ? `Runs by state: ${words}` : "No runs yet"}>
      {[...states].map(([state, runs]) => (
        <i key={state} className={`fill-${state}`} style={{ flexGrow: runs / total }} title={`${label(state)}: ${count(runs)}`} />
      ))}
    </div>
  );
}

const SERIES = ["failed", "cancelled", "active", "completed"] as const;

/** Runs by the minute in which they were created, coloured by how they stand now. */
export function Throughput({ minutes }: { minutes: Stats["minutes"] }) {
  const totals = minutes.map(total);
  const top = Math.max(1, ...totals);
  const full = minutes.at(-2);
  const now = minutes.at(-1);
  const fresh = (!full || total(full) === 0) && now !== undefined && total(now) > 0;
  const shown = fresh ? now : full;
  const width = 100 / Math.max(1, minutes.length);
  return (
    <figure className="throughput">
      <figcaption>
        <strong>{shown ? count(total(shown)) : 0}</strong> <span className="muted">runs in {fresh ? "this" : "the last full"} minute</span>
      </figcaption>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={`Runs by minute over ${minutes.length} minutes, at most ${top} in one`}>
        {minutes.map((minute, column) => {
          let reached = 100;
          return (
            <g key={minute.at}>
              <title>{`${timeOfDay(Date.parse(minute.at)).slice(0, 5)}: ${count(total(minute))} runs, ${count(minute.failed)} failed`}</title>
              <rect className="column" x={column * width} y={0} width={width} height={100} />
              {SERIES.map((series) => {
                const height = (minute[series] / top) * 96;
                reached -= height;
                return height > 0 && <rect key={series} className={`fill-${series}`} x={column * width + width * 0.14} y={reached} width={width * 0.72} height={height} />;
              })}
            </g>
          );
        })}
      </svg>
    </figure>
  );
}

function total(minute: Minute): number {
  return minute.active + minute.completed + minute.failed + minute.cancelled;
}

/** A definition's last runs, oldest first: height is how long each took, colour how it ended. */
export function RecentRuns({ runs }: { runs: RecentRun[] }) {
  if (runs.length === 0) return <span className="muted">no runs yet</span>;
  const longest = Math.max(...runs.map((run) => run.seconds), 0.001);
  return (
    <ol className="recent" aria-label={`The last ${runs.length} runs`}>
      {[...runs].reverse().map((run) => {
        const state = stateOf(run);
        const words = `${label(state)} · ${duration(run.seconds * 1000)}`;
        return (
          <li key={run.id}>
            <Link href={`/runs/${run.id}`} title={words} aria-label={words} tabIndex={-1}>
              <i className={`fill-${state}`} style={{ height: `${18 + 82 * Math.sqrt(run.seconds / longest)}%` }} />
            </Link>
          </li>
        );
      })}
    </ol>
  );
}
