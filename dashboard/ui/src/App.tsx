/** The frame around every page: where one is, which app and environment one looks at, and the sign-in before all. */
import { type ReactNode, useEffect, useState } from "react";

import { get, onSignedOut, remove } from "./api/client";
import type { App as AppShape, Session } from "./api/types";
import { Empty, Environment } from "./components/Bits";
import { Logo } from "./components/Logo";
import { Theme } from "./components/Theme";
import { AppsPage } from "./pages/AppsPage";
import { DefinitionPage } from "./pages/DefinitionPage";
import { DefinitionsPage } from "./pages/DefinitionsPage";
import { EventsPage } from "./pages/EventsPage";
import { RunPage } from "./pages/RunPage";
import { RunsPage } from "./pages/RunsPage";
import { SchedulesPage } from "./pages/SchedulesPage";
import { SignInPage } from "./pages/SignInPage";
import { Link, match, navigate, useLocation } from "./router";
import { useAnswer } from "./store/useAnswer";

const PLACES = [
  { href: "/", name: "Runs", icon: "M3 4h10M3 8h10M3 12h6", at: (path: string) => path === "/" || path.startsWith("/runs") },
  { href: "/definitions", name: "Definitions", icon: "M4 3h5v3H4zM7 10h5v3H7zM6.5 6v5.5H7", at: (path: string) => path.startsWith("/definitions") },
  { href: "/events", name: "Events", icon: "M9 2.5 4 9h4l-1 4.5L12 7H8z", at: (path: string) => path.startsWith("/events") },
  { href: "/schedules", name: "Schedules", icon: "M8 4.5V8l2.5 1.5M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z", at: (path: string) => path.startsWith("/schedules") },
  { href: "/apps", name: "Apps", icon: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z", at: (path: string) => path.startsWith("/apps") },
];

export function App() {
  const [session, setSession] = useState<Session | null>(null);
  useEffect(() => {
    let retry: ReturnType<typeof setTimeout> | undefined;
    const ask = () => {
      get<Session>("/session").then(setSession, () => (retry = setTimeout(ask, 2000)));
    };
    ask();
    onSignedOut(() => setSession({ required: true, signedIn: false }));
    return () => clearTimeout(retry);
  }, []);
  if (session === null) return <main className="starting" aria-busy="true" />;
  if (session.required && !session.signedIn) return <SignInPage onSignedIn={() => setSession({ required: true, signedIn: true })} />;
  return <Frame session={session} onSignedOut={() => setSession({ required: true, signedIn: false })} />;
}

function Frame({ session, onSignedOut: leave }: { session: Session; onSignedOut(): void }) {
  const location = useLocation();
  const path = location.pathname;
  const apps = useAnswer<{ items: AppShape[] }>("/apps", 10_000);
  const known = apps.value?.items ?? [];
  const app = location.searchParams.get("app");
  const current = known.find((each) => each.id === app) ?? (known.length === 1 ? known[0] : undefined);
  const place = PLACES.find((each) => each.at(path));
  useEffect(() => {
    if (place && !path.startsWith("/runs/")) document.title = `${place.name} · Stepwell`;
  }, [place, path]);

  const choose = (id: string) => {
    const query = new URLSearchParams(location.search);
    if (id === "") query.delete("app");
    else query.set("app", id);
    const stays = PLACES.some((each) => each.href === path);
    navigate(`${stays ? path : "/"}${query.size > 0 ? `?${query.toString()}` : ""}`);
  };
  const kept = app === null ? "" : `?app=${encodeURIComponent(app)}`;

  return (
    <div className={`frame${current ? ` in-${current.environment}` : ""}`}>
      <a className="skip" href="#main">Skip to the content</a>
      {current?.environment === "prod" && (
        <p className="prod-strip" role="note">
          Production <span>{current.namespace ? `${current.namespace}/` : ""}{current.name}</span>
        </p>
      )}
      <aside className="side">
        <Link href={`/${kept}`} className="home" aria-label="Stepwell, to the runs">
          <Logo />
        </Link>
        {known.length > 0 && (
          <div className="scope">
            <select aria-label="App" value={app ?? ""} onChange={(event) => choose(event.target.value)}>
              {known.length !== 1 && <option value="">All apps</option>}
              {known.map((each) => (
                <option key={each.id} value={known.length === 1 ? "" : each.id}>
                  {each.namespace ? `${each.namespace}/` : ""}{each.name} ({each.environment})
                </option>
              ))}
            </select>
            {current && <Environment name={current.environment} loud />}
          </div>
        )}
        <nav aria-label="Main">
          {PLACES.map((each) => (
            <Link key={each.href} href={`${each.href}${kept}`} aria-current={each === place ? "page" : undefined}>
              <svg viewBox="0 0 16 16" aria-hidden="true"><path d={each.icon} /></svg>
              {each.name}
            </Link>
          ))}
        </nav>
        <div className="side-foot">
          <Theme />
          {session.required && (
            <button type="button" className="quiet" onClick={() => void remove("/session").then(leave)}>
              Sign out
            </button>
          )}
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        {page(location, known, app, kept, apps)}
      </main>
    </div>
  );
}

function page(location: URL, known: AppShape[], app: string | null, scope: string, apps: Parameters<typeof AppsPage>[0]["answer"]): ReactNode {
  const path = location.pathname;
  const run = match("/runs/:id", path)?.["id"];
  if (run !== undefined) return <RunPage key={run} id={run} location={location} />;
  const definition = match("/definitions/:id", path)?.["id"];
  if (definition !== undefined) return <DefinitionPage key={definition} id={definition} />;
  switch (path.replace(/\/+$/, "") || "/") {
    case "/":
    case "/runs":
      return <RunsPage location={location} apps={known} app={app} />;
    case "/definitions":
      return <DefinitionsPage scope={scope} />;
    case "/events":
      return <EventsPage location={location} app={app} />;
    case "/schedules":
      return <SchedulesPage scope={scope} />;
    case "/apps":
      return <AppsPage answer={apps} />;
    default:
      return <Empty title="There is no such page">The address {path} leads nowhere. <Link href="/">Go to the runs</Link></Empty>;
  }
}
