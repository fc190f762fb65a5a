// seed.mjs URL EMAIL PASSWORD: gives a new shop what it needs before it can sell, and prints the
// IDs and keys as lines of a shell.
const [url, email, password] = process.argv.slice(2);
const headers = { "content-type": "application/json" };

async function ask(method, path, body) {
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}
const make = (path, body) => ask("POST", path, body);
const first = async (name) => (await ask("GET", `/admin/${name}`))[name.replaceAll("-", "_")][0];

headers.authorization = `Bearer ${(await make("/auth/user/emailpass", { email, password })).token}`;

const channel = await first("sales-channels");
// With one channel only, the store's list of products does not look at a product's channels.
const { sales_channel: other } = await make("/admin/sales-channels", { name: "Other" });
const store = await first("stores");
await make(`/admin/stores/${store.id}`, {
  supported_currencies: [{ currency_code: "eur", is_default: true }, { currency_code: "usd" }],
});
const { region } = await make("/admin/regions", { name: "Europe", currency_code: "eur", countries: ["de", "fr"] });
const { stock_location: warehouse } = await make("/admin/stock-locations", { name: "Warehouse" });
await make(`/admin/stock-locations/${warehouse.id}/sales-channels`, { add: [channel.id] });
const profile = await first("shipping-profiles");
const { api_keys: [publishable] } = await ask("GET", "/admin/api-keys?type=publishable");
const { api_key: secret } = await make("/admin/api-keys", { title: "tests", type: "secret" });

const told = {
  EMAIL: email,
  PASSWORD: password,
  API_KEY: secret.token,
  PUBLISHABLE_KEY: publishable.token,
  SALES_CHANNEL_ID: channel.id,
  OTHER_SALES_CHANNEL_ID: other.id,
  SHIPPING_PROFILE_ID: profile.id,
  REGION_ID: region.id,
  STOCK_LOCATION_ID: warehouse.id,
  STORE_ID: store.id,
};
for (const [name, value] of Object.entries(told)) console.log(`MEDUSA_${name}=${value}`);
