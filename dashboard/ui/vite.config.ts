import { readFileSync } from "node:fs";

import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** What the page carries of others' work, each with its licence beside it. */
const CARRIED = ["react", "react-dom", "scheduler", "@fontsource-variable/inter", "@fontsource-variable/jetbrains-mono"];

function licences(): Plugin {
  return {
    name: "licences",
    generateBundle() {
      for (const name of CARRIED) {
        const source = readFileSync(new URL(`node_modules/${name}/LICENSE`, import.meta.url), "utf8");
        this.emitFile({ type: "asset", fileName: `licences/${name.replace("@", "").replace("/", "-")}.txt`, source });
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), licences()],
  build: {
    outDir: "../src/stepwell_dashboard/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://127.0.0.1:3030" } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
