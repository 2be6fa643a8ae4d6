// Looks up names with Node's `dns.resolve4`, which is c-ares without the search list, and prints the results as lookup.c does.
// Usage: node lookup.js STAGGER NAME...
"use strict";
const { Resolver } = require("node:dns").promises;

async function lookUp(name) {
  const began = process.hrtime.bigint();
  // A channel of its own, without the latencies that earlier lookups measured.
  const resolver = new Resolver();
  const [addresses, error] = await resolver.resolve4(name).then((found) => [found, null], (failure) => [[], failure.code]);
  const microseconds = Number((process.hrtime.bigint() - began) / 1000n);
  console.log(JSON.stringify({ name, microseconds, error, addresses }));
}

async function main([stagger, ...names]) {
  const lookups = [];
  for (const name of names) {
    lookups.push(lookUp(name));
    await new Promise((resolve) => setTimeout(resolve, Number(stagger) / 1000));
  }
  await Promise.all(lookups);
}

main(process.argv.slice(2));
