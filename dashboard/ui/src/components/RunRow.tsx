/** A run in a list: one link, and its labels as filters beside it. */
import { memo } from "react";

import type { Run } from "../api/types";
import { Link } from "../router";
import { useNow } from "../time/clock";
import { duration, relative } from "../time/format";
import { Ago, Environment, Id } from "./Bits";
import { heldBy } from "./held";
import { Status } from "./Status";

interface Props {
  run: Run;
  many: boolean;
  arrived: boolean;
  onLabel(text: string): void;
}

export const RunRow = memo(function RunRow({ run, many, arrived, onLabel }: Props) {
  return (
    <li className={`run-grid run-row${arrived ? " arrived" : ""}`} data-run={run.id}>
      <Status run={run} />
      <span className="run-name">
        <Link className="run-link" href={`/runs/${run.id}`}>
          {run.definition}
        </Link>
        <span className="run-sub muted">
          <Id value={run.id} short />
          <span>{run.event ? run.event.name : run.trigger}</span>
          {many && <span>{run.app.name}</span>}
          {run.app.environment !== "dev" && <Environment name={run.app.environment} />}
        </span>
      </span>
      <span className="run-now">
        <Now run={run} />
      </span>
      <span className="run-labels">
        {Object.entries(run.labels).map(([key, value]) => (
          <button key={key} type="button" className="tag" onClick={() => onLabel(`${key}=${value}`)} title={`Only runs with ${key}=${value}`}>
            {key}=<b>{value}</b>
          </button>
        ))}
      </span>
      <span className="number run-steps">{run.steps > 0 ? run.steps : <span className="muted">–</span>}</span>
      <span className="number run-took">
        <Took run={run} />
      </span>
      <span className="number muted run-at">
        <Ago at={run.createdAt} />
      </span>
    </li>
  );
});

/** What the run waits for, or why it ended as it did. */
function Now({ run }: { run: Run }) {
  const now = useNow();
  if (run.status === "failed" || run.status === "cancelled") {
    const text = run.error?.message || run.reason;
    return text ? <span className={run.status === "failed" ? "bad" : "muted"} title={text}>{text}</span> : null;
  }
  if (run.activity === "paused") return <span className="warn">{run.reason ?? "until somebody resumes it"}</span>;
  const held = heldBy(run);
  if (held !== null) return <span className="warn">{held}</span>;
  if (run.status !== "active" || run.pending === null) return null;
  const { type, event, step, due } = run.pending;
  const when = due === null ? "" : relative(Date.parse(due), now);
  if (type === "retry") return <span className="warn">{step || "the step"} again {when}</span>;
  if (type === "sleep") return <span>{step} <span className="muted">ends {when}</span></span>;
  return <span>for {event} {when && <span className="muted">· {when.replace(/^in (.*)$/, "$1 left")}</span>}</span>;
}

export function Took({ run }: { run: Run }) {
  const now = useNow();
  if (run.startedAt === null && run.endedAt === null) return <span className="muted">–</span>;
  const end = run.endedAt === null ? now : Date.parse(run.endedAt);
  return <>{duration(end - Date.parse(run.createdAt))}</>;
}
