/** Functions and workflows: what starts them, what they consist of, how their last runs went. */
import type { Definition } from "../api/types";
import { AppName, Empty, PageHead, Skeleton, Trouble } from "../components/Bits";
import { RecentRuns } from "../components/Pictures";
import { Triggers } from "../components/Triggers";
import { Link } from "../router";
import { useAnswer } from "../store/useAnswer";
import { duration } from "../time/format";

export function DefinitionsPage({ scope }: { scope: string }) {
  const { value, problem } = useAnswer<{ items: Definition[] }>(`/definitions${scope}`, 5000);
  const items = value?.items ?? [];
  return (
    <>
      <PageHead title="Definitions">Functions live in the app’s code; workflows are declared and walked by the engine.</PageHead>
      {problem && <Trouble message={problem} />}
      {!value && !problem && <Skeleton />}
      {value && items.length === 0 && <Empty title="Nothing is declared yet">Sync an app or apply a Function or Workflow.</Empty>}
      {(["workflow", "function"] as const).map((kind) => {
        const shown = items.filter((item) => item.kind === kind);
        return (
          shown.length > 0 && (
            <section key={kind} className="card list" aria-label={`${kind}s`}>
              <header className="card-head">
                <h2 className="capital">{kind}s</h2>
                <span className="muted">{shown.length}</span>
              </header>
              <ul className="rows-list">
                {shown.map((item) => (
                  <Row key={item.id} item={item} />
                ))}
              </ul>
            </section>
          )
        );
      })}
    </>
  );
}

function Row({ item }: { item: Definition }) {
  const ended = item.recent.filter((run) => run.status === "completed").map((run) => run.seconds * 1000);
  const median = ended.sort((a, b) => a - b)[Math.floor(ended.length / 2)];
  return (
    <li className={`definition-grid${item.retired ? " retired" : ""}`}>
      <span className="run-name">
        <Link className="row-link" href={`/definitions/${item.id}`}>
          {item.name}
        </Link>
        <span className="run-sub muted">
          <AppName app={item.app} />
          <span>revision {item.revision}</span>
          {item.kind === "workflow" && <span>{item.steps.length} steps</span>}
          {item.suspended && <span className="tag warn">suspended</span>}
          {item.retired && <span className="tag">retired</span>}
        </span>
      </span>
      <Triggers items={item.triggers} />
      <span className="number">{median === undefined ? <span className="muted">–</span> : <><span className="muted">p50</span> {duration(median)}</>}</span>
      <RecentRuns runs={item.recent} />
    </li>
  );
}
