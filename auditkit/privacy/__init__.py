"""Privacy accounting, attack rates that a privacy claim allows, and lower bounds from audits."""
