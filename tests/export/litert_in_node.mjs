// Runs LiteRT files by LiteRT.js, which is made for browsers, in Node.
//
// node litert_in_node.mjs FOLDER PLAN.json RESULT.json
//
// FOLDER has node_modules/@litertjs/core. PLAN holds `models`, paths of files;
// `shape` of an input and `values`, a path of its float32; and `rounds`. RESULT
// gets for each model its `outputs` and the median of `milliseconds` of CPU
// time. All models are run in turn, so that a busy machine disturbs all alike.

import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import vm from 'node:vm';

const [folder, planPath, resultPath] = process.argv.slice(2);
const plan = JSON.parse(fs.readFileSync(planPath));
const require = createRequire(path.join(path.resolve(folder), 'from.js'));
const entry = require.resolve('@litertjs/core');

// The package loads scripts as a browser's worker does; these take Node's own
// names where they find them.
globalThis.self = globalThis;
globalThis.importScripts = (script) => {
  Object.assign(globalThis, {
    require,
    __filename: script,
    __dirname: path.dirname(script),
  });
  vm.runInThisContext(fs.readFileSync(script, 'utf8'), script);
  globalThis.ModuleFactory = vm.runInThisContext('ModuleFactory');
};

const {loadLiteRt, loadAndCompile, Tensor} = await import(pathToFileURL(entry));
await loadLiteRt(path.join(path.dirname(entry), '..', 'wasm', path.sep));

const bytes = fs.readFileSync(plan.values);
const values = new Float32Array(new Uint8Array(bytes).buffer);
const input = new Tensor(values, plan.shape);

async function outputsOf(model) {
  const [output] = await model.run([input]);
  const found = Array.from(output.toTypedArray());
  output.delete();
  return found;
}

const models = [];
const outputs = [];
for (const file of plan.models) {
  const content = new Uint8Array(fs.readFileSync(file));
  const model = await loadAndCompile(content, {accelerator: 'wasm'});
  models.push(model);
  outputs.push(await outputsOf(model));
}

const times = models.map(() => []);
for (let round = 0; round < plan.rounds; round++) {
  for (let place = 0; place < models.length; place++) {
    const index = (place + round) % models.length;
    const start = process.cpuUsage();
    await outputsOf(models[index]);
    const {user, system} = process.cpuUsage(start);
    times[index].push((user + system) / 1000);
  }
}

function median(numbers) {
  const ordered = [...numbers].sort((first, second) => first - second);
  return ordered[Math.floor(ordered.length / 2)];
}

const milliseconds = times.map(median);
fs.writeFileSync(resultPath, JSON.stringify({outputs, milliseconds}));
// The runtime would keep the process alive.
process.exit(0);
