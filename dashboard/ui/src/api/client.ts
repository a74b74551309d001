/**
 * Requests to the API. Each either gives its shape or throws a `Refused`, whose message says what happened and what to do.
 * A 401 is also told to whoever set `onSignedOut`.
 */
import type { Problem } from "./types";

export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

let signedOut: () => void = () => undefined;

export function onSignedOut(listener: () => void): void {
  signedOut = listener;
}

export async function get<Shape>(path: string, signal?: AbortSignal): Promise<Shape> {
  return (await send("GET", path, undefined, signal)).json() as Promise<Shape>;
}

export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  return (await send("GET", path, undefined, signal)).text();
}

export async function post<Shape>(path: string, body?: unknown): Promise<Shape> {
  const response = await send("POST", path, body);
  return (response.status === 204 ? undefined : await response.json()) as Shape;
}

export async function remove(path: string): Promise<void> {
  await send("DELETE", path);
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const request: RequestInit = { method, credentials: "same-origin", signal: signal ?? null };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { "content-type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "Unreachable", "The dashboard can’t be reached. It may be restarting; this page will try again.");
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== "/session") signedOut();
  throw await refusal(response);
}

async function refusal(response: Response): Promise<Refused> {
  try {
    const problem = (await response.json()) as Problem;
    return new Refused(response.status, problem.code, problem.detail);
  } catch {
    return new Refused(response.status, "Unknown", `The dashboard answered ${response.status} ${response.statusText}.`);
  }
}
