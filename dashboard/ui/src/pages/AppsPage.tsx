/** Apps: one application in one environment each, and whether the engine reaches it. */
import type { App } from "../api/types";
import { Ago, Empty, Environment, PageHead, Skeleton, Trouble } from "../components/Bits";
import { Link } from "../router";
import type { Answer } from "../store/useAnswer";
import { count } from "../time/format";

export function AppsPage({ answer }: { answer: Answer<{ items: App[] }> }) {
  const { value, problem } = answer;
  const items = value?.items ?? [];
  return (
    <>
      <PageHead title="Apps">Nothing crosses between them.</PageHead>
      {problem && <Trouble message={problem} />}
      {!value && !problem && <Skeleton rows={3} />}
      {value && items.length === 0 && <Empty title="No apps yet">Register one with the SDK or apply a StepwellApp.</Empty>}
      <ul className="apps">
        {items.map((app) => (
          <li key={app.id} className={`card app-card app-${app.environment}`}>
            <header>
              <h2>
                {app.namespace && <span className="muted">{app.namespace}/</span>}
                {app.name}
              </h2>
              <Environment name={app.environment} loud />
            </header>
            <Reach app={app} />
            <dl className="figures">
              <Figure name="active runs" value={app.activeRuns} href={`/?status=active&app=${app.id}`} />
              <Figure name="queued now" value={app.backlog} href={`/?activity=queued&app=${app.id}`} />
              <Figure name="functions" value={app.functions} href={`/definitions?app=${app.id}`} />
              <Figure name="workflows" value={app.workflows} href={`/definitions?app=${app.id}`} />
              <Figure name="schedules" value={app.schedules} href={`/schedules?app=${app.id}`} />
            </dl>
            <footer className="muted">
              <code>{app.id}</code>
              <span>{app.sdk ?? "no SDK announced"}</span>
              <span>protocol {app.protocol}{app.checkpointing ? ", checkpointing" : ""}</span>
              <span>since <Ago at={app.createdAt} /></span>
            </footer>
          </li>
        ))}
      </ul>
    </>
  );
}

function Reach({ app }: { app: App }) {
  const [tone, words] =
    app.url === null
      ? ["unknown", "No callback address yet"]
      : app.reachable === null
        ? ["unknown", "Not probed yet"]
        : app.reachable
          ? ["good", "Reachable"]
          : ["bad", `Unreachable: ${app.probeError ?? `${app.probeFailures} probes failed`}`];
  return (
    <p className={`reach reach-${tone}`}>
      <i aria-hidden="true" />
      <span>
        <strong>{words}</strong>
        {app.url && <code>{app.url}</code>}
        {app.probedAt && <span className="muted">probed <Ago at={app.probedAt} /></span>}
      </span>
    </p>
  );
}

function Figure({ name, value, href }: { name: string; value: number; href: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <Link href={href}>{count(value)}</Link>
      </dd>
    </div>
  );
}
