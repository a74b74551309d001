/** A payload as text, set out in lines: the beginning first, the rest on demand. Nothing in it is ever markup. */
import { useEffect, useMemo, useState } from "react";

import { getText } from "../api/client";
import type { Payload } from "../api/types";
import { pretty, tokens } from "../payload/tokens";
import { bytes } from "../time/format";
import { Copy } from "./Bits";

/** Longer texts are shown without colours: a hundred thousand elements would stall the page. */
const COLOURED = 60_000;

export function PayloadView({ payload, whole, what }: { payload: Payload; whole: string; what: string }) {
  const [full, setFull] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => setFull(null), [whole]);
  const text = full ?? payload.text;
  const cut = payload.truncated && full === null;

  const load = async () => {
    try {
      setFull(await getText(whole));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };

  return (
    <figure className="payload">
      <figcaption>
        <span className="muted">{bytes(payload.size)}</span>
        <Copy what={what} text={async () => (cut ? await getText(whole) : text)} />
      </figcaption>
      <Text text={text} />
      {cut && (
        <button type="button" className="more" onClick={() => void load()}>
          Show all {bytes(payload.size)}
        </button>
      )}
      {problem && <p className="form-problem" role="alert">{problem}</p>}
    </figure>
  );
}

export function Text({ text }: { text: string }) {
  const parts = useMemo(() => (text.length <= COLOURED ? tokens(text) : null), [text]);
  return (
    <pre tabIndex={0}>
      {parts
        ? parts.map((token, index) => (token.kind === "plain" ? token.text : <span key={index} className={`token-${token.kind}`}>{token.text}</span>))
        : pretty(text)}
    </pre>
  );
}
