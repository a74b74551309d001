/** Small parts that every page is made of. */
import { type ReactNode, useState } from "react";

import type { Link as StreamLink } from "../api/stream";
import type { AppRef } from "../api/types";
import { instant, relative } from "../time/format";
import { useNow } from "../time/clock";

export function Environment({ name, loud }: { name: string; loud?: boolean }) {
  return <span className={`environment env-${name}${loud ? " loud" : ""}`}>{name}</span>;
}

export function AppName({ app }: { app: AppRef }) {
  return (
    <span className="app-name">
      {app.namespace && <span className="muted">{app.namespace}/</span>}
      {app.name}
      <Environment name={app.environment} />
    </span>
  );
}

export function Ago({ at }: { at: string | null }) {
  const now = useNow();
  if (at === null) return <span className="muted">–</span>;
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={instant(time)}>
      {relative(time, now)}
    </time>
  );
}

export function Id({ value, short }: { value: string; short?: boolean }) {
  return <code className="id">{short ? `…${value.slice(-8)}` : value}</code>;
}

export function Copy({ text, what }: { text: string | (() => Promise<string>); what: string }) {
  const [said, setSaid] = useState<string | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : await text());
      setSaid("Copied");
    } catch {
      setSaid("Not copied");
    }
    setTimeout(() => setSaid(null), 1500);
  };
  return (
    <button type="button" className="quiet copy" onClick={() => void copy()} aria-label={`Copy ${what}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M5.5 5.5v-2a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-2M3.5 5.5h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1z" />
      </svg>
      <span role="status">{said}</span>
    </button>
  );
}

const LINKS: Record<StreamLink, string> = { connecting: "Connecting", live: "Live", away: "Reconnecting" };

export function LiveMark({ link }: { link: StreamLink }) {
  return (
    <span className={`live live-${link}`} role="status">
      <i aria-hidden="true" />
      {LINKS[link]}
    </span>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <svg viewBox="0 0 48 48" aria-hidden="true">
        <path d="M6 12h36v6H6zM12 21h24v6H12zM18 30h12v6H18z" />
      </svg>
      <h2>{title}</h2>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Trouble({ message }: { message: string }) {
  return (
    <div className="trouble" role="alert">
      <strong>Something is in the way.</strong> {message}
    </div>
  );
}

export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <i key={row} />
      ))}
    </div>
  );
}

export function PageHead({ title, children, aside }: { title: string; children?: ReactNode; aside?: ReactNode }) {
  return (
    <header className="page-head">
      <div>
        <h1>{title}</h1>
        {children && <p className="muted">{children}</p>}
      </div>
      {aside}
    </header>
  );
}
