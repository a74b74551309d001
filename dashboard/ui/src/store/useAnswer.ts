/** The answer to a GET, asked again every `every` milliseconds while the page is seen, and when `renew` is called. */
import { useCallback, useEffect, useRef, useState } from "react";

import { get } from "../api/client";

export interface Answer<Shape> {
  value: Shape | null;
  problem: string | null;
  renew(): void;
}

export function useAnswer<Shape>(path: string, every = 0): Answer<Shape> {
  const [answer, setAnswer] = useState<{ path: string; value: Shape } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const ask = useRef<() => void>(() => undefined);

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;
    const run = async () => {
      if (asking) return;
      asking = true;
      clearTimeout(timer);
      try {
        if (!document.hidden) {
          const value = await get<Shape>(path, abort.signal);
          setAnswer({ path, value });
          setProblem(null);
        }
      } catch (error) {
        if (!abort.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
      } finally {
        asking = false;
        if (!abort.signal.aborted && every > 0) timer = setTimeout(() => void run(), every);
      }
    };
    ask.current = () => void run();
    setProblem(null);
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, every]);

  const renew = useCallback(() => ask.current(), []);
  return { value: answer?.path === path ? answer.value : null, problem, renew };
}

/** `action`, at most once in `interval` milliseconds, the last call never lost. */
export function useThrottled(action: () => void, interval: number): () => void {
  const latest = useRef(action);
  latest.current = action;
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      latest.current();
    }, interval);
  }, [interval]);
}
