"""`auditkit init`: draft the files of an audit from the tables of a shop, library or job board."""
