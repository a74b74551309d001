/**
 * A JSON text as tokens, set out in lines, without ever parsing its values: numbers keep every digit, keys their order, and
 * whatever is not JSON is shown as it is. The result is text for text nodes, never markup.
 */
export type TokenKind = "key" | "text" | "number" | "word" | "mark" | "plain";

export interface Token {
  kind: TokenKind;
  text: string;
}

const PART = /\s+|"(?:[^"\\]|\\.)*"?|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/y;
const INDENT = "  ";

export function tokens(json: string): Token[] {
  const found: Token[] = [];
  let depth = 0;
  let at = 0;
  const line = () => found.push({ kind: "plain", text: `\n${INDENT.repeat(Math.max(0, depth))}` });
  while (at < json.length) {
    PART.lastIndex = at;
    const part = PART.exec(json)?.[0];
    if (part === undefined) {
      found.push({ kind: "plain", text: json.slice(at) });
      return found;
    }
    at += part.length;
    const first = part.charAt(0);
    if (part.trim() === "") continue;
    if (first === '"') {
      found.push({ kind: followedBy(json, at, ":") ? "key" : "text", text: part });
    } else if (first === "{" || first === "[") {
      const close = first === "{" ? "}" : "]";
      if (followedBy(json, at, close)) {
        at = json.indexOf(close, at) + 1;
        found.push({ kind: "mark", text: first + close });
      } else {
        depth += 1;
        found.push({ kind: "mark", text: first });
        line();
      }
    } else if (first === "}" || first === "]") {
      depth -= 1;
      line();
      found.push({ kind: "mark", text: part });
    } else if (first === ",") {
      found.push({ kind: "mark", text: "," });
      line();
    } else if (first === ":") {
      found.push({ kind: "mark", text: ": " });
    } else {
      found.push({ kind: /[tfn]/.test(first) ? "word" : "number", text: part });
    }
  }
  return found;
}

/** The text set out in lines. */
export function pretty(json: string): string {
  return tokens(json)
    .map((token) => token.text)
    .join("");
}

function followedBy(json: string, at: number, mark: string): boolean {
  let next = at;
  while (next < json.length && " \t\n\r".includes(json.charAt(next))) next += 1;
  return json.charAt(next) === mark;
}
