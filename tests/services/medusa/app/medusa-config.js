// The shop that the tests start: no dashboard, and without Redis its caches, events, workflows and
// locks are in memory.
const { defineConfig } = require("@medusajs/framework/utils");

const anywhere = "http://localhost";

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { ssl: false, connection: { ssl: false } },
    http: {
      storeCors: anywhere,
      adminCors: anywhere,
      authCors: anywhere,
      jwtSecret: "tests",
      cookieSecret: "tests",
      jwtExpiresIn: process.env.MEDUSA_JWT_EXPIRES_IN || "24h",
    },
  },
});
