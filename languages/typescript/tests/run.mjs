// Bundles tests with the sources of the package, by the esbuild that is installed where this is run, and runs them:
//
//     node run.mjs <folder of output> <folder of tests>...
//
// The folders of tests are below this file's.

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const { buildSync } = createRequire(join(process.cwd(), "index.js"))("esbuild");
const here = dirname(fileURLToPath(import.meta.url));
const [outdir, ...folders] = process.argv.slice(2);
const tests = folders.flatMap((folder) =>
  readdirSync(join(here, folder))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(here, folder, name)),
);
rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
buildSync({
  entryPoints: tests,
  outdir,
  outbase: here,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  logLevel: "warning",
});
const built = tests.map((test) => resolve(outdir, test.slice(here.length + 1).replace(/\.ts$/, ".mjs")));
const env = { MSIP_ROOT: resolve(here, "../../.."), ...process.env };
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-reporter=spec", ...built], { stdio: "inherit", env });
process.exit(status ?? 1);
