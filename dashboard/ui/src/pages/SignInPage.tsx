/** The admin token, once; afterwards a session. */
import { type FormEvent, useState } from "react";

import { post } from "../api/client";
import { Logo } from "../components/Logo";

export function SignInPage({ onSignedIn }: { onSignedIn(): void }) {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await post("/session", { token: new FormData(event.currentTarget).get("token") });
      onSignedIn();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="sign-in">
      <form className="card" onSubmit={(event) => void submit(event)}>
        <Logo />
        <h1>Sign in</h1>
        <label htmlFor="token">Admin token</label>
        <input id="token" name="token" type="password" autoComplete="current-password" required autoFocus aria-describedby="token-help" />
        <p id="token-help" className="muted">The value of <code>STEPWELL_ADMIN_TOKEN</code> that the dashboard was started with.</p>
        {problem && <p className="form-problem" role="alert">{problem}</p>}
        <button type="submit" className="primary" disabled={busy}>Sign in</button>
      </form>
    </main>
  );
}
