/** A question before something that can't be taken back. Escape and the backdrop mean no. */
import { type ReactNode, useEffect, useRef, useState } from "react";

export interface Question {
  title: string;
  body: ReactNode;
  yes: string;
  danger?: boolean;
  act(): Promise<void>;
}

export function Confirm({ question, onClose }: { question: Question | null; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    if (question) {
      setProblem(null);
      dialog.current?.showModal();
    } else dialog.current?.close();
  }, [question]);

  const act = async () => {
    if (!question) return;
    setBusy(true);
    try {
      await question.act();
      onClose();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <dialog
      ref={dialog}
      className="confirm"
      aria-labelledby="confirm-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      {question && (
        <div>
          <h2 id="confirm-title">{question.title}</h2>
          <div className="confirm-body">{question.body}</div>
          {problem && <p className="form-problem" role="alert">{problem}</p>}
          <div className="buttons">
            <button type="button" onClick={onClose} autoFocus>
              Keep as it is
            </button>
            <button type="button" className={question.danger ? "danger" : "primary"} disabled={busy} onClick={() => void act()}>
              {question.yes}
            </button>
          </div>
        </div>
      )}
    </dialog>
  );
}
