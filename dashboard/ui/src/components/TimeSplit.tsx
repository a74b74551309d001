/** Where a run's time went, as one bar. */
import type { SegmentKind, Span } from "../store/spans";
import { duration } from "../time/format";
import { domain, totals } from "../waterfall/geometry";

const PARTS: [name: string, className: string, kinds: (SegmentKind | "engine")[]][] = [
  ["app time", "segment-executing", ["executing"]],
  ["durable delay", "segment-dispatch", ["dispatch", "queued", "engine"]],
  ["retry wait", "segment-retry", ["retry"]],
  ["sleeping", "segment-sleeping", ["sleeping"]],
  ["waiting", "segment-waiting", ["waiting"]],
];

export function TimeSplit({ spans, run, now }: { spans: Span[]; run: { start: number; end: number | null }; now: number }) {
  const whole = domain(spans, run, now);
  const sums = totals(spans, whole);
  const parts = PARTS.map(([name, className, kinds]) => ({ name, className, ms: kinds.reduce((sum, kind) => sum + sums[kind], 0) })).filter((part) => part.ms > 0);
  const words = parts.map((part) => `${part.name} ${duration(part.ms)}`).join(", ");
  return (
    <div className="time-split">
      <div className="time-bar" role="img" aria-label={`Where the time went: ${words}`}>
        {parts.map((part) => (
          <i key={part.name} className={part.className} style={{ flexGrow: part.ms / (whole.end - whole.start) }} />
        ))}
      </div>
      <ul aria-hidden="true">
        {parts.map((part) => (
          <li key={part.name}>
            <i className={`swatch ${part.className}`} />
            {part.name} <b>{duration(part.ms)}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}
