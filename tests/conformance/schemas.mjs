// Compiles all schemas of the bundled plugins' manifests as bots and forms do: with ajv in strict mode, and only
// the three formats that docs/plugins.md names. Warnings are errors.
//
//     URL=… KEY=… node schemas.mjs FOLDER_WITH_NODE_MODULES

import { createRequire } from "node:module";
import { resolve } from "node:path";

const { default: Ajv } = createRequire(resolve(process.argv[2], "package.json"))("ajv/dist/2020");

const ECONOMY = "/v1/economies/schemas";
// A valid configuration of each plugin.
const CONFIGS = {
  auction: { asset: "coin" },
  blackjack: { asset: "coin" },
  coinflip: { asset: "coin" },
  daily: { asset: "coin", amount: 5 },
  dice: { asset: "coin" },
  lottery: { asset: "coin", price: 5 },
  shop: { items: [{ item: "item:potion", price: { coin: 50 }, terms: { role: "vip" } }] },
  slots: {
    asset: "coin",
    stakes: { max: 10 },
    symbols: [
      { name: "seven", weight: 1, three: 50 },
      { name: "lemon", weight: 3, three: 2, two: 1 },
    ],
  },
  trade: {},
  work: { asset: "coin", pay_min: 1, pay_max: 3, cooldown_s: 60 },
};

async function send(method, path, body) {
  const response = await fetch(process.env.URL + path, {
    method,
    headers: { authorization: `Bearer ${process.env.KEY}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function expect(method, path, body) {
  const [status, response] = await send(method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(response)}`);
  return response;
}

// Compiles one schema by itself, as a bot does.
function compile(place, schema) {
  const warnings = [];
  const collect = (...words) => warnings.push(words.join(" "));
  const ajv = new Ajv({ strict: true, logger: { log: collect, warn: collect, error: collect } });
  for (const format of ["account", "asset", "amount"]) ajv.addFormat(format, true);
  try {
    const fits = ajv.compile(schema);
    if (warnings.length) throw new Error(warnings.join("; "));
    return fits;
  } catch (error) {
    console.error(`  ${place}: ${error.message}`);
    process.exitCode = 1;
    return () => true;
  }
}

await expect("PUT", ECONOMY, {});
await expect("PUT", `${ECONOMY}/assets/coin`, { kind: "currency", name: "Coin" });
await expect("PUT", `${ECONOMY}/assets/item:potion`, { kind: "item", name: "Potion" });

// The error for an unknown name lists the bundled plugins.
const [, { detail }] = await send("PUT", `${ECONOMY}/plugins/none`, { component: "bundled:none" });
const bundled = detail.slice(detail.lastIndexOf(": ") + 2).split(", ").sort().join();
if (bundled !== Object.keys(CONFIGS).sort().join()) {
  throw new Error(`CONFIGS must have every bundled plugin: ${detail}`);
}

for (const [name, config] of Object.entries(CONFIGS)) {
  const path = `${ECONOMY}/plugins/${name}`;
  await expect("PUT", path, { component: `bundled:${name}`, config });
  const { manifest } = await expect("GET", path);
  const fits = compile(`${name}: configuration`, manifest.configuration);
  if (!fits(config)) {
    console.error(`  ${name}: ajv refuses a configuration that the server accepts: ${JSON.stringify(fits.errors)}`);
    process.exitCode = 1;
  }
  let count = 1;
  for (const action of manifest.actions) {
    compile(`${name}: arguments of ${action.name}`, action.arguments);
    compile(`${name}: reply of ${action.name}`, action.reply);
    count += 2;
  }
  for (const schedule of manifest.schedules ?? []) {
    if (schedule.reply === undefined) continue;
    compile(`${name}: reply of the schedule ${schedule.name}`, schedule.reply);
    count += 1;
  }
  console.log(`  ${name}: ${count}`);
}
