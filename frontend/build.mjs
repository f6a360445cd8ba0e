// Builds the page into refine/page/static/: one module and one style sheet that load nothing else. The first line of the
// module names the sources that it was built from, so that a test can tell whether it still belongs to them.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const sources = ["package.json", "build.mjs", ...readdirSync(join(here, "src")).sort().map((name) => `src/${name}`)];
const hash = createHash("sha256");
for (const name of sources) hash.update(`${name}\n`).update(readFileSync(join(here, name)));

await build({
  absWorkingDir: here,
  entryPoints: { review: "src/main.js" },
  outdir: "../refine/page/static",
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "eof",
  banner: { js: `// refine review page, built from ${hash.digest("hex")}` },
});
await build({
  absWorkingDir: here,
  entryPoints: { review: "src/style.css" },
  outdir: "../refine/page/static",
  minify: true,
  target: "chrome111",
});
