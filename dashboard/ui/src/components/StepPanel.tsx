/** What a step got, gave, and went through. */
import { useState } from "react";

import type { ErrorData } from "../api/types";
import type { Attempt, Span } from "../store/spans";
import type { Trace } from "../store/trace";
import { duration, instant, relative, timeOfDay } from "../time/format";
import { PayloadView, Text } from "./PayloadView";
import { Tabs } from "./Tabs";

export function StepPanel({ span, trace, now, onClose }: { span: Span; trace: Trace; now: number; onClose(): void }) {
  const failed = [...span.attempts].reverse().find((attempt) => attempt.error !== null);
  const tabs = ["Output", ...(failed ? ["Error"] : []), "Input", `Attempts`];
  const [chosen, setChosen] = useState<string | null>(null);
  const tab = chosen !== null && tabs.includes(chosen) ? chosen : span.outcome === "failed" || span.outcome === "retrying" ? "Error" : "Output";
  return (
    <section className="panel card" aria-label={`Step ${span.name}`}>
      <header className="card-head">
        <h2 className="step-title">
          <code>{span.name}</code>
          <span className={`outcome-word outcome-${span.outcome}`}>{span.outcome}</span>
        </h2>
        <button type="button" className="quiet close" onClick={onClose} aria-label="Close the step">
          ×
        </button>
      </header>
      <Tabs names={tabs} chosen={tabs.includes(tab) ? tab : "Output"} onChoose={setChosen} badge={{ Attempts: span.attempts.length }}>
        {tab === "Output" && <Output span={span} trace={trace} now={now} />}
        {tab === "Error" && failed?.error && <ErrorView error={failed.error} />}
        {tab === "Input" && <Input span={span} trace={trace} />}
        {tab === "Attempts" && <Attempts attempts={span.attempts} now={now} />}
      </Tabs>
    </section>
  );
}

function Output({ span, trace, now }: { span: Span; trace: Trace; now: number }) {
  const { result } = span;
  if (result?.data) {
    return <PayloadView payload={result.data} whole={`/runs/${trace.run.id}/entries/${result.ordinal}/data`} what={`the output of ${span.name}`} />;
  }
  if (result?.error) return <ErrorView error={result.error} />;
  return <p className="panel-none muted">{noOutput(span, now)}</p>;
}

function noOutput(span: Span, now: number): string {
  switch (span.outcome) {
    case "planned":
      return "This step has not begun.";
    case "running":
      return span.group ? "Its branches are running." : "Running: the output is journaled when the step ends.";
    case "retrying":
      return `Failed, and will be tried again${span.due === null ? "" : ` ${relative(span.due, now)}`}.`;
    case "sleeping":
      return `Sleeping${span.due === null ? "" : ` until ${instant(span.due)} (${relative(span.due, now)})`}. No worker is held.`;
    case "waiting":
      return `Waiting for ${span.awaiting ?? span.summary ?? "an event"}${span.due === null ? "" : `, at most until ${instant(span.due)}`}. No worker is held.`;
    case "stopped":
      return "The run ended before this step did.";
    default:
      return span.group ? "See its branches." : "No output.";
  }
}

function Input({ span, trace }: { span: Span; trace: Trace }) {
  if (span.declaration !== null) {
    return (
      <>
        <p className="panel-note muted">As the workflow’s revision {trace.run.revision} declares it:</p>
        <figure className="payload"><Text text={span.declaration} /></figure>
      </>
    );
  }
  return (
    <>
      <p className="panel-note muted">A function’s step runs in the app’s own code; what came in from outside is the run’s input:</p>
      <PayloadView payload={trace.input} whole={`/runs/${trace.run.id}/payloads/input`} what="the run’s input" />
    </>
  );
}

export function ErrorView({ error }: { error: ErrorData }) {
  return (
    <div className="error-view">
      <p className="error-name">
        <code>{error.name}</code>
        {error.retryable === false && <span className="tag">not retryable</span>}
      </p>
      <p className="error-message">{error.message}</p>
      {error.stack && <pre tabIndex={0}>{error.stack}</pre>}
    </div>
  );
}

function Attempts({ attempts, now }: { attempts: Attempt[]; now: number }) {
  if (attempts.length === 0) return <p className="panel-none muted">Nothing was called for this step.</p>;
  return (
    <ol className="attempts">
      {attempts.map((attempt) => (
        <li key={attempt.ordinal}>
          <span className={`attempt-number ${attempt.error ? "bad" : "good"}`}>{attempt.number}</span>
          <div>
            <p>
              <time>{timeOfDay(attempt.at)}</time>
              {attempt.appMs !== null && <span className="muted"> · {duration(attempt.appMs)} in the app</span>}
              {attempt.retryAt !== null && <span className="muted"> · next {relative(attempt.retryAt, now)}</span>}
            </p>
            {attempt.error ? <p className="attempt-error">{attempt.error.name}: {attempt.error.message}</p> : <p className="muted">Result journaled</p>}
          </div>
        </li>
      ))}
    </ol>
  );
}
