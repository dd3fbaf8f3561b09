"""Privacy accounting, what a claim allows an attacker, and lower bounds from an audit."""
