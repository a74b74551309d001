import { describe, expect, it } from "vitest";

import { bytes, duration, relative } from "./format";

describe("durations", () => {
  it.each([
    [0.42, "0.4 ms"],
    [12.3, "12 ms"],
    [999.4, "999 ms"],
    [1234, "1.2 s"],
    [42_300, "42 s"],
    [59_900, "1m"],
    [200_000, "3m 20s"],
    [7_500_000, "2h 5m"],
    [356_400_000, "4d 3h"],
    [-5, "0 ms"],
  ])("%d ms reads as %s", (ms, text) => expect(duration(ms)).toBe(text));
});

describe("instants", () => {
  it.each([
    [0, "now"],
    [-500, "just now"],
    [-12_400, "12 s ago"],
    [200_000, "in 3m 20s"],
    [-3_700_000, "1h ago"],
  ])("%d ms from now reads as %s", (distance, text) => expect(relative(distance, 0)).toBe(text));
});

it("sizes read in decimal units", () => expect([12, 2048, 4_200_000].map(bytes)).toEqual(["12 B", "2 kB", "4.2 MB"]));
