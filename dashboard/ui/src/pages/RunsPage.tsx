/** The runs, live. The filters are the address; `j`, `k` and the arrows move, Enter opens, `/` searches. */
import { type FormEvent, useCallback, useEffect, useRef, useState } from "react";

import type { App, Definition, Stats } from "../api/types";
import { type State, stateOf } from "../api/types";
import { Empty, LiveMark, PageHead, Skeleton, Trouble } from "../components/Bits";
import { countsByState, StateBar, Throughput } from "../components/Pictures";
import { RunRow } from "../components/RunRow";
import { label, StateIcon } from "../components/Status";
import { navigate } from "../router";
import { useAnswer, useThrottled } from "../store/useAnswer";
import { useRuns } from "../store/useRuns";
import { count } from "../time/format";

const STATUSES = ["active", "completed", "failed", "cancelled"];
const ACTIVITIES: State[] = ["executing", "queued", "scheduled", "waiting", "sleeping", "compensating", "paused"];
const KEPT = ["status", "activity", "definition", "kind", "app", "label", "event", "eventId", "id"];

interface Props {
  location: URL;
  apps: App[];
  app: string | null;
}

export function RunsPage({ location, apps, app }: Props) {
  const query = new URLSearchParams([...location.searchParams].filter(([name]) => KEPT.includes(name)));
  if (app !== null) query.set("app", app);
  const scope = app === null ? "" : `?app=${encodeURIComponent(app)}`;
  const stats = useAnswer<Stats>(`/stats${scope}`, 15_000);
  const definitions = useAnswer<{ items: Definition[] }>(`/definitions${scope}`, 60_000);
  const recount = useThrottled(stats.renew, 1500);
  const { state, link, problem, paging, more, hold } = useRuns(query.toString(), recount);
  const filtered = KEPT.some((name) => name !== "app" && query.has(name));
  const list = useRef<HTMLOListElement>(null);
  const search = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const scrolled = () => hold(scrollY > 240);
    addEventListener("scroll", scrolled, { passive: true });
    return () => removeEventListener("scroll", scrolled);
  }, [hold]);
  useKeys(list, search);

  const set = useCallback((change: (filters: URLSearchParams) => void) => {
    const next = new URLSearchParams(window.location.search);
    change(next);
    const text = next.toString();
    navigate(text ? `/?${text}` : "/", { replace: true });
  }, []);
  const toggle = (name: string, value: string) =>
    set((filters) => {
      const values = filters.getAll(name);
      filters.delete(name);
      if (name === "status") filters.delete("activity");
      if (name === "activity") filters.delete("status");
      for (const each of values) if (each !== value) filters.append(name, each);
      if (!values.includes(value)) filters.append(name, value);
    });

  const counts = stats.value?.counts ?? [];
  const byState = countsByState(counts);
  const active = counts.filter((row) => row.status === "active").reduce((sum, row) => sum + row.runs, 0);
  const many = new Set(apps.map((each) => each.id)).size > 1 && app === null;

  const labelled = state.items.some((run) => Object.keys(run.labels).length > 0);

  return (
    <>
      <PageHead title="Runs" aside={<LiveMark link={link} />} />
      <section className="overview card" aria-label="Overview">
        <div className="overview-states">
          <p>
            <strong>{count(active)}</strong> <span className="muted">active</span>
            <strong>{count(byState.get("completed") ?? 0)}</strong> <span className="muted">completed</span>
            <strong className={byState.get("failed") ? "bad" : ""}>{count(byState.get("failed") ?? 0)}</strong> <span className="muted">failed</span>
          </p>
          <StateBar counts={counts} />
        </div>
        <Throughput minutes={stats.value?.minutes ?? []} />
      </section>

      <div className="filters" role="search" aria-label="Filter runs">
        <div className="chips" role="group" aria-label="Status">
          {STATUSES.map((status) => (
            <Chip key={status} on={query.getAll("status").includes(status)} onToggle={() => toggle("status", status)}>
              {status === "active" ? <i className="dot fill-executing" /> : <i className={`dot fill-${status}`} />}
              {status}
            </Chip>
          ))}
          <span className="chips-rule" aria-hidden="true" />
          {ACTIVITIES.filter((each) => byState.has(each) || query.getAll("activity").includes(each)).map((activity) => (
            <Chip key={activity} on={query.getAll("activity").includes(activity)} onToggle={() => toggle("activity", activity)}>
              <StateIcon state={activity} />
              {label(activity).toLowerCase()} <b>{count(byState.get(activity) ?? 0)}</b>
            </Chip>
          ))}
        </div>
        <div className="fields">
          <select aria-label="Definition" value={query.get("definition") ?? ""} onChange={(event) => set((filters) => put(filters, "definition", event.target.value))}>
            <option value="">All definitions</option>
            {[...new Set((definitions.value?.items ?? []).map((each) => each.name))].sort().map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          <LabelField onAdd={(text) => set((filters) => !filters.getAll("label").includes(text) && filters.append("label", text))} />
          <input
            ref={search}
            type="search"
            aria-label="Run id"
            placeholder="Run id   /"
            defaultValue={query.get("id") ?? ""}
            key={`id-${query.get("id") ?? ""}`}
            onKeyDown={(event) => event.key === "Enter" && set((filters) => put(filters, "id", event.currentTarget.value.trim()))}
            onBlur={(event) => set((filters) => put(filters, "id", event.target.value.trim()))}
          />
          {["label", "event", "eventId", "kind"].flatMap((name) =>
            query.getAll(name).map((value) => (
              <button key={`${name}=${value}`} type="button" className="chip on removable" onClick={() => set((filters) => drop(filters, name, value))} aria-label={`Remove the filter ${name} ${value}`}>
                <span className="muted">{name === "eventId" ? "event" : name}</span> {value.length > 36 ? `…${value.slice(-8)}` : value} <span aria-hidden="true">×</span>
              </button>
            )),
          )}
          {filtered && (
            <button type="button" className="quiet" onClick={() => navigate("/", { replace: true })}>
              Clear filters
            </button>
          )}
        </div>
      </div>

      {problem && <Trouble message={problem} />}
      <section className={`card list${labelled ? "" : " unlabelled"}`} aria-label="Runs" aria-busy={!state.loaded}>
        <div className="run-grid list-head" aria-hidden="true">
          <span>Status</span>
          <span>Run</span>
          <span>Now</span>
          <span>Labels</span>
          <span className="number">Steps</span>
          <span className="number">Took</span>
          <span className="number">Started</span>
        </div>
        {!state.loaded && !problem && <Skeleton />}
        {state.held.length > 0 && (
          <button type="button" className="held" onClick={() => scrollTo({ top: 0 })}>
            ↑ {count(state.held.length)} new {state.held.length === 1 ? "run" : "runs"}
          </button>
        )}
        <ol ref={list} className="rows-list">
          {state.items.map((run) => (
            <RunRow key={run.id} run={run} many={many} arrived={state.arrived.has(run.id)} onLabel={(text) => set((filters) => !filters.getAll("label").includes(text) && filters.append("label", text))} />
          ))}
        </ol>
        {state.loaded && state.items.length === 0 && (
          <Empty title={filtered ? "No run matches" : "No runs yet"}>
            {filtered ? "Runs that match appear here by themselves." : "Send an event, start a function or wait for a schedule: the run appears here by itself."}
          </Empty>
        )}
        {state.next !== null && (
          <button type="button" className="more" onClick={more} disabled={paging}>
            {paging ? "Loading…" : "Show older runs"}
          </button>
        )}
      </section>
      <p className="sr-only" role="status">
        {state.loaded ? `${state.items.length} runs shown, ${stateSummary(state.items.map(stateOf))}` : ""}
      </p>
    </>
  );
}

function Chip({ on, onToggle, children }: { on: boolean; onToggle(): void; children: React.ReactNode }) {
  return (
    <button type="button" className={`chip${on ? " on" : ""}`} aria-pressed={on} onClick={onToggle}>
      {children}
    </button>
  );
}

function LabelField({ onAdd }: { onAdd(text: string): void }) {
  const [text, setText] = useState("");
  const complete = /^[^=]+=.*/.test(text);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!complete) return;
    onAdd(text.trim());
    setText("");
  };
  return (
    <form onSubmit={submit}>
      <input aria-label="Label, as key=value" placeholder="Label key=value" value={text} onChange={(event) => setText(event.target.value)} />
    </form>
  );
}

function put(filters: URLSearchParams, name: string, value: string): void {
  if (value === "") filters.delete(name);
  else filters.set(name, value);
}

function drop(filters: URLSearchParams, name: string, value: string): void {
  const rest = filters.getAll(name).filter((each) => each !== value);
  filters.delete(name);
  for (const each of rest) filters.append(name, each);
}

function stateSummary(states: State[]): string {
  const failed = states.filter((state) => state === "failed").length;
  return failed > 0 ? `${failed} failed` : "none failed";
}

/** Keys that work on the page as a whole, but never while somebody types. */
function useKeys(list: React.RefObject<HTMLOListElement | null>, search: React.RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const pressed = (event: globalThis.KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === "/") {
        event.preventDefault();
        search.current?.focus();
        return;
      }
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (step === undefined) return;
      const rows = [...(list.current?.querySelectorAll<HTMLElement>("a.run-link") ?? [])];
      const at = rows.indexOf(document.activeElement as HTMLElement);
      const next = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [list, search]);
}
