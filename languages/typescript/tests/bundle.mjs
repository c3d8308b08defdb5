// Bundles programs with the sources of the package, by the esbuild that is installed where it is run:
//
//     node bundle.mjs <folder of output> <node or browser> <minify or plain> <name of what browsers see> <file>...
//
// It prints, for each bundle, its path, its bytes and its bytes compressed with gzip.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const { buildSync } = createRequire(join(process.cwd(), "index.js"))("esbuild");
const [outdir, platform, form, globalName, ...files] = process.argv.slice(2);
const source = resolve(fileURLToPath(import.meta.url), "../../src");
const alias = {
  "msip/broker": join(source, "broker/index.ts"),
  "msip/message": join(source, "message/index.ts"),
  "msip/schema": join(source, "schema/index.ts"),
  "msip/session": join(source, "session/index.ts"),
  "msip/server": join(source, "server/index.ts"),
  "msip/node": join(source, "node/index.ts"),
  msip: join(source, "index.ts"),
};
const { metafile } = buildSync({
  entryPoints: files,
  outdir,
  outExtension: { ".js": platform === "node" ? ".mjs" : ".js" },
  bundle: true,
  platform,
  format: platform === "node" ? "esm" : "iife",
  target: "es2022",
  minify: form === "minify",
  ...(globalName !== "" && { globalName }),
  ...(form === "minify" && { banner: { js: "// Bundled with the package msip of TypeScript; do not edit." } }),
  legalComments: "none",
  sourcemap: form === "plain" && platform === "node" ? "inline" : false,
  logLevel: "warning",
  metafile: true,
  alias,
});
for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
  if (entryPoint === undefined) continue;
  const bytes = readFileSync(path);
  console.log(resolve(path), bytes.length, gzipSync(bytes, { level: 9 }).length);
}
