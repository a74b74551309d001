/**
 * The server's time, ticking. Instants come from the server and durations are measured against its clock: the browser's
 * may be minutes off. All that ticks on a page ticks together.
 */
import { useSyncExternalStore } from "react";

let offset = 0;

/** Take the server's time from any answer that carries it. */
export function heardTime(serverTime: string): void {
  const measured = Date.parse(serverTime) - Date.now();
  if (Math.abs(measured - offset) > 250) offset = measured;
}

export function serverNow(): number {
  return Date.now() + offset;
}

interface Ticker {
  subscribe(listener: () => void): () => void;
  now(): number;
}

const tickers = new Map<number, Ticker>();

function ticker(interval: number): Ticker {
  const listeners = new Set<() => void>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let current = serverNow();
  return {
    subscribe(listener) {
      listeners.add(listener);
      if (timer === undefined) current = serverNow();
      timer ??= setInterval(() => {
        current = serverNow();
        for (const each of listeners) each();
      }, interval);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
    now: () => current,
  };
}

/** The time, renewed every `interval` milliseconds. */
export function useNow(interval = 1000): number {
  const calm = typeof matchMedia === "function" && matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pace = calm ? Math.max(interval, 1000) : interval;
  let found = tickers.get(pace);
  if (!found) tickers.set(pace, (found = ticker(pace)));
  return useSyncExternalStore(found.subscribe, found.now);
}
