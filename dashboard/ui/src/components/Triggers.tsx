/** What starts a definition, in words. */
import type { Definition } from "../api/types";

export function Triggers({ items }: { items: Definition["triggers"] }) {
  if (items.length === 0) return <span className="muted">no trigger of its own</span>;
  return (
    <span className="triggers">
      {items.map((trigger, index) => (
        <span key={index} className="trigger" title={trigger.text}>
          <span className="muted">{trigger.type}</span> <code>{trigger.text}</code>
        </span>
      ))}
    </span>
  );
}
