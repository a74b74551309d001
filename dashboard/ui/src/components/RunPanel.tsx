/** What a run got and gave: shown beside its trace while no step is chosen. */
import { useState } from "react";

import type { Trace } from "../store/trace";
import { ErrorView } from "./StepPanel";
import { PayloadView } from "./PayloadView";
import { Tabs } from "./Tabs";

export function RunPanel({ trace }: { trace: Trace }) {
  const { run } = trace;
  const names = ["Input", run.status === "failed" ? "Error" : "Output"];
  const [chosen, setChosen] = useState<string | null>(null);
  const tab = chosen !== null && names.includes(chosen) ? chosen : run.status === "active" ? "Input" : (names[1] ?? "Input");
  return (
    <section className="panel card" aria-label="Input and output of the run">
      <header className="card-head">
        <h2>Run</h2>
        <span className="muted">choose a step to see its own</span>
      </header>
      <Tabs names={names} chosen={tab} onChoose={setChosen}>
        {tab === "Input" && <PayloadView payload={trace.input} whole={`/runs/${run.id}/payloads/input`} what="the run’s input" />}
        {tab === "Output" && trace.output && <PayloadView payload={trace.output} whole={`/runs/${run.id}/payloads/output`} what="the run’s output" />}
        {tab === "Output" && !trace.output && (
          <p className="panel-none muted">{run.status === "active" ? "The output is journaled when the run completes." : "The run ended without an output."}</p>
        )}
        {tab === "Error" && run.error && <ErrorView error={run.error} />}
      </Tabs>
    </section>
  );
}
