import { describe, expect, it } from "vitest";

import type { Run, RunList, RunsChange } from "../api/types";
import { exampleRun, iso } from "./examples";
import { MOST, nothing, reduceRuns, type RunsState } from "./runs";

const id = (n: number) => `019b7d00-0000-7000-8000-${String(n).padStart(12, "0")}`;
const run = (n: number, values: Partial<Run> = {}) => exampleRun({ id: id(n), ...values });
const page = (runs: Run[], next: string | null = null): RunList => ({ items: runs, next, cursor: "1-x", serverTime: iso(0) });
const change = (runs: Run[], left: string[] = []): RunsChange => ({ runs, left, serverTime: iso(0) });
const shown = (state: RunsState) => state.items.map((item) => Number(item.id.slice(-12)));
const read = (runs: Run[], next: string | null = null) => reduceRuns(nothing, { type: "read", page: page(runs, next) });

describe("the runs list", () => {
  it("puts a new run first and replaces one that it shows", () => {
    const state = reduceRuns(read([run(2), run(1)]), { type: "changed", change: change([run(1, { activity: "waiting" }), run(3)]) });
    expect(shown(state)).toEqual([3, 2, 1]);
    expect(state.items[2]?.activity).toBe("waiting");
    expect([...state.arrived]).toEqual([id(3)]);
  });

  it("drops a run that no longer matches", () => {
    expect(shown(reduceRuns(read([run(2), run(1)]), { type: "changed", change: change([], [id(2)]) }))).toEqual([1]);
  });

  it("leaves a changed run on the later page that it belongs to", () => {
    const state = reduceRuns(read([run(9), run(8)], id(8)), { type: "changed", change: change([run(3)]) });
    expect(shown(state)).toEqual([9, 8]);
  });

  it("lets a page add only what the stream has not told better", () => {
    let state = reduceRuns(read([run(5)], id(5)), { type: "asked" });
    state = reduceRuns(state, { type: "changed", change: change([run(5, { status: "completed", activity: null })], [id(4)]) });
    state = reduceRuns(state, { type: "paged", page: page([run(5), run(4), run(3)]) });
    expect(shown(state)).toEqual([5, 3]);
    expect(state.items[0]?.status).toBe("completed");
  });

  it("keeps new runs aside while the reader is away from the top, and changes those in view", () => {
    let state = reduceRuns(read([run(1)]), { type: "hold", on: true });
    state = reduceRuns(state, { type: "changed", change: change([run(2), run(1, { activity: "sleeping" })]) });
    expect(shown(state)).toEqual([1]);
    expect(state.items[0]?.activity).toBe("sleeping");
    expect(shown(reduceRuns(state, { type: "hold", on: false }))).toEqual([2, 1]);
  });

  it("never grows past its bound, and pages on below what is left", () => {
    const many = Array.from({ length: MOST }, (_, n) => run(MOST - n));
    const state = reduceRuns(read(many), { type: "changed", change: change([run(MOST + 1)]) });
    expect(state.items.length).toBe(MOST);
    expect(state.next).toBe(id(2));
  });
});
