
const results = {};
for (const [name, check] of Object.entries(CHECKS)) {
  results[name] = await check().then(
    () => "passed",
    (error) => String(error.stack ?? error),
  );
}
console.log(JSON.stringify(results));
