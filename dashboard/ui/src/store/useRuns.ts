/** The live list: read once, then followed from the cursor that came with it. Asked anew when the filter changes. */
import { useCallback, useEffect, useReducer, useRef, useState } from "react";

import { get, Refused } from "../api/client";
import { follow, type Link } from "../api/stream";
import type { RunList, RunsChange } from "../api/types";
import { heardTime } from "../time/clock";
import { nothing, reduceRuns, type RunsState } from "./runs";

export interface LiveRuns {
  state: RunsState;
  link: Link;
  problem: string | null;
  paging: boolean;
  more(): void;
  hold(on: boolean): void;
}

export function useRuns(query: string, onChange: () => void): LiveRuns {
  const [state, dispatch] = useReducer(reduceRuns, nothing);
  const [link, setLink] = useState<Link>("connecting");
  const [problem, setProblem] = useState<string | null>(null);
  const [paging, setPaging] = useState(false);
  const changed = useRef(onChange);
  changed.current = onChange;

  useEffect(() => {
    const abort = new AbortController();
    let unfollow: () => void = () => undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;

    const begin = async () => {
      unfollow();
      try {
        const page = await get<RunList>(`/runs?${query}`, abort.signal);
        heardTime(page.serverTime);
        dispatch({ type: "read", page });
        setProblem(null);
        unfollow = follow({ path: `/stream?${query}`, after: page.cursor, onMessage: heard, onLink: setLink });
      } catch (error) {
        if (abort.signal.aborted) return;
        setProblem(error instanceof Refused ? error.message : String(error));
        if (!(error instanceof Refused) || error.status === 0 || error.status >= 500) retry = setTimeout(() => void begin(), 3000);
      }
    };
    const heard = (event: string, data: unknown) => {
      if (event === "resync") return void begin();
      const change = data as RunsChange;
      heardTime(change.serverTime);
      dispatch({ type: "changed", change });
      changed.current();
    };
    void begin();
    return () => {
      abort.abort();
      clearTimeout(retry);
      unfollow();
    };
  }, [query]);

  const { next } = state;
  const more = useCallback(() => {
    if (next === null || paging) return;
    setPaging(true);
    dispatch({ type: "asked" });
    get<RunList>(`/runs?${query}&before=${next}`)
      .then((page) => dispatch({ type: "paged", page }))
      .catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)))
      .finally(() => setPaging(false));
  }, [next, paging, query]);
  const hold = useCallback((on: boolean) => dispatch({ type: "hold", on }), []);
  return { state, link, problem, paging, more, hold };
}
