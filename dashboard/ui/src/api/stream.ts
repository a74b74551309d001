/**
 * A live stream that loses nothing: it remembers the id of the last message and always goes on from there, whether the
 * server went away, the network did, or the page was hidden (a hidden page closes its stream: browsers allow six
 * connections to one server, shared by all tabs).
 */
export type Link = "connecting" | "live" | "away";

export interface Follow {
  /** The address without a cursor. */
  path: string;
  after: string;
  onMessage(event: string, data: unknown): void;
  onLink(link: Link): void;
}

const EVENTS = ["runs", "change", "resync"] as const;
const SHORTEST = 500;
const LONGEST = 10_000;
/** The server pings every 15 s; silence for longer than this means that nobody is there. */
const SILENCE = 40_000;

/** Follows until the returned function is called. */
export function follow({ path, after, onMessage, onLink }: Follow): () => void {
  let cursor = after;
  let source: EventSource | null = null;
  let wait = SHORTEST;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let ended = false;

  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE);
  };

  const close = () => {
    source?.close();
    source = null;
    clearTimeout(retry);
    clearTimeout(silence);
  };

  const lost = () => {
    close();
    if (ended) return;
    onLink("away");
    retry = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST);
  };

  const open = () => {
    close();
    if (ended || document.hidden) return;
    const separator = path.includes("?") ? "&" : "?";
    source = new EventSource(`/api/v1${path}${separator}after=${encodeURIComponent(cursor)}`);
    heard();
    source.onopen = () => {
      wait = SHORTEST;
      heard();
      onLink("live");
    };
    source.onerror = lost;
    source.addEventListener("ping", heard);
    for (const event of EVENTS) {
      source.addEventListener(event, (message: MessageEvent<string>) => {
        heard();
        cursor = message.lastEventId || cursor;
        onMessage(event, JSON.parse(message.data));
      });
    }
  };

  const shown = () => (document.hidden ? close() : open());

  onLink("connecting");
  document.addEventListener("visibilitychange", shown);
  open();
  return () => {
    ended = true;
    document.removeEventListener("visibilitychange", shown);
    close();
  };
}
