/** One function or workflow: its steps, its document as the engine holds it, and its revisions. */
import { useState } from "react";

import type { DefinitionDetail } from "../api/types";
import { Ago, AppName, Copy, Empty, Environment, Skeleton, Trouble } from "../components/Bits";
import { Text } from "../components/PayloadView";
import { RecentRuns } from "../components/Pictures";
import { Triggers } from "../components/Triggers";
import { Link, runsWhere } from "../router";
import { useAnswer } from "../store/useAnswer";
import { SpanIcon } from "../waterfall/SpanIcon";

export function DefinitionPage({ id }: { id: string }) {
  const { value, problem } = useAnswer<DefinitionDetail>(`/definitions/${encodeURIComponent(id)}`, 5000);
  const [number, setNumber] = useState<number | null>(null);
  if (!value) return problem ? <Empty title="There is no such definition">{problem}</Empty> : <Skeleton rows={5} />;
  const revision = value.revisions.find((each) => each.number === (number ?? value.revision)) ?? value.revisions[0];
  return (
    <>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link href="/definitions">Definitions</Link>
        <span>{value.name}</span>
      </nav>
      <header className="page-head">
        <div>
          <h1>
            {value.name} {value.app.environment !== "dev" && <Environment name={value.app.environment} loud />}
          </h1>
          <p className="muted">
            A {value.kind} of <AppName app={value.app} /> declared by {value.source === "sync" ? "the app itself" : `the resource ${value.resource ?? ""}`}
          </p>
        </div>
        <Link className="button" href={runsWhere({ definition: value.name })}>
          See its runs
        </Link>
      </header>
      {problem && <Trouble message={problem} />}
      <section className="card facts-card">
        <dl className="facts">
          <div><dt>Started by</dt><dd><Triggers items={value.triggers} /></dd></div>
          <div><dt>Revision</dt><dd>{value.revision}</dd></div>
          <div><dt>Changed</dt><dd><Ago at={value.updatedAt} /></dd></div>
          <div className="wide"><dt>Last runs</dt><dd><RecentRuns runs={value.recent} /></dd></div>
        </dl>
      </section>
      <div className="two">
        <section className="card" aria-label="Steps">
          <header className="card-head"><h2>Steps</h2></header>
          {value.steps.length === 0 && <p className="panel-none muted">A function’s steps are in the app’s code: its runs show them.</p>}
          <ol className="plan">
            {value.steps.map((step) => (
              <li key={step.name} style={{ paddingLeft: `${16 + step.depth * 22}px` }}>
                <SpanIcon type={step.kind} outcome="completed" />
                <span>{step.name}</span>
                <span className="muted">{step.kind}{step.summary && step.summary !== step.name ? ` · ${step.summary}` : ""}</span>
              </li>
            ))}
          </ol>
        </section>
        <section className="card" aria-label="Document">
          <header className="card-head">
            <h2>Document</h2>
            <select aria-label="Revision" value={revision?.number} onChange={(event) => setNumber(Number(event.target.value))}>
              {value.revisions.map((each) => (
                <option key={each.number} value={each.number}>
                  revision {each.number}{each.number === value.revision ? " (active)" : ""}
                </option>
              ))}
            </select>
            {revision && <Copy what="the document" text={revision.document} />}
          </header>
          {revision && <figure className="payload"><Text text={revision.document} /></figure>}
        </section>
      </div>
    </>
  );
}
