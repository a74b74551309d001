/** One run, live: what it is, how its time went, its trace, and what each step got and gave. */
import { type ReactNode, useEffect, useMemo, useState } from "react";

import { post } from "../api/client";
import { Ago, AppName, Copy, Empty, Environment, Id, LiveMark, Skeleton, Trouble } from "../components/Bits";
import { Confirm, type Question } from "../components/Confirm";
import { heldBy } from "../components/held";
import { RunPanel } from "../components/RunPanel";
import { Status } from "../components/Status";
import { StepPanel } from "../components/StepPanel";
import { Took } from "../components/RunRow";
import { TimeSplit } from "../components/TimeSplit";
import { Link, navigate, runsWhere } from "../router";
import { draw } from "../store/spans";
import { useTrace } from "../store/useTrace";
import type { Trace } from "../store/trace";
import { useNow } from "../time/clock";
import { Waterfall } from "../waterfall/Waterfall";

const FRAME = 100;

export function RunPage({ id, location }: { id: string; location: URL }) {
  const { trace, link, problem } = useTrace(id);
  if (problem?.missing) return <Empty title="There is no such run">{problem.message}</Empty>;
  if (trace === null) return problem ? <Trouble message={problem.message} /> : <Skeleton rows={6} />;
  return (
    <>
      {problem && <Trouble message={problem.message} />}
      <Shown trace={trace} location={location} live={<LiveMark link={link} />} />
    </>
  );
}

function Shown({ trace, location, live }: { trace: Trace; location: URL; live: ReactNode }) {
  const { run } = trace;
  const now = useNow(run.status === "active" ? FRAME : 60_000);
  const drawing = useMemo(() => draw(trace), [trace]);
  const chosen = location.searchParams.get("step");
  const span = drawing.spans.find((each) => each.id === chosen);
  const held = heldBy(run);
  const [question, setQuestion] = useState<Question | null>(null);
  useEffect(() => {
    document.title = `${run.definition} · Stepwell`;
  }, [run.definition]);

  const choose = (step: string | null) =>
    navigate(step === null ? location.pathname : `${location.pathname}?step=${encodeURIComponent(step)}`, { replace: true });
  const period = { start: Date.parse(run.createdAt), end: run.endedAt === null ? null : Date.parse(run.endedAt) };

  return (
    <>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link href="/">Runs</Link>
        <Link href={runsWhere({ definition: run.definition })}>{run.definition}</Link>
        <Id value={run.id} short />
      </nav>
      <header className="page-head run-head">
        <div>
          <h1>
            {run.definition} <Status run={run} large />
            {run.app.environment !== "dev" && <Environment name={run.app.environment} loud />}
          </h1>
          <p className="run-id muted">
            <Id value={run.id} />
            <Copy text={run.id} what="the run’s id" />
            {run.status === "active" && live}
          </p>
        </div>
        <Actions trace={trace} ask={setQuestion} />
      </header>
      <Facts trace={trace} />
      {run.status === "failed" && run.error && (
        <div className="failure" role="note">
          <strong>{run.error.name}</strong> {run.error.message}
        </div>
      )}
      {run.activity === "paused" && (
        <div className="failure paused" role="note">
          <strong>Paused: {run.reason ?? "by hand"}</strong> Nothing happens until somebody resumes it.
        </div>
      )}
      {held !== null && (
        <div className="failure paused" role="note">
          <strong>Held up: {held}.</strong> It is called again by itself; that uses up no attempt. See <Link href="/apps">Apps</Link>.
        </div>
      )}
      <TimeSplit spans={drawing.spans} run={period} now={now} />
      <div className="run-body">
        <Waterfall drawing={drawing} run={period} now={now} chosen={span?.id ?? null} onChoose={choose} />
        {span ? <StepPanel key={span.id} span={span} trace={trace} now={now} onClose={() => choose(null)} /> : <RunPanel trace={trace} />}
      </div>
      <Confirm question={question} onClose={() => setQuestion(null)} />
    </>
  );
}

function Facts({ trace: { run, entries } }: { trace: Trace }) {
  const failures = entries.filter((entry) => entry.entry === "attempt_failed").length;
  return (
    <dl className="facts">
      <Fact name="App"><AppName app={run.app} /></Fact>
      <Fact name="Kind">{run.kind} <span className="muted">revision {run.revision}</span></Fact>
      <Fact name="Trigger">
        {run.event?.id ? <Link href={`/events?id=${run.event.id}`}>{run.event.name}</Link> : run.trigger}
        {run.event && run.trigger !== "event" && <span className="muted"> by {run.trigger}</span>}
      </Fact>
      <Fact name="Started"><Ago at={run.createdAt} /></Fact>
      <Fact name={run.status === "active" ? "For" : "Took"}><Took run={run} /></Fact>
      <Fact name="Failed attempts">{failures}</Fact>
      {run.rerunOf && <Fact name="Rerun of"><Link href={`/runs/${run.rerunOf}`}><Id value={run.rerunOf} short /></Link></Fact>}
      {Object.keys(run.labels).length > 0 && (
        <Fact name="Labels">
          {Object.entries(run.labels).map(([key, value]) => (
            <Link key={key} className="tag" href={runsWhere({ label: `${key}=${value}` })}>{key}=<b>{value}</b></Link>
          ))}
        </Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Actions({ trace: { run, entries }, ask }: { trace: Trace; ask(question: Question): void }) {
  const guarded = run.app.environment === "prod";
  const where = guarded ? <p className="prod-note">This is <Environment name="prod" loud /> {run.app.name}.</p> : null;
  const undone = run.kind === "workflow" && entries.some((entry) => entry.entry === "step_completed");

  const cancel: Question = {
    title: `Cancel this run of ${run.definition}?`,
    yes: "Cancel the run",
    danger: true,
    body: (
      <>
        {where}
        <p>{undone ? "Its completed steps that declare how are undone first, in reverse order." : "It ends where it is; completed steps stay as they are."} It can’t be resumed afterwards.</p>
      </>
    ),
    act: () => post(`/runs/${run.id}/cancel`),
  };
  const rerun: Question = {
    title: `Run ${run.definition} again?`,
    yes: "Start a new run",
    body: (
      <>
        {where}
        <p>A new run starts from the beginning with the same input, on the active revision. This one stays as it is.</p>
      </>
    ),
    act: async () => {
      const started = await post<{ id: string }>(`/runs/${run.id}/rerun`);
      navigate(`/runs/${started.id}`);
    },
  };
  return (
    <div className="buttons">
      {run.activity === "paused" && (
        <button type="button" onClick={() => ask({ title: "Let this run go on?", yes: "Resume", body: where, act: () => post(`/runs/${run.id}/resume`) })}>
          Resume
        </button>
      )}
      <button type="button" onClick={() => ask(rerun)}>Rerun</button>
      {run.status === "active" && (
        <button type="button" className="danger" onClick={() => ask(cancel)}>Cancel</button>
      )}
    </div>
  );
}
