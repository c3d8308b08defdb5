// Bundles programs with the sources of the package, by the esbuild that is installed where it is run:
//
//     node bundle.mjs <folder of output> <platform> <minify or plain> <alias=path,...> <file>...
//
// It prints, for each file, its name, its bytes and its bytes compressed with gzip.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const { buildSync } = createRequire(join(process.cwd(), "index.js"))("esbuild");
const [outdir, platform, form, aliases, ...files] = process.argv.slice(2);
const source = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../src");
const alias = {
  "msip/message": join(source, "message/index.ts"),
  "msip/session": join(source, "session/index.ts"),
  "msip/server": join(source, "server/index.ts"),
  "msip/node": join(source, "node/index.ts"),
  msip: join(source, "index.ts"),
};
for (const one of aliases.split(",").filter(Boolean)) {
  const [name, path] = one.split("=");
  alias[name] = path;
}
buildSync({
  entryPoints: files,
  outdir,
  outExtension: { ".js": platform === "node" ? ".mjs" : ".js" },
  bundle: true,
  platform,
  format: platform === "node" ? "esm" : "iife",
  target: "es2022",
  minify: form === "minify",
  legalComments: "none",
  sourcemap: form === "plain" && platform === "node" ? "inline" : false,
  logLevel: "warning",
  alias,
});
for (const file of files) {
  const name = basename(file).replace(/\.ts$/, platform === "node" ? ".mjs" : ".js");
  const bytes = readFileSync(join(outdir, name));
  console.log(name, bytes.length, gzipSync(bytes, { level: 9 }).length);
}
