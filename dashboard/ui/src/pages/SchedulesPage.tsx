/** Schedules: the next to fire first, with the time that is left as a shrinking ring. */
import { type Schedule, stateOf } from "../api/types";
import { Ago, AppName, Empty, PageHead, Skeleton, Trouble } from "../components/Bits";
import { Status } from "../components/Status";
import { Link } from "../router";
import { useAnswer } from "../store/useAnswer";
import { serverNow, useNow } from "../time/clock";
import { instant, relative } from "../time/format";

export function SchedulesPage({ scope }: { scope: string }) {
  const { value, problem } = useAnswer<{ items: Schedule[] }>(`/schedules${scope}`, 3000);
  const items = value?.items ?? [];
  return (
    <>
      <PageHead title="Schedules">Every instant fires once, whatever the number of engines.</PageHead>
      {problem && <Trouble message={problem} />}
      {!value && !problem && <Skeleton rows={4} />}
      {value && items.length === 0 && <Empty title="No schedules">Apply a Schedule, or give a function a cron trigger.</Empty>}
      {items.length > 0 && (
        <section className="card list" aria-label="Schedules">
          <ul className="rows-list">
            {items.map((item) => (
              <Row key={item.id} item={item} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Row({ item }: { item: Schedule }) {
  return (
    <li className={`schedule-grid${item.suspended ? " retired" : ""}`}>
      <Next item={item} />
      <span className="run-name">
        <span>{item.name}</span>
        <span className="run-sub muted">
          <AppName app={item.app} />
          {item.suspended && <span className="tag warn">suspended</span>}
        </span>
      </span>
      <span>
        <code className="rule">{item.rule}</code> {item.timeZone && <span className="muted">{item.timeZone}</span>}
      </span>
      <span>
        {item.definitionId !== null ? <Link href={`/definitions/${item.definitionId}`}>{item.target}</Link> : <span className="warn">target not found</span>}
      </span>
      <span className="last-run">
        {item.lastRun?.status ? (
          <Link href={`/runs/${item.lastRun.id}`} aria-label={`The last run, ${stateOf({ status: item.lastRun.status, activity: item.lastRun.activity })}`}>
            <Status run={{ status: item.lastRun.status, activity: item.lastRun.activity }} />
          </Link>
        ) : (
          <span className="muted">has not fired</span>
        )}
        {item.lastAt && <span className="muted"><Ago at={item.lastAt} /></span>}
      </span>
    </li>
  );
}

const CIRCLE = 2 * Math.PI * 13;

function Next({ item }: { item: Schedule }) {
  const now = useNow();
  if (item.nextAt === null || item.suspended) return <span className="next muted">{item.suspended ? "suspended" : "no next time"}</span>;
  const next = Date.parse(item.nextAt);
  const from = item.lastAt === null ? serverNow() - 60_000 : Date.parse(item.lastAt);
  const left = Math.min(1, Math.max(0, (next - now) / Math.max(1, next - from)));
  return (
    <span className="next">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <circle cx="16" cy="16" r="13" />
        <circle className="left" cx="16" cy="16" r="13" strokeDasharray={`${left * CIRCLE} ${CIRCLE}`} transform="rotate(-90 16 16)" />
      </svg>
      <time dateTime={item.nextAt} title={instant(next)}>
        {next < now ? "due now" : relative(next, now)}
      </time>
    </span>
  );
}
