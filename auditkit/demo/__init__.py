"""The shop of `auditkit demo --domain products`: seeded tables and a chat endpoint to audit."""
