/** Light, dark, or as the system says. */
import { useState } from "react";

const THEMES = ["system", "light", "dark"] as const;
type Name = (typeof THEMES)[number];
const KEY = "stepwell.theme";
const PATHS: Record<Name, string> = {
  system: "M3 4h10v6.5H3zM6 13h4M8 10.5V13",
  light: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M3.6 12.4l1-1M11.4 4.6l1-1",
  dark: "M12.8 9.6A5.2 5.2 0 0 1 6.4 3.2a5.2 5.2 0 1 0 6.4 6.4z",
};

export function Theme() {
  const [theme, setTheme] = useState<Name>((document.documentElement.dataset["theme"] as Name | undefined) ?? "system");
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const change = () => {
    setTheme(next);
    if (next === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = next;
    try {
      if (next === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // Storage is refused: the choice lasts as long as the page.
    }
  };
  return (
    <button type="button" className="quiet theme" onClick={change} aria-label={`Theme: ${theme}. Change to ${next}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d={PATHS[theme]} /></svg>
      <span className="capital">{theme}</span>
    </button>
  );
}
