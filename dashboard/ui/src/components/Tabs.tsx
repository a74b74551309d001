/** Tabs as the ARIA practices describe them: arrows move between them. */
import { type KeyboardEvent, type ReactNode, useId } from "react";

interface Props {
  names: string[];
  chosen: string;
  badge?: Record<string, number>;
  onChoose(name: string): void;
  children: ReactNode;
}

export function Tabs({ names, chosen, badge = {}, onChoose, children }: Props) {
  const id = useId();
  const move = (event: KeyboardEvent<HTMLDivElement>) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    if (next === undefined) return;
    onChoose(next);
    document.getElementById(`${id}-${next}`)?.focus();
  };
  return (
    <>
      <div role="tablist" className="tabs" onKeyDown={move}>
        {names.map((name) => (
          <button key={name} id={`${id}-${name}`} type="button" role="tab" aria-selected={name === chosen} aria-controls={`${id}-panel`} tabIndex={name === chosen ? 0 : -1} onClick={() => onChoose(name)}>
            {name}
            {(badge[name] ?? 0) > 1 && <span className="badge">{badge[name]}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${chosen}`} className="tab-panel">
        {children}
      </div>
    </>
  );
}
