/** Events as they came in, each with the runs it started. */
import { type FormEvent, useEffect, useState } from "react";

import { get } from "../api/client";
import { type Event, type EventList, stateOf } from "../api/types";
import { Ago, AppName, Empty, Id, PageHead, Skeleton, Trouble } from "../components/Bits";
import { PayloadView } from "../components/PayloadView";
import { label, StateIcon } from "../components/Status";
import { Link, navigate } from "../router";
import { useAnswer } from "../store/useAnswer";

export function EventsPage({ location, app }: { location: URL; app: string | null }) {
  const id = location.searchParams.get("id");
  const name = location.searchParams.get("name");
  const query = new URLSearchParams({ ...(app && { app }), ...(name && { name }) }).toString();
  const single = id !== null;
  const { value, problem } = useAnswer<EventList | Event>(single ? `/events/${encodeURIComponent(id)}` : `/events?${query}`, 3000);
  const first = value === null ? [] : "items" in value ? value.items : [value];
  const [older, setOlder] = useState<{ query: string; items: Event[]; next: string | null } | null>(null);
  useEffect(() => setOlder(null), [query, id]);
  const known = new Set(first.map((event) => event.id));
  const items = [...first, ...(older?.items ?? []).filter((event) => !known.has(event.id))];
  const next = older ? older.next : value && "items" in value ? value.next : null;

  const more = async () => {
    const page = await get<EventList>(`/events?${query}&before=${next ?? ""}`);
    setOlder((before) => ({ query, items: [...(before?.items ?? first), ...page.items], next: page.next }));
  };
  const filter = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("name") ?? "").trim();
    navigate(text ? `/events?name=${encodeURIComponent(text)}` : "/events", { replace: true });
  };

  return (
    <>
      <PageHead
        title="Events"
        aside={
          <form onSubmit={filter}>
            <input type="search" name="name" aria-label="Event name" placeholder="Event name" defaultValue={name ?? ""} key={name} />
          </form>
        }
      >
        {single || name ? <Link href="/events">Show all events</Link> : "Facts sent into an app, and what they started."}
      </PageHead>
      {problem && <Trouble message={problem} />}
      {!value && !problem && <Skeleton />}
      {value && items.length === 0 && <Empty title="No events">{name ? `None is named ${name}.` : "Send one, and it appears here."}</Empty>}
      {items.length > 0 && (
        <section className="card list" aria-label="Events">
          <ul className="rows-list">
            {items.map((event) => (
              <Row key={event.id} event={event} open={single} />
            ))}
          </ul>
          {next !== null && (
            <button type="button" className="more" onClick={() => void more()}>
              Show older events
            </button>
          )}
        </section>
      )}
    </>
  );
}

function Row({ event, open }: { event: Event; open: boolean }) {
  return (
    <li>
      <details className="event" open={open}>
        <summary className="event-grid">
          <span className="run-name">
            <span className="event-name">{event.name}</span>
            <span className="run-sub muted">
              <AppName app={event.app} />
              <Id value={event.externalId.length > 40 ? event.externalId.slice(-8) : event.externalId} short={event.externalId.length === 36} />
            </span>
          </span>
          <code className="event-data">{event.data.text}</code>
          <span className="started">
            {event.runs.length === 0 && <span className="muted">started nothing</span>}
            {event.runs.map((run) => (
              <Link key={run.id} className="started-run" href={`/runs/${run.id}`} title={label(stateOf(run))}>
                <StateIcon state={stateOf(run)} />
                {run.definition}
              </Link>
            ))}
          </span>
          <span className="number muted">
            <Ago at={event.acceptedAt} />
          </span>
        </summary>
        <PayloadView payload={event.data} whole={`/events/${event.id}/data`} what="the event’s data" />
      </details>
    </li>
  );
}
