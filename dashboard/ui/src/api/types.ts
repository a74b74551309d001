/** The API's shapes, under their own names; `schema.d.ts` is generated from the OpenAPI document. */
import type { components } from "./schema";

type Shapes = components["schemas"];

export type App = Shapes["App"];
export type AppRef = Shapes["AppRef"];
export type Definition = Shapes["Definition"];
export type DefinitionDetail = Shapes["DefinitionDetail"];
export type Entry = Shapes["Entry"];
export type ErrorData = Shapes["ErrorData"];
export type Event = Shapes["Event"];
export type EventList = Shapes["EventList"];
export type Minute = Shapes["Minute"];
export type Payload = Shapes["Payload"];
export type PlannedStep = Shapes["PlannedStep"];
export type Problem = Shapes["Problem"];
export type RecentRun = Shapes["RecentRun"];
export type Run = Shapes["Run"];
export type RunChange = Shapes["RunChange"];
export type RunDetail = Shapes["RunDetail"];
export type RunList = Shapes["RunList"];
export type RunsChange = Shapes["RunsChange"];
export type Schedule = Shapes["Schedule"];
export type Session = Shapes["Session"];
export type StateCount = Shapes["StateCount"];
export type Stats = Shapes["Stats"];
export type Status = Run["status"];
export type Activity = NonNullable<Run["activity"]>;
/** What a run is doing, in one word: its activity while it is active, else its status. */
export type State = Exclude<Status, "active"> | Activity;

export function stateOf(run: { status: Status; activity: Activity | null }): State {
  return run.status === "active" ? (run.activity ?? "queued") : run.status;
}
