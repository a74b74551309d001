/** One live run: its snapshot, then its stream from the snapshot's ordinal on. */
import { useEffect, useState } from "react";

import { get, Refused } from "../api/client";
import { follow, type Link } from "../api/stream";
import type { RunChange, RunDetail } from "../api/types";
import { heardTime } from "../time/clock";
import { advance, open, type Trace } from "./trace";

export interface LiveTrace {
  trace: Trace | null;
  link: Link;
  problem: { message: string; missing: boolean } | null;
}

export function useTrace(id: string): LiveTrace {
  const [trace, setTrace] = useState<Trace | null>(null);
  const [link, setLink] = useState<Link>("connecting");
  const [problem, setProblem] = useState<LiveTrace["problem"]>(null);

  useEffect(() => {
    const abort = new AbortController();
    let unfollow: () => void = () => undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const begin = async () => {
      try {
        const detail = await get<RunDetail>(`/runs/${id}`, abort.signal);
        heardTime(detail.serverTime);
        setTrace(open(detail));
        setProblem(null);
        unfollow = follow({
          path: `/runs/${id}/stream`,
          after: String(detail.ordinal),
          onLink: setLink,
          onMessage(_, data) {
            const change = data as RunChange;
            heardTime(change.serverTime);
            setTrace((trace) => trace && advance(trace, change));
          },
        });
      } catch (error) {
        if (abort.signal.aborted) return;
        const status = error instanceof Refused ? error.status : 0;
        setProblem({ message: error instanceof Error ? error.message : String(error), missing: status === 404 || status === 400 });
        if (status === 0 || status >= 500) retry = setTimeout(() => void begin(), 3000);
      }
    };
    setTrace(null);
    void begin();
    return () => {
      abort.abort();
      clearTimeout(retry);
      unfollow();
    };
  }, [id]);

  return { trace, link, problem };
}
