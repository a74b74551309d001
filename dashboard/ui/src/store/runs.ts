/**
 * The runs list as a pure reducer: pages and the stream go through one guard.
 *
 * A message of the stream was read later than any page before it, so the stream always wins over what is shown, and a page
 * adds only what is not. A run that left the filter while a page was on its way stays out (`left`). While the reader is
 * away from the top (`hold`), new runs are kept aside, so that nothing moves under the pointer.
 */
import type { Run, RunList, RunsChange } from "../api/types";

export interface RunsState {
  items: Run[];
  held: Run[];
  next: string | null;
  loaded: boolean;
  holding: boolean;
  arrived: ReadonlySet<string>;
  left: ReadonlySet<string> | null;
}

export type RunsAction =
  | { type: "read"; page: RunList }
  | { type: "asked" }
  | { type: "paged"; page: RunList }
  | { type: "changed"; change: RunsChange }
  | { type: "hold"; on: boolean };

/** As many rows as a live list keeps; older ones are paged in again on demand. */
export const MOST = 400;

export const nothing: RunsState = {
  items: [],
  held: [],
  next: null,
  loaded: false,
  holding: false,
  arrived: new Set(),
  left: null,
};

export function reduceRuns(state: RunsState, action: RunsAction): RunsState {
  switch (action.type) {
    case "read":
      return { ...nothing, holding: state.holding, items: action.page.items, next: action.page.next, loaded: true };
    case "asked":
      return { ...state, left: new Set() };
    case "paged": {
      const known = new Set([...state.items, ...state.held].map((run) => run.id));
      const fresh = action.page.items.filter((run) => !known.has(run.id) && !state.left?.has(run.id));
      return { ...state, items: merge(state.items, fresh), next: action.page.next, left: null };
    }
    case "changed":
      return changed(state, action.change);
    case "hold":
      if (action.on) return { ...state, holding: true };
      return { ...state, holding: false, items: merge(state.items, state.held), held: [], arrived: ids(state.held) };
  }
}

function changed(state: RunsState, change: RunsChange): RunsState {
  const now = new Map(change.runs.map((run) => [run.id, run]));
  const gone = new Set(change.left);
  const still = (runs: Run[]) => runs.filter((run) => !gone.has(run.id)).map((run) => now.get(run.id) ?? run);
  const items = still(state.items);
  const held = still(state.held);
  const known = ids([...items, ...held]);
  const oldest = state.next === null ? "" : (state.items.at(-1)?.id ?? "");
  const fresh = change.runs.filter((run) => !known.has(run.id) && run.id > oldest);
  const left = state.left && new Set([...state.left, ...change.left].filter((id) => !now.has(id)));
  if (state.holding) return { ...state, items, held: merge(held, fresh), left };
  return trimmed({ ...state, items: merge(items, fresh), held, left, arrived: ids(fresh) });
}

/** Without the oldest rows of a list that has grown too long; paging goes on below what is left. */
function trimmed(state: RunsState): RunsState {
  if (state.items.length <= MOST) return state;
  const items = state.items.slice(0, MOST);
  return { ...state, items, next: items.at(-1)?.id ?? null };
}

/** Newest first; ids are in the order of creation. */
function merge(shown: Run[], fresh: Run[]): Run[] {
  if (fresh.length === 0) return shown;
  return [...shown, ...fresh].sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
}

function ids(runs: Run[]): Set<string> {
  return new Set(runs.map((run) => run.id));
}
