// Builds the page into refine/ui/web/static/: one module and one style sheet without further files. The first line of the
// module has a hash of the sources, so a test can check that the module is up to date.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const sources = ["package.json", "build.mjs", ...readdirSync(join(here, "src")).sort().map((name) => `src/${name}`)];
const hash = createHash("sha256");
for (const name of sources) hash.update(`${name}\n`).update(readFileSync(join(here, name)));

const made = await build({
  absWorkingDir: here,
  metafile: true,
  entryPoints: { review: "src/main.js" },
  outdir: "../refine/ui/web/static",
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
  outdir: "../refine/ui/web/static",
  minify: true,
  target: "chrome111",
});

// The licences of the bundled packages: each text once, under the names of its packages.
const packages = new Set(Object.keys(made.metafile.inputs).map((path) => path.match(/node_modules\/([^/]+)/)?.[1]).filter(Boolean));
const licences = new Map();
for (const name of [...packages].sort()) {
  const text = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim();
  licences.set(text, [...(licences.get(text) ?? []), name]);
}
const parts = [...licences].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`);
writeFileSync(join(here, "../refine/ui/web/static/LICENSES.txt"), `What review.js is built with.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`);

// The bundled packages as a bill of materials, to look up known faults (CycloneDX 1.6).
const component = (name) => {
  const { version, license } = JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8"));
  const purl = `pkg:npm/${name}@${version}`;
  return { type: "library", "bom-ref": purl, name, version, licenses: [{ expression: license }], purl };
};
const bill = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: { component: { type: "library", "bom-ref": "review.js", name: "review.js", description: "The review page of refine" } },
  components: [...packages].sort().map(component),
};
writeFileSync(join(here, "../refine/ui/web/static/sbom.cdx.json"), `${JSON.stringify(bill)}\n`);
