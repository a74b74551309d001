import { describe, expect, it } from "vitest";

import { pretty, tokens } from "./tokens";

describe("a payload", () => {
  it("is set out in lines with every digit kept", () => {
    expect(pretty('{"id":12345678901234567890,"of":[1.0,{"a":null}],"none":[ ]}')).toBe(
      '{\n  "id": 12345678901234567890,\n  "of": [\n    1.0,\n    {\n      "a": null\n    }\n  ],\n  "none": []\n}',
    );
  });

  it("that is not JSON, or was cut, is shown as it is", () => {
    expect(pretty("<script>alert(1)</script>")).toBe("<script>alert(1)</script>");
    expect(pretty('{"a":"cut of')).toBe('{\n  "a": "cut of');
  });

  it("tells keys from texts, also with escaped quotes", () => {
    expect(tokens('{"a\\"b":"c:d"}').filter((token) => token.kind !== "mark" && token.kind !== "plain")).toEqual([
      { kind: "key", text: '"a\\"b"' },
      { kind: "text", text: '"c:d"' },
    ]);
  });

  it("loses nothing but white space", () => {
    const text = '{"a":[true,false,null,-1.5e+10,"x y"],"b":{}}';
    expect(pretty(text).replaceAll(/\n\s*/g, "").replaceAll(": ", ":")).toBe(text);
  });
});
