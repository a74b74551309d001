/** The trace of a run: one row a step, plain HTML. Rows are a listbox: arrows move, what is chosen shows beside it. */
import { type KeyboardEvent, useEffect, useRef, useState } from "react";

import { duration, relative } from "../time/format";
import type { Drawing, Segment, Span } from "../store/spans";
import { bar, domain, idle, place, scale, ticks, worthFolding, type Scale } from "./geometry";
import { SpanIcon } from "./SpanIcon";

interface Props {
  drawing: Drawing;
  run: { start: number; end: number | null };
  now: number;
  chosen: string | null;
  onChoose(id: string | null): void;
}

const SEGMENT_WORDS: Record<Segment["kind"], string> = {
  queued: "queued",
  dispatch: "durable delay",
  executing: "in the app",
  retry: "until the next attempt",
  sleeping: "sleeping",
  waiting: "waiting",
};

const MARKER_WORDS: Record<string, string> = {
  lease_lost: "a worker was lost; another went on",
  run_paused: "paused",
  run_resumed: "resumed",
  compensation_started: "compensation began",
};

const TICK_PIXELS = 68;

function useWidth(element: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(800);
  useEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(1, entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}

export function Waterfall({ drawing, run, now, chosen, onChoose }: Props) {
  const { spans, markers } = drawing;
  const whole = domain(spans, run, now);
  const gaps = idle(spans, whole);
  const foldable = spans.length > 0 && worthFolding(gaps, whole);
  const [unfolded, setUnfolded] = useState(false);
  const folding = foldable && !unfolded;
  const drawn = scale(whole, folding ? gaps : []);
  const axis = useRef<HTMLDivElement>(null);
  const width = useWidth(axis);
  const marks = ticks(drawn, Math.min(0.5, TICK_PIXELS / width));

  const move = (event: KeyboardEvent) => {
    const at = spans.findIndex((span) => span.id === chosen);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: spans.length - 1 }[event.key];
    if (event.key === "Escape") onChoose(null);
    if (to === undefined) return;
    event.preventDefault();
    const next = spans[Math.min(Math.max(to, 0), spans.length - 1)];
    if (next) onChoose(next.id);
  };

  return (
    <section className="waterfall card" aria-label="Trace">
      <header className="card-head">
        <h2>Trace</h2>
        <Legend />
        {foldable && (
          <label className="switch">
            <input type="checkbox" checked={folding} onChange={() => setUnfolded(folding)} />
            Fold idle time
          </label>
        )}
      </header>
      <div className="axis" aria-hidden="true">
        <div className="axis-line" ref={axis}>
          {marks.map((tick) => (
            <span key={tick.at} style={{ left: `${tick.place * 100}%` }}>
              {tick.at === 0 ? "0" : duration(tick.at)}
            </span>
          ))}
        </div>
      </div>
      <div className="rows" role="listbox" aria-label="Steps" tabIndex={0} aria-activedescendant={chosen ? `step-${chosen}` : undefined} onKeyDown={move}>
        <Grid scale={drawn} places={marks.map((tick) => tick.place)} markers={markers} />
        {spans.map((span) => (
          <Row key={span.id} span={span} scale={drawn} now={now} chosen={span.id === chosen} onChoose={() => onChoose(span.id === chosen ? null : span.id)} />
        ))}
        {spans.length === 0 && <p className="row-none muted">No step has begun.</p>}
      </div>
    </section>
  );
}

function Row({ span, scale: drawn, now, chosen, onChoose }: { span: Span; scale: Scale; now: number; chosen: boolean; onChoose(): void }) {
  const bars = span.segments.map((segment) => ({ segment, ...bar(drawn, segment) }));
  const last = bars.at(-1);
  const first = bars[0];
  const end = last ? last.left + last.width : 0;
  const took = first && last ? (last.segment.end ?? now) - first.segment.start : null;
  return (
    <div id={`step-${span.id}`} role="option" aria-selected={chosen} aria-label={describe(span, took)} className={`row outcome-${span.outcome}${chosen ? " chosen" : ""}`} onClick={onChoose}>
      <div className="row-name" style={{ paddingLeft: `${span.depth * 18}px` }}>
        <SpanIcon type={span.type} outcome={span.outcome} />
        <span className="row-title" title={span.name}>{span.name}</span>
        {span.attempts.length > 1 && <span className="tries" title={`${span.attempts.length} attempts`}>×{span.attempts.length}</span>}
        {span.summary && span.summary !== span.name && <span className="row-summary muted">{span.summary}</span>}
      </div>
      <div className="row-track">
        {bars.map(({ segment, left, width }, index) => (
          <i
            key={index}
            className={`segment segment-${segment.kind}${segment.failed ? " segment-failed" : ""}${segment.end === null ? " segment-open" : ""}`}
            style={{ left: `${left * 100}%`, width: `${width * 100}%` }}
            title={`${SEGMENT_WORDS[segment.kind]} ${duration((segment.end ?? now) - segment.start)}`}
          />
        ))}
        {took !== null && (
          <span className={`row-took${end > 0.86 ? " inside" : ""}`} style={end > 0.86 ? { right: `${(1 - (first?.left ?? 0)) * 100}%` } : { left: `${end * 100}%` }}>
            {note(span, took, now)}
          </span>
        )}
      </div>
    </div>
  );
}

function note(span: Span, took: number, now: number): string {
  if (span.due !== null && span.due > now && span.outcome !== "stopped") {
    return span.outcome === "retrying" ? `retry ${relative(span.due, now)}` : `${duration(took)} · ends ${relative(span.due, now)}`;
  }
  return duration(took);
}

function describe(span: Span, took: number | null): string {
  const tries = span.attempts.length > 1 ? `, ${span.attempts.length} attempts` : "";
  return `${span.name}, ${span.type}, ${span.outcome}${took === null ? "" : `, ${duration(took)}`}${tries}`;
}

function Grid({ scale: drawn, places, markers }: { scale: Scale; places: number[]; markers: Drawing["markers"] }) {
  return (
    <div className="grid" aria-hidden="true">
      {places.map((at) => (
        <i key={at} className="grid-line" style={{ left: `${at * 100}%` }} />
      ))}
      {drawn.stretches
        .filter((stretch) => stretch.folded && drawn.stretches.length > 1)
        .map((stretch) => (
          <i key={stretch.start} className="grid-fold" style={{ left: `${stretch.from * 100}%`, width: `${(stretch.to - stretch.from) * 100}%` }}>
            <b>{duration(stretch.end - stretch.start)}</b>
          </i>
        ))}
      {markers.map((marker, index) => (
        <i key={index} className={`grid-marker marker-${marker.entry}`} style={{ left: `${place(drawn, marker.at) * 100}%` }} title={MARKER_WORDS[marker.entry] ?? marker.entry} />
      ))}
    </div>
  );
}

function Legend() {
  return (
    <ul className="legend" aria-label="What the colours mean">
      <li><i className="swatch segment-executing" />app time</li>
      <li><i className="swatch segment-dispatch" />durable delay</li>
      <li><i className="swatch segment-retry" />retry wait</li>
      <li><i className="swatch segment-sleeping" />sleeping</li>
      <li><i className="swatch segment-waiting" />waiting</li>
    </ul>
  );
}
